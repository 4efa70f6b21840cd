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
"""Name of the portal's process."""
SUPERVISOR: Final = "the apps' supervisor"
"""Name of the supervisor's process."""
GUNICORN: Final = (sys.executable, "-m", "gunicorn", "--config", "python:portal.server.settings", "portal.wsgi:app")
"""The command that serves the portal, without address and number of workers."""
BRIEF: Final = 2
"""Seconds for the portal's running requests in a demo, where a person waits for the prompt."""
PATIENT: Final = 15
"""Seconds otherwise: longer than all calls to a provider for one request."""
APPS_PATIENT: Final = 5
"""Seconds for running requests of apps then."""
_NO_ACCOUNTS: Final = Accounts(portal=None)
_COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *environ* for a demo's processes: none that would configure a portal or an app."""
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

    Running requests get *grace* seconds when it ends or its workers are replaced.
    """
    argv = [*GUNICORN, "--bind", f"{LOOPBACK}:{port}"]
    argv += ["--workers", str(workers), "--threads", str(threads), "--graceful-timeout", str(grace)]
    return Program(name=PORTAL, argv=argv, environ=environ, cwd=cwd, log=log, grace=grace + 1.5)


def with_shared_metrics(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return *environ* with an empty *folder* in which the workers of one portal share their metrics."""
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
    """Return the supervisor of the apps in *document*, which contains their secrets and so is sent by pipe.

    It runs as *account*: root, if it starts apps as other users.
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
    grace: int,
) -> dict[str, object]:
    """Return the supervisor's configuration: every app that has a source, and the portal on *port* of this machine.

    *accounts* are the users of portal and apps; *grace* is the seconds for running requests when an app is stopped.
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
        "shared_files": app.shared_files,
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
    """Return the log file of *app*."""
    return settings.data_dir / "logs" / f"{app.slug}.log"


def host_header(url: str) -> str:
    """Return the ``Host`` header for *url*."""
    return urlsplit(url).netloc
