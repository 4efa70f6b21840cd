"""Starting the portal and its apps, announcing when they are ready, and running until they end."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from portal.clock import system_clock
from portal.contract.guard_paths import HEALTH_PATH
from portal.contract.redaction import redact
from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED
from portal.machine.processes import Ended, Processes, Program, tail_of
from portal.machine.programs import (
    BRIEF,
    app_log,
    host_header,
    portal_program,
    supervisor_document,
    supervisor_program,
    with_shared_metrics,
)
from portal.machine.readiness import HealthCheck, state_of
from portal.machine.users import ROOT, Accounts
from portal.rules.catalogue import AppSpec
from portal.settings import Settings
from portal.storage.database import Database
from portal.storage.private_files import make_private_folder
from portal.web.services import app_credentials

PATIENCE: Final = 60.0
"""Seconds after which an app that is still starting is reported."""
_OVERTIME: Final = 2.5
"""Seconds that the supervisor gets to end, beyond the grace of its apps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start the portal."""

    settings: Settings
    port: int
    environ: Mapping[str, str]
    """Of the portal."""
    app_environ: Mapping[str, str]
    """Of the supervisor: no secrets."""
    secrets_from: Mapping[str, str]
    """Variables with the apps' own secrets."""
    cwd: Path
    logs: Path | None
    """Folder of the processes' logs; ``None``: this process's output."""
    workers: int
    threads: int
    accounts: Accounts = field(default_factory=lambda: Accounts(portal=None))
    """Users of portal and apps."""
    grace: int = BRIEF
    """Seconds for running requests of the portal when it ends or its processes are replaced."""
    apps_grace: int = 1
    """Seconds for running requests of the apps when they end."""
    version: str = ""
    """Installed version, where it may change while the portal runs."""


def start(processes: Processes, launch: Launch) -> None:
    """Start the supervisor and the portal; the supervisor first, because it takes longest.

    Raises:
        StoreUnavailable: the database or the data folder cannot be used.
    """
    settings = launch.settings
    try:
        make_private_folder(settings.data_dir)
    except OSError as error:
        raise StoreUnavailable(f"the data folder cannot be used: {error}") from error
    document = document_of(launch)
    (settings.data_dir / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
    if document["apps"]:
        processes.start(supervisor_of(launch, document))
    processes.start(
        portal_program(
            port=launch.port,
            environ=with_shared_metrics(launch.environ, settings.data_dir / "metrics"),
            cwd=launch.cwd,
            log=_log(launch, "portal.log"),
            workers=launch.workers,
            threads=launch.threads,
            grace=launch.grace,
        )
    )


def document_of(launch: Launch) -> dict[str, object]:
    """Return the configuration of the supervisor.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    settings = launch.settings
    database = Database(settings.database_url)
    try:
        database.upgrade()
        credentials = app_credentials(settings, database, clock=system_clock)
        return supervisor_document(
            settings,
            port=launch.port,
            secret_of=credentials.secret_of,
            environ=launch.secrets_from,
            accounts=launch.accounts,
            grace=launch.apps_grace,
        )
    finally:
        database.close()


def supervisor_of(launch: Launch, document: Mapping[str, object]) -> Program:
    """Return the supervisor with the configuration *document*."""
    return supervisor_program(
        document=document,
        environ=launch.app_environ,
        cwd=launch.cwd,
        log=_log(launch, "supervisor.log"),
        account=ROOT if launch.accounts.apps else None,
        grace=launch.apps_grace + _OVERTIME,
    )


def _log(launch: Launch, name: str) -> Path | None:
    return None if launch.logs is None else launch.logs / name


def portal_health_check(launch: Launch) -> HealthCheck:
    """Return the health check of the portal."""
    return HealthCheck(port=launch.port, host=host_header(launch.settings.url), path="/readyz")


class StartupMonitor:
    """Checks the started processes, one at a time, and reports each result once."""

    def __init__(
        self,
        settings: Settings,
        *,
        checks: Iterable[HealthCheck],
        announce: Callable[[], None],
        hidden: Collection[str] | None = None,
        failed: Callable[[str], None] = lambda _log: None,
    ) -> None:
        self._settings = settings
        self._checks = deque(checks)
        """These must succeed before anything is announced."""
        self._announce = announce
        self._hidden = hidden
        """Values to redact in logs; ``None``: unknown."""
        self._failed = failed
        self._apps = deque(app for app in settings.catalogue if app.source is not None and app.port)
        self._all_running = bool(self._apps)
        self._since = monotonic()

    def look(self) -> None:
        """Run one check; short, because signals wait for it."""
        if self._checks:
            if state_of(self._checks[0]) == "running":
                self._checks.popleft()
                if not self._checks:
                    self._announce()
        elif self._apps:
            self._check_app(self._apps.popleft())

    def _check_app(self, app: AppSpec) -> None:
        state = state_of(app_health_check(app))
        log = app_log(self._settings, app)
        if state == "starting" and monotonic() - self._since < PATIENCE:
            self._apps.append(app)
            return
        may_hold_secrets = self._hidden is None and (app.secrets or app.env_file is not None)
        if state == "failed" and may_hold_secrets:
            print(f"\n{app.title} could not be started. portal apps logs {app.slug} shows the reason.", flush=True)
        elif state == "failed":
            last = redact(tail_of(log), hidden=self._hidden or ())
            print(f"\n{app.title} could not be started. The end of {log}:\n{_indented(last)}", flush=True)
            self._failed(last)
        elif state == "starting":
            print(f"{app.title} is still starting. Its log: {log}", flush=True)
        self._all_running = self._all_running and state == "running"
        if self._all_running and not self._apps:
            print("All apps are running.", flush=True)


def app_health_check(app: AppSpec) -> HealthCheck:
    """Return the health check of *app*, which its guard answers."""
    path = urlsplit(app.url).path
    return HealthCheck(port=app.port or 0, host=host_header(app.url), path=f"{path}{HEALTH_PATH}")


def stay(
    processes: Processes, step: Callable[[], None], *, restart: Callable[[Ended], bool] = lambda _ended: False
) -> int:
    """Call *step* repeatedly until a signal to stop (0) or until a process ends by itself (1); return the exit code.

    *restart* may start a process that ended by itself again; if it returns ``False``, the end of its log is printed.
    """
    ended = processes.watch(step=step)
    while ended is not None and restart(ended):
        ended = processes.watch(step=step)
    if ended is None:
        return 0
    print(f"\n{ended.name[0].upper()}{ended.name[1:]} ended by itself (exit code {ended.code}), so everything ends.")
    last = ended.log_tail()
    if last:
        print(f"The end of {ended.log}:\n{_indented(last)}", flush=True)
    return ENDED


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
