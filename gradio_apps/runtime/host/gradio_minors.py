"""The internals of each supported minor version of Gradio, as data.

A test compares every entry with that version.  To support a new one, add an entry here and name it in
:mod:`portal.contract.interpreters`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from portal.contract.interpreters import GRADIO, minor_of

_LAUNCH: Final[Mapping[str, Any]] = {
    "auth": None,
    "auth_dependency": None,
    "inbrowser": False,
    "pwa": False,
    "quiet": True,  # otherwise it prints an address that nobody else can use
    "root_path": "",
    "server_name": None,
    "server_port": None,
    "share": False,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssr_mode": False,  # its Node process would bypass the guard
}
ON_THE_SERVER: Final = ("inbrowser", "quiet")
"""Those that a ``launch()`` around that of Blocks reads itself."""
_REPLACED: Final = (
    "gradio.blocks:Blocks.launch",
    "gradio.blocks:Blocks.block_thread",
    "gradio.http_server:start_server",
    "gradio.routes:attach_oauth",
    "gradio.routes:App.create_app",
    "gradio.route_utils:Obj.__init__",
    "gradio.components.login_button:_js_handle_redirect",
)


class UnknownGradio(Exception):
    """There is no entry for the installed Gradio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minor:
    """The internals of one minor version of Gradio that the host depends on."""

    replaced: tuple[str, ...]
    """Attributes that are replaced, as ``module:attribute``."""
    launch: Mapping[str, Any]
    """Arguments of ``launch()`` that the portal sets, whatever the author wrote."""
    create_app: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``App.create_app`` that the portal sets, besides ``auth_dependency``."""
    awaits: bool = True
    """Whether it awaits the result of an ``auth_dependency``; otherwise it would use a coroutine as the name."""
    node: tuple[tuple[str, Any], ...] = ()
    """Functions that start Gradio's Node process, which would bypass the guard: ``module:attribute`` and the result."""
    pauses: Mapping[str, float] = field(default_factory=dict)
    """Pauses between two polls of its queue, as ``module:attribute``, and their length while idle, in seconds."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Functions with a fixed result behind the portal: ``module:attribute`` and the result."""
    launching: tuple[str, ...] = ("gradio.blocks:Blocks",)
    """Classes whose instances have a ``launch()``."""
    overriding: tuple[str, ...] = ()
    """Classes of Gradio whose ``launch()`` wraps that of Blocks, with the same arguments."""
    reviewed: frozenset[str] = frozenset()
    """Other arguments of its ``launch()``, reviewed: none opens a port."""


_IN_BOTH: Final = frozenset(
    {
        "self", "inline", "debug", "max_threads", "auth_message", "prevent_thread_lock", "show_error", "height",
        "width", "favicon_path", "ssl_keyfile_password", "ssl_verify", "allowed_paths", "blocked_paths", "app_kwargs",
        "state_session_capacity", "share_server_address", "share_server_protocol", "share_server_tls_certificate",
        "max_file_size", "enable_monitoring", "strict_cors", "node_server_name", "node_port", "mcp_server",
        "_frontend", "i18n",
    }
)  # fmt: skip

MINORS: Final[Mapping[str, Minor]] = {
    "5.50": Minor(
        replaced=_REPLACED,
        launch=_LAUNCH,
        create_app={"ssr_mode": False},
        awaits=False,
        # Mounting calls the name that routes imported, and works without a Node process.
        node=(("gradio.routes:start_node_server", (None, None, None)), ("gradio.routes:get_node_path", "")),
        reviewed=_IN_BOTH | {"show_api"},
    ),
    "6.31": Minor(
        replaced=_REPLACED,
        launch={**_LAUNCH, "num_workers": 0},  # its file servers listen on other ports
        node=(("gradio.blocks:Blocks._resolve_ssr_mode", False),),  # also called by mounting
        # Gradio's own are 0.001 and 0.01, except on Windows.
        pauses={
            "gradio.queueing:Queue.sleep_when_free": 0.05,
            "gradio.queueing:Queue.progress_update_sleep_when_free": 0.1,
        },
        # A visitor from loopback would otherwise get the token of the process for the run history.
        fixed=(("gradio.history:_is_direct_local_request", False),),
        launching=("gradio.blocks:Blocks", "gradio:Server"),
        overriding=("gradio.workflow:Workflow",),  # opens a browser, and prints the token for editing
        reviewed=_IN_BOTH
        | {"footer_links", "run_history", "_app", "theme", "css", "css_paths", "js", "head", "head_paths"},
    ),
}


def installed_minor() -> Minor:
    """Return the entry of the installed Gradio.

    Raises:
        UnknownGradio: there is none; the message lists the supported versions.
    """
    installed = version("gradio")
    if minor_of(installed) not in MINORS:
        raise UnknownGradio(f"Gradio {installed} is installed, and apps can be served with {' or '.join(GRADIO)} only.")
    return MINORS[minor_of(installed)]
