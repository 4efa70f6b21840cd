"""``portal apps``: the state of the apps, their logs, and how to stop, start and restart them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

from portal.cli import options
from portal.cli.messages import examples
from portal.cli.operators import record_command
from portal.contract.argument_types import LINES
from portal.contract.redaction import redact
from portal.contract.supervisor_messages import Action, AppStatus, ControlApp, ListApps, WorkKind
from portal.machine.app_logs import following, last_lines
from portal.machine.exposure import env_values
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.machine.programs import app_log
from portal.machine.supervisor_client import ask
from portal.machine.terminal import plain
from portal.rules.catalogue import AppSpec
from portal.settings import Settings
from portal.supervisor_socket import control_socket

_PATIENCE: Final = 15.0
_PAUSE: Final = 0.1
_STEP: Final = 1000
_TYPED: Final[Mapping[Action, str]] = MappingProxyType(
    {"stop": "apps stop", "start": "apps start", "restart": "apps restart", "restart-now": "apps restart --now"}
)
_COLOURS: Final = {"running": "green", "crashed": "red", "stopped": "yellow"}
"""Of states."""


@click.command(epilog=examples("portal apps list", "portal apps list --json"))
@options.config
@options.as_json
def list_apps(*, config: Path | None, as_json: bool) -> int:
    """List all apps, one line each."""
    settings, _ = configured(config)
    states = _states(settings)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states.values()]))
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
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[1] = click.style(cells[1], fg=_COLOURS.get(row[1]))
        click.echo("  ".join(cells).rstrip())
    return 0


@click.command(epilog=examples("portal apps status", "portal apps status forecast --json"))
@click.argument("name", required=False, metavar="[NAME]", help="The app's name in portal.toml.")
@options.config
@options.as_json
def status(*, name: str | None, config: Path | None, as_json: bool) -> int:
    """Show the details of one app or of all."""
    settings, _ = configured(config)
    wanted = None if name is None else app_named(settings, name).slug
    states = [state for slug, state in _states(settings).items() if wanted in {None, slug}]
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
    elif wanted is not None and not states:
        click.echo(f"{wanted} runs elsewhere: {app_named(settings, wanted).url}")
    else:
        click.echo(
            "\n\n".join(_details(state, log=app_log(settings, app_named(settings, state.app))) for state in states)
        )
    return 0


@click.command(epilog=examples("portal apps logs forecast", "portal apps logs forecast --lines 200 --follow"))
@options.name
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written next, until Ctrl-C.")
@click.option("-n", "--lines", type=options.Number(LINES), default=50, metavar="N", help="Print the last N lines.")
@options.config
def logs(*, name: str, follow: bool, lines: int, config: Path | None) -> int:
    """Show what an app printed."""
    settings, variables = configured(config)
    app = _supervised_app(settings, name)
    log = app_log(settings, app)
    values = env_values([app.env_file])
    if values is None:
        raise CommandFailed(
            f"This user cannot read {app.env_file}, whose values the log must not show. Use the command as root.",
            exit_code=ENDED,
        )
    hidden = (*(variables.get(name, "") for name in app.secrets), *values)
    try:
        last, end = last_lines(log, lines)
        for line in chain(last, following(log, end) if follow else ()):
            click.echo(plain(redact(line, hidden=hidden)))
    except OSError as error:
        if error.filename is None:  # standard output
            raise
        raise CommandFailed(f"{log}: {error.strerror}.", exit_code=ENDED) from error
    except KeyboardInterrupt:  # ends --follow
        pass
    return 0


@click.command(epilog=examples("portal apps stop forecast"))
@options.name
@options.config
def stop(*, name: str, config: Path | None) -> int:
    """Stop an app until it is started again."""
    return _order("stop", name, config=config)


@click.command(epilog=examples("portal apps start forecast"))
@options.name
@options.config
def start(*, name: str, config: Path | None) -> int:
    """Start an app that is stopped or waits for its next start."""
    return _order("start", name, config=config)


@click.command(epilog=examples("portal apps restart forecast", "portal apps restart forecast --now"))
@options.name
@click.option("--now", is_flag=True, help="Stop the old process first: its running requests are lost.")
@options.config
def restart(*, name: str, now: bool, config: Path | None) -> int:
    """Replace an app's process with a new one, without a gap."""
    return _order("restart-now" if now else "restart", name, config=config)


