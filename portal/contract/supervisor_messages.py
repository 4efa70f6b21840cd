"""The messages on the supervisor's control socket: one command, then one answer, each a JSON object on its own line.

Commands:

    {"do": "list"}
    {"do": "restart", "app": "forecast"}     also "restart-now", "start" and "stop"
    {"do": "reload", "document": { … }, "every_app": false}

Answers; each arrives at once, and the work is done soon after:

    {"ok": true, "apps": [ … ]}              every app, or the one that the command names
    {"ok": true, "apps": [ … ], "changes": {"forecast": "replaced"}}
    {"ok": false, "problem": "There is no app called 'forcast'."}

Readers ignore members that they do not know.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, TypeAlias, get_args

State: TypeAlias = Literal["crashed", "running", "starting", "stopped"]
WorkKind: TypeAlias = Literal["page", "request", "socket", "stream"]
"""Kinds of open work: a page's heartbeat, a request being answered, a WebSocket, an event stream."""
Action: TypeAlias = Literal["restart", "restart-now", "start", "stop"]
"""``restart`` puts a new process in the place of the old one without a gap."""
Change: TypeAlias = Literal["added", "removed", "moved", "replaced", "adjusted", "kept"]
"""``moved``: listens on another address, so ended and started again; ``adjusted``: without a new process."""

MAX_LINE: Final = 4 * 1024 * 1024
"""Longest line that either side reads, in bytes."""


class InvalidMessage(Exception):
    """A line is not a message of this protocol; ``str(error)`` is a sentence that quotes no value."""


@dataclass(frozen=True, slots=True)
class ListApps:
    """Report every app."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "list"})


@dataclass(frozen=True, slots=True)
class ControlApp:
    """Restart, start or stop one app."""

    action: Action
    app: str
    """Its slug."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": self.action, "app": self.app})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadApps:
    """Follow another document; its shape is that of the supervisor's standard input."""

    document: Mapping[str, object] = field(repr=False)
    """Holds secrets."""
    every_app: bool
    """Whether every app gets a new process, changed or not."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "reload", "document": self.document, "every_app": self.every_app})


OperatorCommand: TypeAlias = ListApps | ControlApp | ReloadApps


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStatus:
    """The status of one app; times are in seconds, sizes in bytes, and ``None`` means not known or not set."""

    app: str
    """Its slug."""
    title: str
    state: State
    seconds: float
    """Time in this state."""
    pid: int | None
    memory: int | None
    memory_limit: int | None
    restarts: int
    reason: str | None
    """Of ``crashed``: why, in a sentence."""
    pause: float | None
    """Of ``crashed``: time until the next start."""
    replacing: bool
    """Whether a new process is starting beside the one that answers."""
    leaving: int
    """Number of replaced processes that still finish their work."""
    failed_replacements: int
    problem: str | None
    """Why the last replacement failed, until one succeeds."""
    open: Mapping[WorkKind, int]
    """Number of open requests, by kind."""
    last_start: float | None
    """How long the last start took."""
    usual_start: float | None
    """How long a start usually takes."""
    start_timeout: int
    drain_timeout: int
    port: int
    last_line: str
    """Last line of its log, without secrets."""


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """The command was accepted."""

    apps: tuple[AppStatus, ...]
    changes: Mapping[str, Change] | None = None
    """Of a reload: what happens to each app."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        changes = {} if self.changes is None else {"changes": self.changes}
        return _line({"ok": True, "apps": [asdict(app) for app in self.apps], **changes})


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The command was refused; *problem* is a sentence for the operator."""

    problem: str

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"ok": False, "problem": self.problem})


_JSON_TYPES: Final[Mapping[Any, Any]] = {
    State: str,
    Mapping[WorkKind, int]: dict,
    float: float | int,
    float | None: float | int | None,
}
"""What a field's type is in JSON, where ``isinstance`` cannot check the type itself."""


def read_command(line: bytes) -> OperatorCommand:
    """Return the command in *line*.

    Raises:
        InvalidMessage: it is not a command.
    """
    members = _members(line)
    match members.get("do"):
        case "list":
            return ListApps()
        case "restart" | "restart-now" | "start" | "stop" as action:
            return ControlApp(action, _member(members, "app", str))
        case "reload":
            document = _member(members, "document", dict)
            return ReloadApps(document=document, every_app=members.get("every_app") is True)
        case _:
            raise InvalidMessage("Unknown command.")


def read_answer(line: bytes) -> CommandAccepted | CommandRefused:
    """Return the answer in *line*.

    Raises:
        InvalidMessage: it is not an answer.
    """
    members = _members(line)
    if not _member(members, "ok", bool):
        return CommandRefused(_member(members, "problem", str))
    changes = _member(members, "changes", dict | None)
    if changes is not None and not all(change in get_args(Change) for change in changes.values()):
        raise _wrong("changes")
    return CommandAccepted(tuple(_read_app(app) for app in _member(members, "apps", list)), changes)


def _read_app(app: object) -> AppStatus:
    if not isinstance(app, dict):
        raise _wrong("apps")
    values = {one.name: _member(app, one.name, _JSON_TYPES.get(one.type, one.type)) for one in fields(AppStatus)}
    if values["state"] not in get_args(State):
        raise _wrong("state")
    if not all(kind in get_args(WorkKind) and isinstance(count, int) for kind, count in values["open"].items()):
        raise _wrong("open")
    return AppStatus(**values)


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode("ascii") + b"\n"


def _members(line: bytes) -> dict[str, Any]:
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise InvalidMessage("The message is not a JSON object on one line.")
    return members


def _member(members: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = members.get(name)
    if not isinstance(value, kind):
        raise _wrong(name)
    return value


def _wrong(name: str) -> InvalidMessage:
    return InvalidMessage(f"The member {name!r} of the message is missing or has the wrong type.")
