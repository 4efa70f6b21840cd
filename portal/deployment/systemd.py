"""Units for systemd: portal and apps as users of their own, all hardened.

An app's unit is started by its socket.  It gets that socket and its own client secret, and nothing of the portal.
``systemd-analyze security`` shows what each may still do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.configuration import cookie_mode
from portal.contract.descriptors import WANTED
from portal.deployment.sites import apps_here
from portal.rules.catalogue import AppSpec
from portal.settings import Settings

FOLDER: Final = Path("/etc/gradio-portal")
"""Folder of the units' secrets; root's, mode 0700."""
PORTALS_OWN: Final = FOLDER / "portal.env"
"""Env file of the portal, for no app."""
PORTAL_USER: Final = "gradio-portal"
"""The portal's user if ``portal.user`` is not set."""
_OPEN_FILES: Final = f"LimitNOFILE={WANTED}"
_STATE: Final = Path("/var/lib")
_HARDENED: Final = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RemoveIPC=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "UMask=0077",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The command lines of the units."""

    portal: Sequence[str]
    app: Sequence[str]
    """Without the app's source, which is appended."""
    own_interpreter: Path
    """The script that serves an app with its own interpreter."""
    needed: Sequence[Path]
    """Folders that the interpreter reads."""


def systemd_units(settings: Settings, *, port: int, config: Path, commands: Commands) -> Mapping[str, str]:
    """Return units by name; *config* is the absolute path of ``portal.toml``, *port* the portal's on loopback.

    Raises:
        ValueError: a value cannot be written into a unit.
    """
    units = {"gradio-portal.service": _text(_portal(settings, config=config, commands=commands))}
    for app in apps_here(settings):
        _require_readable(app, settings)
        if app.secrets and FOLDER / f"{app.slug}.env" == PORTALS_OWN:
            raise ValueError(
                f"{app.slug} has secrets and would get {PORTALS_OWN}, which is the portal's own. Rename the app."
            )
        name = f"gradio-app-{app.slug}"
        units[f"{name}.socket"] = _text(_socket(app))
        units[f"{name}.service"] = _text(_app(app, settings, port=port, config=config, commands=commands))
    return units


def _require_readable(app: AppSpec, settings: Settings) -> None:
    """Check that the unit of *app* can read what it runs.

    Raises:
        ValueError: it is in a folder that the unit cannot read.
    """
    for key, written in (("source", app.source), ("python", app.python)):
        for hidden in (FOLDER, settings.data_dir):
            if written is not None and Path(written).is_relative_to(hidden):
                raise ValueError(
                    f"apps.{app.slug}.{key} is in {hidden}, which is the portal's own: the app's unit cannot read it. "
                    "Move it to another folder, like /srv/apps."
                )


def _portal(settings: Settings, *, config: Path, commands: Commands) -> Iterator[str]:
    yield "[Unit]"
    yield f"Description={_plain(settings.title)}, the portal"
    yield "After=network-online.target"
    yield "Wants=network-online.target"
    yield ""
    yield "[Service]"
    yield f"User={_plain(settings.user or PORTAL_USER)}"
    yield f"Environment={_word(f'PORTAL_CONFIG={config}')}"
    yield "RuntimeDirectory=gradio-portal"
    yield "RuntimeDirectoryMode=0700"
    yield "# its processes share metrics here; empty at each start"
    yield "Environment=PROMETHEUS_MULTIPROC_DIR=%t/gradio-portal"
    yield "# PORTAL_SECRET_KEY, client secrets, PORTAL_DATABASE_URL; root's, mode 0600"
    yield f"EnvironmentFile={PORTALS_OWN}"
    yield f"ExecStart={_words(commands.portal)}"
    yield "# new processes read portal.toml again; the old ones finish their requests"
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield "KillMode=mixed"
    yield "Restart=on-failure"
    yield "RestartSec=2"
    yield "TimeoutStopSec=30"
    yield _OPEN_FILES
    data = settings.data_dir
    if data.is_relative_to(_STATE) and data != _STATE:
        yield f"StateDirectory={_word(str(data.relative_to(_STATE)))}"
        yield "StateDirectoryMode=0700"
        yield f"WorkingDirectory={_path(data)}"
    else:
        yield f"ReadWritePaths={_word(str(data))}"
    yield f"ProtectHome={_home(config, data, *commands.needed)}"
    yield from _HARDENED
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"


def _socket(app: AppSpec) -> Iterator[str]:
    yield "[Unit]"
    yield f"Description={_plain(app.title)}, socket"
    yield ""
    yield "[Socket]"
    yield f"ListenStream=127.0.0.1:{app.port}"
    yield "Backlog=2048"
    yield "NoDelay=yes"
    yield ""
    yield "[Install]"
    yield "WantedBy=sockets.target"