def _order(do: Action, name: str, *, config: Path | None) -> int:
    """Tell the supervisor to *do* it, and wait until it is done."""
    settings, _ = configured(config)
    app = _supervised_app(settings, name)
    control = control_socket(settings)
    before = _one(ask(control, ListApps()).apps, app.slug)
    ask(control, ControlApp(do, app.slug))
    record_command(settings, _TYPED[do], app=app.slug)
    state = _one(ask(control, ListApps()).apps, app.slug)
    patience = _PATIENCE
    if do == "restart" and before.state == "running":
        patience += state.start_timeout
        click.echo(f"{app.slug}: a new process starts; the old one answers meanwhile.")
    deadline = time.monotonic() + patience
    while not _is_done(do, before, state) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        state = _one(ask(control, ListApps()).apps, app.slug)
    if state.failed_replacements > before.failed_replacements:
        raise CommandFailed(
            f"{app.slug} was not replaced: {state.problem} The old process goes on. See `portal apps logs {app.slug}`.",
            exit_code=ENDED,
        )
    click.echo(f"{app.slug}: {_summary(state)}")
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
        return {}  # without a supervisor
    _refuse_units(settings)
    return {state.app: state for state in ask(control_socket(settings), ListApps()).apps}


def _one(states: Sequence[AppStatus], slug: str) -> AppStatus:
    for state in states:
        if state.app == slug:
            return state
    raise CommandFailed(
        f"{slug}: the supervisor started before this app was configured. Run `portal reload`.", exit_code=ENDED
    )


def app_named(settings: Settings, name: str) -> AppSpec:
    """Return the app called *name*.

    Raises:
        CommandFailed: there is none.
    """
    app = settings.catalogue.find(name)
    if app is None:
        known = ", ".join(one.slug for one in settings.catalogue) or "none"
        raise CommandFailed(f"There is no app called {name!r}. There are: {known}.")
    return app


def _supervised_app(settings: Settings, name: str) -> AppSpec:
    app = app_named(settings, name)
    if app.source is None:
        raise CommandFailed(f"{app.slug} runs elsewhere ({app.url}); this machine does not start it or keep its log.")
    _refuse_units(settings)
    return app


def _refuse_units(settings: Settings) -> None:
    """Refuse where systemd runs the apps, and name its commands."""
    if settings.apps_run_by == "systemd":
        raise CommandFailed(
            'portal.apps_run_by is "systemd", so systemd runs the apps. Use systemctl status (or restart, stop, start) '
            "gradio-app-NAME, and journalctl -u gradio-app-NAME for the log.",
            exit_code=ENDED,
        )


def _row(state: AppStatus) -> tuple[str, ...]:
    memory = "-" if state.memory is None else _size(state.memory)
    pid = "-" if state.pid is None else str(state.pid)
    return (
        state.app,
        state.state,
        _time(state.seconds),
        pid,
        memory,
        str(state.restarts),
        state.reason or state.last_line or "",
    )


def _details(state: AppStatus, *, log: Path) -> str:
    limit = "" if state.memory_limit is None else f" of {_size(state.memory_limit)}"
    usual = "not known yet" if state.usual_start is None else _time(state.usual_start)
    facts = {
        "state": _summary(state),
        "process": "none" if state.pid is None else str(state.pid),
        "memory": "-" if state.memory is None else f"{_size(state.memory)}{limit}",
        "restarts": str(state.restarts),
        "starting": f"usually {usual}, at most {_time(state.start_timeout)}",
        "port": str(state.port),
        "log": str(log),
        "in use by": _open_connections(state),
        "last line": state.last_line or "-",
    }
    if state.problem is not None:
        facts["not replaced"] = state.problem
    return "\n".join([f"{state.app} ({state.title})", *(f"  {name:<12} {fact}" for name, fact in facts.items())])


def _open_connections(state: AppStatus) -> str:
    names: dict[WorkKind, str] = {
        "request": "requests",
        "stream": "streams",
        "socket": "WebSockets",
        "page": "open pages",
    }
    return ", ".join(f"{state.open.get(kind, 0)} {name}" for kind, name in names.items())


def _summary(state: AppStatus) -> str:
    if state.state == "crashed":
        return f"crashed; next start in {_time(state.pause or 0)}. {state.reason}"
    summary = f"{state.state} {'for' if state.state == 'starting' else 'since'} {_time(state.seconds)}"
    if state.replacing:
        return f"{summary}; a new process starts beside it"
    return f"{summary}; an old process finishes its requests" if state.leaving else summary


def _time(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole} s" if minutes else f"{whole} s"


def _size(count: int) -> str:
    megabytes = count / _STEP**2
    return f"{megabytes:.0f} MB" if megabytes < _STEP else f"{megabytes / _STEP:.1f} GB"
