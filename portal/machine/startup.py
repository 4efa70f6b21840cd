"""Starting the portal with its apps, saying when they can be used, and staying until the end."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from portal.clock import system_clock
from portal.contract.redaction import redact
from portal.errors import StoreUnavailable
from portal.machine.failure import ENDED
from portal.machine.processes import Ended, Processes, Program, tail_of
from portal.machine.programs import (
    BRIEF,
    app_log,
    counting_together,
    host_header,
    portal_program,
    supervisor_document,
    supervisor_program,
)
from portal.machine.readiness import HealthCheck, state_of
from portal.machine.users import ROOT, Accounts
from portal.rules.catalogue import AppSpec
from portal.settings import Settings
from portal.storage.database import Database
from portal.storage.private_files import make_private_folder
from portal.web.services import app_credentials

PATIENCE: Final = 60.0
"""Seconds after which an app that is still starting is worth a word."""
_OVERTIME: Final = 2.5
"""Seconds that a supervisor gets beyond what its apps' requests get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the portal is to be started."""

    settings: Settings
    port: int
    environ: Mapping[str, str]
    """Of the portal."""
    app_environ: Mapping[str, str]
    """Of the supervisor: nothing secret."""
    secrets_from: Mapping[str, str]
    """Where the apps' own secrets stand."""
    cwd: Path
    logs: Path | None
    """Folder of the processes' logs; ``None``: they go to this process's own output."""
    workers: int
    threads: int
    accounts: Accounts = field(default_factory=lambda: Accounts(portal=None))
    """Who runs what."""
    grace: int = BRIEF
    """Seconds that running requests of the portal get when it ends or its processes are replaced."""
    apps_grace: int = 1
    """Seconds that running requests of the apps get when these end."""
    version: str = ""
    """What is installed, where that may change meanwhile."""


def start(processes: Processes, launch: Launch) -> None:
    """Start the supervisor, which takes longest, and the portal.

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
            environ=counting_together(launch.environ, settings.data_dir / "metrics"),
            cwd=launch.cwd,
            log=_log(launch, "portal.log"),
            workers=launch.workers,
            threads=launch.threads,
            grace=launch.grace,
        )
    )


def document_of(launch: Launch) -> dict[str, object]:
    """Return what the supervisor is told.

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
    """Return the supervisor that is told *document*."""
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


def portal_door(launch: Launch) -> HealthCheck:
    """Return where the portal says that it is ready."""
    return HealthCheck(port=launch.port, host=host_header(launch.settings.url), path="/readyz")


class StartupMonitor:
    """Looks after what was started, one door at a time, and says each thing once."""

    def __init__(
        self,
        settings: Settings,
        *,
        doors: Iterable[HealthCheck],
        announce: Callable[[], None],
        hidden: Collection[str] | None = None,
        failed: Callable[[str], None] = lambda _log: None,
    ) -> None:
        self._settings = settings
        self._doors = deque(doors)
        """What must answer before anything is announced."""
        self._announce = announce
        self._hidden = hidden
        """What no log may show, where that is known."""
        self._failed = failed
        self._apps = deque(app for app in settings.catalogue if app.source is not None and app.port)
        self._all_well = bool(self._apps)
        self._since = monotonic()

    def look(self) -> None:
        """Look at one door; short, because a signal waits meanwhile."""
        if self._doors:
            if state_of(self._doors[0]) == "running":
                self._doors.popleft()
                if not self._doors:
                    self._announce()
        elif self._apps:
            self._look_at(self._apps.popleft())

    def _look_at(self, app: AppSpec) -> None:
        state = state_of(health_of(app))
        log = app_log(self._settings, app)
        if state == "starting" and monotonic() - self._since < PATIENCE:
            self._apps.append(app)
            return
        may_hold_secrets = self._hidden is None and (app.secrets or app.env_file is not None)
        if state == "failed" and may_hold_secrets:
            print(f"\n{app.title} could not be started: portal apps logs {app.slug} says why.", flush=True)
        elif state == "failed":
            last = redact(tail_of(log), hidden=self._hidden or ())
            print(f"\n{app.title} could not be started. The end of {log}:\n{_indented(last)}", flush=True)
            self._failed(last)
        elif state == "starting":
            print(f"{app.title} is still starting. Its log: {log}", flush=True)
        self._all_well = self._all_well and state == "running"
        if self._all_well and not self._apps:
            print("All apps are running.", flush=True)


def health_of(app: AppSpec) -> HealthCheck:
    """Return where the guard of *app* says how it is."""
    path = urlsplit(app.url).path
    return HealthCheck(port=app.port or 0, host=host_header(app.url), path=f"{path}/.portal/health")


def stay(
    processes: Processes, step: Callable[[], None], *, revived: Callable[[Ended], bool] = lambda _ended: False
) -> int:
    """Stay, taking *step* again and again, until somebody asks for the end (0), or something ends by itself.

    What ends by itself may be *revived*; else it is the end of everything (1), with its last words.
    """
    ended = processes.watch(step=step)
    while ended is not None and revived(ended):
        ended = processes.watch(step=step)
    if ended is None:
        return 0
    print(f"\n{ended.name[0].upper()}{ended.name[1:]} ended by itself (exit code {ended.code}), so everything ends.")
    words = ended.last_words()
    if words:
        print(f"The end of {ended.log}:\n{_indented(words)}", flush=True)
    return ENDED


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
