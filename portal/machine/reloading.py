"""A reload of a running ``portal serve``: new processes with the current ``portal.toml``, without interruption.

It runs one step at a time, because signals and other processes need attention meanwhile.  A reload that is refused
changes nothing.
"""

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from portal.contract.privileges import as_root
from portal.contract.supervisor_messages import AppStatus, Change, ListApps, ReloadApps
from portal.errors import StoreUnavailable
from portal.machine import startup
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.processes import Processes
from portal.machine.programs import SUPERVISOR, host_header
from portal.machine.readiness import HealthCheck, state_of
from portal.machine.startup import Launch
from portal.machine.supervisor_client import ask
from portal.machine.workers import NewWorkers
from portal.supervisor_socket import control_socket

MARGIN: Final = 60.0
"""Seconds that a reload waits beyond the longest start time of an app."""
_PACKAGE: Final = "gradio-portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of a reload."""

    lines: tuple[str, ...]
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One app of which something is expected."""

    before: AppStatus
    change: Change


class Reload:
    """One reload."""

    def __init__(self, processes: Processes, *, old: Launch, new: Launch, every_app: bool) -> None:
        self._processes = processes
        self._old = old
        self._new = new
        self._every_app = every_app
        self._workers = NewWorkers(processes, data_dir=new.settings.data_dir, count=new.workers)
        self._portal = ""
        self._apps: dict[str, str] = {}
        """What came of each app."""
        self._failed = False
        self._portal_done = False
        self._expected: dict[str, Expected] = {}
        self._until = 0.0

    def begin(self) -> None:
        """Check everything, then start everything.

        Raises:
            CommandFailed: it cannot be reloaded; nothing was changed.
        """
        fixed = tuple(fixed_in(self._old, self._new))
        if fixed:
            names = ", ".join(fixed)
            raise CommandFailed(f"These changes need a restart of portal serve: {names}. Nothing was reloaded.")
        try:
            document = startup.document_of(self._new)
        except StoreUnavailable as error:
            raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
        self._set_apps_going(document)
        self._workers.begin()
        longest = max((expected.before.start_timeout for expected in self._expected.values()), default=0)
        self._until = monotonic() + longest + MARGIN

    def look(self) -> Outcome | None:
        """Return the result once it is known."""
        self._portal_done = self._portal_done or self._portal_is_new()
        if self._expected:
            self._look_at_apps()
        if self._portal_done and not self._expected:
            return self._outcome()
        if monotonic() > self._until:
            self._failed = True
            if not self._portal_done:
                self._portal = "The portal: its new processes do not answer; the old ones go on. See its log."
            self._apps |= {slug: f"still starting; see portal apps status {slug}." for slug in self._expected}
            return self._outcome()
        return None

    def _outcome(self) -> Outcome:
        lines = (self._portal, *(f"{slug}: {what}" for slug, what in sorted(self._apps.items())))
        return Outcome(lines=lines, exit_code=ENDED if self._failed else 0)

    def _set_apps_going(self, document: Mapping[str, object]) -> None:
        if self._processes.pid_of(SUPERVISOR) is None:
            if document["apps"]:
                self._processes.start(startup.supervisor_of(self._new, document))
                self._apps = {state.slug: "is started." for state in self._new.settings.catalogue if state.source}
            return
        with as_root():  # where root started it, only root may say who runs what
            command = ReloadApps(document=document, every_app=self._every_app)
            answer = ask(control_socket(self._new.settings), command)
        states = {state.app: state for state in answer.apps}
        for slug, change in (answer.changes or {}).items():
            if change in _SEEN_TO:
                self._apps[slug] = f"{_SEEN_TO[change]}."
            else:
                self._expected[slug] = Expected(before=states[slug], change=change)

    def _look_at_apps(self) -> None:
        try:
            states = ask(control_socket(self._new.settings), ListApps()).apps
        except CommandFailed:  # it is being started again
            return
        for state in states:
            expected = self._expected.get(state.app)
            came_of_it = None if expected is None else outcome_of(expected, state)
            if came_of_it is not None:
                self._apps[state.app], is_good = came_of_it
                self._failed = self._failed or not is_good
                del self._expected[state.app]

    def _portal_is_new(self) -> bool:
        check = HealthCheck(port=self._new.port, host=host_header(self._new.settings.url), path="/healthz")
        if not self._workers.look() or state_of(check) != "running":
            return False
        self._portal = "The portal: its processes are new."
        return True


def outcome_of(expected: Expected, now: AppStatus) -> tuple[str, bool] | None:
    """Return what came of an app, in a sentence, and whether that is good; ``None`` while it is under way."""
    before, change = expected.before, expected.change
    if now.failed_replacements > before.failed_replacements:
        return f"not replaced: {now.problem} The old process goes on.", False
    if now.state == "stopped":
        return "is stopped, and will have the new configuration when it is started.", True
    if now.state == "crashed":
        if before.state == "crashed" and (now.pid, now.restarts) == (before.pid, before.restarts):
            return None  # that is still the process of before, which makes room for the new one
        return f"did not come up: {now.reason}", False
    is_new = change in {"added", "moved"} or now.pid != before.pid
    if now.state != "running" or now.replacing or not is_new:
        return None
    took = "" if now.last_start is None else f" It came up in {now.last_start:.0f} s."
    return f"{change}.{took}", True


def fixed_in(old: Launch, new: Launch) -> Iterator[str]:
    """Yield the differences that need a restart."""
    if (new.port, new.accounts.portal) != (old.port, old.accounts.portal):
        if new.port != old.port:
            yield "the portal's port"
        if new.accounts.portal != old.accounts.portal:
            yield "portal.user"
    if bool(new.accounts.apps) != bool(old.accounts.apps):
        yield "whether apps have users of their own"
    if new.settings.data_dir != old.settings.data_dir:
        yield "portal.data_dir"
    if new.settings.database_url != old.settings.database_url:
        yield "PORTAL_DATABASE_URL"
    if new.version != old.version:
        yield f"the portal itself (version {new.version} is installed, {old.version} is running)"


def installed_version() -> str:
    """Return the version that is installed now; an upgrade may change it while the portal runs."""
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was not installed
        return "unknown"


_SEEN_TO: Final[Mapping[Change, str]] = {
    "kept": "unchanged",
    "adjusted": "its limits were changed, its process goes on",
    "removed": "ended, for it is not in the configuration any more",
}
"""Changes that nothing has to be waited for."""