def _app(app: AppSpec, settings: Settings, *, port: int, config: Path, commands: Commands) -> Iterator[str]:
    source = app.source or ""
    serve, code = list(commands.app), [Path(source), *commands.needed]
    if app.python is not None:
        serve = [app.python, str(commands.own_interpreter)]
        code += [Path(app.python), Path(app.python).resolve(), commands.own_interpreter]
    yield "[Unit]"
    yield f"Description={_plain(app.title)}"
    yield f"Requires=gradio-app-{app.slug}.socket"
    yield f"After=gradio-app-{app.slug}.socket network-online.target"
    yield "Wants=network-online.target"
    yield ""
    yield "[Service]"
    if app.user is None:
        yield "DynamicUser=yes"
    else:
        yield f"User={_plain(app.user)}"
        yield "SupplementaryGroups="
    yield f"StateDirectory=gradio-app-{app.slug}"
    yield "StateDirectoryMode=0700"
    yield f"WorkingDirectory=%S/gradio-app-{app.slug}"
    state = f"%S/gradio-app-{app.slug}"
    for name, value in _environment(app, settings, port=port).items():
        yield f"Environment={_word(f'{name}={value}')}"
    yield f"Environment=HOME={state} GRADIO_TEMP_DIR={state}/uploads PORTAL_APP_SECRET_FILE=%d/secret"
    yield "# the app's client secret at the portal; root's, mode 0600"
    yield f"LoadCredential=secret:{FOLDER}/{app.slug}.secret"
    if app.env_file is not None:
        yield "# read by systemd as root; for quotes and backslashes see systemd.exec(5)"
        yield f"EnvironmentFile={_path(Path(app.env_file))}"
    if app.secrets:
        yield f"# {', '.join(app.secrets)}; root's, mode 0600"
        yield f"EnvironmentFile={FOLDER}/{app.slug}.env"
    yield f"ExecStart={_words([*serve, source])}"
    yield "Restart=on-failure"
    yield "RestartSec=2"
    yield "TimeoutStopSec=30"
    yield _OPEN_FILES
    if app.memory is not None:
        yield f"MemoryMax={app.memory}"
        yield "# without swap, which would slow the app down endlessly"
        yield "MemorySwapMax=0"
    yield f"ProtectHome={_home(*code)}"
    hidden = [settings.data_dir, config, *_env_files_of_others(app, settings)]
    yield f"InaccessiblePaths={' '.join(_word(f'-{path}') for path in hidden)} -{FOLDER}"
    yield "# An app that uses a graphics card needs PrivateDevices=no."
    yield from _HARDENED


def _env_files_of_others(app: AppSpec, settings: Settings) -> Iterator[Path]:
    for other in apps_here(settings):
        if other.env_file is not None and other is not app:
            yield Path(other.env_file)


def _environment(app: AppSpec, settings: Settings, *, port: int) -> dict[str, str]:
    ours = {
        "PORTAL_URL": settings.url,
        "PORTAL_INTERNAL_URL": settings.internal_url or f"http://127.0.0.1:{port}",
        "PORTAL_APP": app.slug,
        "PORTAL_APP_URL": app.url,
        "PORTAL_APP_TITLE": app.title,
        "PORTAL_APP_COOKIES": cookie_mode(settings, app),
        "PORTAL_APP_SHARED_FILES": "true" if app.shared_files else "",
        "PORTAL_TRUSTED_PROXIES": ", ".join(map(str, settings.trusted_proxies.networks)),
        "PORTAL_CA_FILE": "" if settings.egress.authorities is None else str(settings.egress.authorities),
        "PORTAL_START_TIMEOUT": str(app.start_timeout),
        "PYTHONUNBUFFERED": "1",
    }
    return dict(app.env) | {name: value for name, value in ours.items() if value}


def _home(*paths: Path) -> str:
    """Return the value of ``ProtectHome=``: ``read-only`` if a path is in a home, else ``yes``."""
    homes = (Path("/home"), Path("/root"), Path("/run/user"))
    return "read-only" if any(path.is_relative_to(home) for path in paths for home in homes) else "yes"


def _text(lines: Iterator[str]) -> str:
    return "\n".join(
        ["# Written by `portal config systemd` from portal.toml. Write it again when portal.toml changes.", *lines, ""]
    )


def _words(words: Sequence[str]) -> str:
    return " ".join(_word(word.replace("$", "$$")) for word in words)


def _word(text: str) -> str:
    """Return *text* as one quoted word (systemd.syntax(7)), specifiers escaped."""
    return '"' + _checked(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _path(path: Path) -> str:
    return _checked(str(path)).replace("%", "%%")


def _plain(text: str) -> str:
    return _checked(text).replace("\\", " ").replace("%", "%%")


def _checked(text: str) -> str:
    if not text.isprintable():  # a line break would begin another setting
        raise ValueError(f"{text!r} cannot be written into a systemd unit.")
    return text
