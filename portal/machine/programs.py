"""The command lines of the processes: the portal under gunicorn, the apps' supervisor, the demo provider."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portal.configuration import cookie_mode
from portal.machine.ports import LOOPBACK
from portal.machine.processes import GRACE, Program
from portal.machine.users import Account, Accounts
from portal.rules.catalogue import AppSpec
from portal.settings import Secret, Settings
from portal.supervisor_socket import control_socket

_HARMLESS: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|\w+_PROXY|\w+_proxy|"
    r"VIRTUAL_ENV|PYTHON\w+|COVERAGE_\w+"
)
PORTAL: Final = "the portal"
"""What the portal's process is called."""
SUPERVISOR: Final = "the apps' supervisor"
"""What the supervisor's process is called."""
GUNICORN: Final = (sys.executable, "-m", "gunicorn", "--config", "python:portal.server.settings", "portal.wsgi:app")
"""The command that serves the portal, without place and size."""
BRIEF: Final = 2
"""Seconds that the portal's running requests get in a demo, where somebody waits for the prompt."""
PATIENT: Final = 15
"""Seconds that they get else: longer than everything asked of a provider for one of them."""
APPS_PATIENT: Final = 5
"""Seconds that running requests of apps get then."""
_NO_ACCOUNTS: Final = Accounts(portal=None)
_COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* a demo's processes get: nothing that would configure a portal or an app."""
    return {name: value for name, value in environ.items() if _HARMLESS.fullmatch(name)}


def portal_program(
    *,
    port: int,
    environ: Mapping[str, str],
    cwd: Path,
    log: Path | None,
    workers: int,
    threads: int,
    grace: int = BRIEF,
) -> Program:
    """Return the portal on loopback, under gunicorn; with threads, because sign-ins wait for the provider.

    Running requests get *grace* seconds when it is told to end, or its processes are replaced.
    """
    argv = [*GUNICORN, "--bind", f"{LOOPBACK}:{port}"]
    argv += ["--workers", str(workers), "--threads", str(threads), "--graceful-timeout", str(grace)]
    return Program(name=PORTAL, argv=argv, environ=environ, cwd=cwd, log=log, grace=grace + 1.5)


def counting_together(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return *environ* with the place where the workers of one portal count together, empty at the start."""
    if _COUNTS in environ:
        return dict(environ)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return {**environ, _COUNTS: str(folder)}


def provider_program(*, port: int, environ: Mapping[str, str], cwd: Path, log: Path) -> Program:
    """Return the demo provider on loopback."""
    argv = [sys.executable, "-m", "portal.demo.provider", "--port", str(port)]
    return Program(name="the demo provider", argv=argv, environ=environ, cwd=cwd, log=log)


def supervisor_program(
    *,
    document: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    log: Path | None,
    account: Account | None = None,
    grace: float = GRACE,
) -> Program:
    """Return the supervisor of the apps in *document*, which holds their secrets and so goes by pipe.

    It runs as *account*: root's, where it is to change user.
    """
    argv = [sys.executable, "-m", "gradio_apps.runtime.supervisor"]
    text = json.dumps(document)
    return Program(
        name=SUPERVISOR,
        argv=argv,
        environ=environ,
        cwd=cwd,
        document=text,
        log=log,
        account=account,
        grace=grace,
    )


def supervisor_document(
    settings: Settings,
    *,
    port: int,
    secret_of: Callable[[str], Secret],
    environ: Mapping[str, str],
    accounts: Accounts = _NO_ACCOUNTS,
    grace: int | None = None,
) -> dict[str, object]:
    """Return what the supervisor is told: every app that has a source, and the portal on *port* of this machine.

    *accounts* says who runs what, where that is not who runs this; *grace* how many seconds running requests get
    when an app is stopped.
    """
    return {
        "portal": {
            "url": settings.url,
            "internal_url": settings.internal_url or f"http://{LOOPBACK}:{port}",
            "trusted_proxies": ", ".join(map(str, settings.trusted_proxies.networks)),
            "ca_file": None if settings.egress.authorities is None else str(settings.egress.authorities),
        },
        "apps": [
            _app(
                app,
                settings=settings,
                secret=secret_of(app.slug),
                environ=environ,
                account=accounts.apps.get(app.slug),
            )
            for app in settings.catalogue
            if app.source is not None
        ],
        "control": str(control_socket(settings)),
        "grace": grace,
        "owner": _ids(accounts.portal) if accounts.apps else None,
    }


def _ids(account: Account | None) -> dict[str, int] | None:
    return None if account is None else {"uid": account.uid, "gid": account.gid}


def _app(
    app: AppSpec, *, settings: Settings, secret: Secret, environ: Mapping[str, str], account: Account | None
) -> dict[str, object]:
    home = str((settings.homes / app.slug).absolute())
    return {
        "slug": app.slug,
        "title": app.title,
        "url": app.url,
        "source": app.source,
        "host": LOOPBACK,
        "port": app.port,
        "secret": secret.reveal(),
        "cookies": cookie_mode(settings, app),
        "env": {**dict(app.env), **{name: environ[name] for name in app.secrets if name in environ}},
        "log": str(app_log(settings, app)),
        "temp": str(settings.data_dir / "tmp" / app.slug),
        "cwd": None,
        "secret_names": list(app.secrets),
        "python": app.python,
        "start_timeout": app.start_timeout,
        "drain_timeout": app.drain_timeout,
        "memory": app.memory,
        "history": str(settings.data_dir / "starts" / f"{app.slug}.json"),
        "env_file": app.env_file,
        "user": None if account is None else {**(_ids(account) or {}), "home": home},
    }


def app_log(settings: Settings, app: AppSpec) -> Path:
    """Return where the output of *app* goes."""
    return settings.data_dir / "logs" / f"{app.slug}.log"


def host_header(url: str) -> str:
    """Return the ``Host`` that *url* is asked with."""
    return urlsplit(url).netloc
