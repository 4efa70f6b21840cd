"""What differs inside the Gradios that apps may have, as data: one entry per minor.

A test holds every entry against that very Gradio.  Reading a new minor means writing an entry here and naming it
in :mod:`portal.contract.interpreters`, and changing no code where the two agree.
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
    "quiet": True,  # it would print an address nobody else can use
    "root_path": "",
    "server_name": None,
    "server_port": None,
    "share": False,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssr_mode": False,  # its Node process would stand in front of the guard
}
ON_THE_SERVER: Final = ("inbrowser", "quiet")
"""Those of them that a ``launch()`` around that of Blocks acts upon itself."""
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
    """There is no entry for the Gradio that is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minor:
    """One minor of Gradio, as far as the host leans on its insides."""

    replaced: tuple[str, ...]
    """What is replaced, as ``module:attribute``."""
    launch: Mapping[str, Any]
    """Arguments of ``launch()`` that are the portal's to decide, whatever the author wrote."""
    create_app: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``App.create_app`` that are the portal's to decide besides ``auth_dependency``."""
    awaits: bool = True
    """Whether it awaits what an ``auth_dependency`` returns; where not, it takes a coroutine for a name."""
    node: tuple[tuple[str, Any], ...] = ()
    """Ways to Gradio's Node process, which would answer past the guard: ``module:attribute``, and what each says."""
    pauses: Mapping[str, float] = field(default_factory=dict)
    """Pauses of its queue between two looks for work, as ``module:attribute``, and how long they are, in seconds,
    while nothing happens; none where Gradio itself lets it rest."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Questions to which there is one answer behind the portal: ``module:attribute``, and what each says."""
    launching: tuple[str, ...] = ("gradio.blocks:Blocks",)
    """Classes whose instances have a ``launch()`` that can be stopped."""
    overriding: tuple[str, ...] = ()
    """Those of Gradio's own whose ``launch()`` does something around that of Blocks, with the same arguments."""
    looked_at: frozenset[str] = frozenset()
    """Other arguments of its ``launch()``: somebody saw that none opens a port."""


_SEEN_IN_BOTH: Final = frozenset(
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
        # Mounting starts it by the name that routes imported, and goes without where none came up.
        node=(("gradio.routes:start_node_server", (None, None, None)), ("gradio.routes:get_node_path", "")),
        looked_at=_SEEN_IN_BOTH | {"show_api"},
    ),
    "6.31": Minor(
        replaced=_REPLACED,
        launch={**_LAUNCH, "num_workers": 0},  # its file servers listen on ports of their own
        node=(("gradio.blocks:Blocks._resolve_ssr_mode", False),),  # mounting asks it too
        # 0.001 and 0.01, but for Windows.
        pauses={
            "gradio.queueing:Queue.sleep_when_free": 0.05,
            "gradio.queueing:Queue.progress_update_sleep_when_free": 0.1,
        },
        # A visitor from loopback, by a loopback name, would be given the token of the process for their run history.
        fixed=(("gradio.history:_is_direct_local_request", False),),
        launching=("gradio.blocks:Blocks", "gradio:Server"),
        overriding=("gradio.workflow:Workflow",),  # opens a browser, and prints the token that lets one edit
        looked_at=_SEEN_IN_BOTH
        | {"footer_links", "run_history", "_app", "theme", "css", "css_paths", "js", "head", "head_paths"},
    ),
}


def installed_minor() -> Minor:
    """Return the entry of the Gradio that is installed.

    Raises:
        UnknownGradio: there is none; the message says which there are.
    """
    found = version("gradio")
    if minor_of(found) not in MINORS:
        raise UnknownGradio(f"Gradio {found} is installed, and apps can be served with {' or '.join(GRADIO)} only.")
    return MINORS[minor_of(found)]
