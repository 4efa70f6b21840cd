"""``portal apps``: how the apps are, their logs, stopping and starting them, their environments and client secrets."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from portal.cli import app_secrets, install
from portal.clock import system_clock
from portal.contract.argument_types import LINES
from portal.contract.redaction import redacted
from portal.contract.supervisor_messages import Action, AppStatus, ControlApp, ListApps, WorkKind
from portal.errors import StoreUnavailable
from portal.machine.app_logs import following, last_lines
from portal.machine.exposure import env_values
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.privilege_drop import acting_for
from portal.machine.problems import configured
from portal.machine.programs import app_log
from portal.machine.supervisor_client import ask
from portal.machine.terminal import plain
from portal.rules.catalogue import AppSpec
from portal.settings import Settings
from portal.storage.database import Database
from portal.supervisor_socket import control_socket
from portal.web.services import app_credentials

_PATIENCE: Final = 15.0
_PAUSE: Final = 0.1
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_STEP: Final = 1000


def add_to(commands: Any) -> None:
    """Add this subcommand, and its own, to *commands*."""
    parser = commands.add_parser(
        "apps", help="how the apps are; stop, start, restart; logs; environments; client secrets"
    )
    parts = parser.add_subparsers(title="what to do", required=True, metavar="WHAT")
    listing = _part(parts, "list", list_apps, "all apps, one line each", named=False)
    status = _part(parts, "status", show_status, "everything about one app, or about all", named=False)
    status.add_argument("name", nargs="?", metavar="NAME", help="its name in portal.toml")
    for one in (listing, status):
        one.add_argument("--json", action="store_true", help="for programs")
    logs = _part(parts, "logs", show_logs, "what it printed")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it is written")
    logs.add_argument("-n", "--lines", type=LINES, default=50, metavar="N", help="the last N lines (default 50)")
    _part(parts, "stop", lambda options: _order(options, "stop"), "end it, and leave it so until it is started")
    _part(
        parts, "start", lambda options: _order(options, "start"), "start it if it is stopped, or waits to be restarted"
    )
    restart = _part(parts, "restart", _restart, "put a new process in the place of its old one, without a gap")
    restart.add_argument("--now", action="store_true", help="end the old one first: what runs in it is lost")
    install.add_arguments(_part(parts, "install", install.run, "make its environment from its requirements, with uv"))
    secret = _part(parts, "secret", show_secret, "print its client secret, for an app that runs elsewhere")
    secret.add_argument("--rotate", action="store_true", help="make a new one; the old one ends at once")
    app_secrets.add_arguments(
        _part(parts, "secrets", app_secrets.run, "write those of all apps that run elsewhere into files", named=False)
    )


def list_apps(options: argparse.Namespace) -> int:
    """Print a line about each app."""
    settings, _ = configured(options.config)
    states = _states(settings)
    if options.json:
        print(json.dumps([asdict(state) for state in states.values()]))
        return 0
    rows: list[tuple[str, ...]] = [("APP", "STATE", "SINCE", "PID", "MEMORY", "RESTARTS", "LAST LINE")]
    for app in settings.catalogue:
        state = states.get(app.slug)
        if state is None:
            where = "elsewhere" if app.source is None else "unknown"
            rows.append((app.slug, where, "-", "-", "-", "-", app.url))
        else:
            rows.append(_row(state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def show_status(options: argparse.Namespace) -> int:
    """Print everything about one app, or about all."""
    settings, _ = configured(options.config)
    wanted = None if options.name is None else _app(settings, options.name).slug
    states = [state for slug, state in _states(settings).items() if wanted in {None, slug}]
    if options.json:
        print(json.dumps([asdict(state) for state in states]))
    elif wanted is not None and not states:
        print(f"{wanted} runs elsewhere: {_app(settings, wanted).url}")
    else:
        print("\n\n".join(_told(state, log=app_log(settings, _app(settings, state.app))) for state in states))
    return 0


def show_logs(options: argparse.Namespace) -> int:
    """Print the end of an app's log, and with ``-f`` what follows.

    Raises:
        CommandFailed: the app runs elsewhere, has no log yet, or one whose secrets this user must not know.
    """
    settings, variables = configured(options.config)
    app = _supervised(settings, options.name)
    log = app_log(settings, app)
    supplied = env_values([app.env_file])
    if supplied is None:
        raise CommandFailed(
            f"{app.env_file} cannot be read by this user, and what it holds is shown nowhere: ask as root.",
            exit_code=ENDED,
        )
    hidden = (*(variables.get(name, "") for name in app.secrets), *supplied)
    try:
        lines, end = last_lines(log, options.lines)
        for line in lines:
            print(plain(redacted(line, hidden=hidden)), flush=True)
        if options.follow:
            for line in following(log, end):
                print(plain(redacted(line, hidden=hidden)), flush=True)
    except OSError as error:
        raise CommandFailed(f"{log}: {error.strerror}.", exit_code=ENDED) from error
    except KeyboardInterrupt:  # the way to end -f
        pass
    return 0


def show_secret(options: argparse.Namespace) -> int:
    """Print the client secret of an app, made now if there is none.

    Raises:
        CommandFailed: there is no such app, or the database cannot be used.
    """
    settings, _ = configured(options.config)
    app = _app(settings, options.name)
    try:
        with acting_for(settings):
            database = Database(settings.database_url)
            database.upgrade()
            known = app_credentials(settings, database, clock=system_clock)
            secret = known.rotate(app.slug) if options.rotate else known.secret_of(app.slug)
            database.close()
    except StoreUnavailable as error:
        raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
    print(secret.reveal())
    if options.rotate:
        fix = "start it again with this one" if app.source is None else "portal reload hands it on"
        sys.stderr.write(f"portal: the old secret of {app.slug} opens nothing any more: {fix}.\n")
    return 0


def _restart(options: argparse.Namespace) -> int:
    return _order(options, "restart-now" if options.now else "restart")


def _order(options: argparse.Namespace, do: Action) -> int:
    """Ask for *do*, and wait until it has come about."""
    settings, _ = configured(options.config)
    app = _supervised(settings, options.name)
    control = control_socket(settings)
    before = _one(ask(control, ListApps()).apps, app.slug)
    ask(control, ControlApp(do, app.slug))
    state = _one(ask(control, ListApps()).apps, app.slug)
    patience = _PATIENCE
    if do == "restart" and before.state == "running":
        patience += state.start_timeout
        print(f"{app.slug}: a new process comes up; the old one answers meanwhile.", flush=True)
    deadline = time.monotonic() + patience
    while not _is_done(do, before, state) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        state = _one(ask(control, ListApps()).apps, app.slug)
    if state.failed_replacements > before.failed_replacements:
        raise CommandFailed(
            f"{app.slug} was not replaced: {state.problem} The old process goes on. See portal apps logs {app.slug}.",
            exit_code=ENDED,
        )
    print(f"{app.slug}: {_in_words(state)}")
    return 0 if _is_done(do, before, state) else ENDED


def _is_done(do: Action, before: AppStatus, now: AppStatus) -> bool:
    if do == "stop":
        return now.state == "stopped"
    if do == "start" and before.state in {"running", "starting"}:
        return True
    if do == "restart" and before.state == "running":
        failed = now.failed_replacements > before.failed_replacements
        return failed or (now.pid != before.pid and not now.replacing)
    return now.restarts > before.restarts or (before.state == "stopped" and now.state != "stopped")


def _states(settings: Settings) -> dict[str, AppStatus]:
    if all(app.source is None for app in settings.catalogue):
        return {}  # there is no supervisor to ask
    _refuse_units(settings)
    return {state.app: state for state in ask(control_socket(settings), ListApps()).apps}


def _one(states: Sequence[AppStatus], slug: str) -> AppStatus:
    for state in states:
        if state.app == slug:
            return state
    raise CommandFailed(
        f"{slug}: the supervisor was started before this app was configured. Ask for portal reload.", exit_code=ENDED
    )


def _app(settings: Settings, name: str) -> AppSpec:
    app = settings.catalogue.find(name)
    if app is None:
        known = ", ".join(one.slug for one in settings.catalogue) or "none"
        raise CommandFailed(f"There is no app called {name!r}. There are: {known}.")
    return app


def _supervised(settings: Settings, name: str) -> AppSpec:
    app = _app(settings, name)
    if app.source is None:
        raise CommandFailed(f"{app.slug} runs elsewhere ({app.url}); this machine does not start it or keep its log.")
    _refuse_units(settings)
    return app


def _refuse_units(settings: Settings) -> None:
    """Say where to ask about apps that no supervisor of ours keeps."""
    if settings.apps_run_by == "systemd":
        raise CommandFailed(
            'portal.apps_run_by is "systemd", so systemd keeps the apps: systemctl status (or restart, stop, start) '
            "gradio-app-NAME, and journalctl -u gradio-app-NAME for the log.",
            exit_code=ENDED,
        )


def _row(state: AppStatus) -> tuple[str, ...]:
    said = state.reason or state.last_line or ""
    memory = "-" if state.memory is None else _size(state.memory)
    pid = "-" if state.pid is None else str(state.pid)
    return (state.app, state.state, _time(state.seconds), pid, memory, str(state.restarts), said)


def _told(state: AppStatus, *, log: Path) -> str:
    limit = "" if state.memory_limit is None else f" of {_size(state.memory_limit)}"
    usual = "not known yet" if state.usual_start is None else _time(state.usual_start)
    facts = {
        "state": _in_words(state),
        "process": "none" if state.pid is None else str(state.pid),
        "memory": "-" if state.memory is None else f"{_size(state.memory)}{limit}",
        "restarts": str(state.restarts),
        "starting": f"usually {usual}, at most {_time(state.start_timeout)}",
        "port": str(state.port),
        "log": str(log),
        "under way": _open(state),
        "last line": state.last_line or "-",
    }
    if state.problem is not None:
        facts["not replaced"] = state.problem
    return "\n".join([f"{state.app} ({state.title})", *(f"  {name:<12} {fact}" for name, fact in facts.items())])


def _open(state: AppStatus) -> str:
    names: dict[WorkKind, str] = {
        "request": "requests",
        "stream": "streams",
        "socket": "WebSockets",
        "page": "open pages",
    }
    return ", ".join(f"{state.open.get(kind, 0)} {name}" for kind, name in names.items())


def _in_words(state: AppStatus) -> str:
    if state.state == "crashed":
        return f"crashed; next start in {_time(state.pause or 0)}. {state.reason}"
    words = f"{state.state} {'for' if state.state == 'starting' else 'since'} {_time(state.seconds)}"
    if state.replacing:
        return f"{words}; a new process comes up beside it"
    return f"{words}; an old process finishes what runs in it" if state.leaving else words


def _time(seconds: float) -> str:
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def _size(count: int) -> str:
    megabytes = count / _STEP**2
    return f"{megabytes:.0f} MB" if megabytes < _STEP else f"{megabytes / _STEP:.1f} GB"


def _part(
    parts: Any, name: str, run: Callable[[argparse.Namespace], int], what: str, *, named: bool = True
) -> argparse.ArgumentParser:
    part: argparse.ArgumentParser = parts.add_parser(name, help=what, description=what.capitalize() + ".")
    if named:
        part.add_argument("name", metavar="NAME", help="its name in portal.toml")
    part.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    part.set_defaults(run=run)
    return part
