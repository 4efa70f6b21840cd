"""The messages between the supervisor and one app's process: a JSON object per line, on a socket pair of their own.

The process reports its status whenever that changes, and each app session that ends in it:

    {"state": "running", "accepting": true, "problem": "", "open": {"stream": 2, "page": 5}, "listening": ["3x9…"]}
    {"ended": "…"}

The supervisor sends commands:

    {"do": "accept"}                           accept connections
    {"do": "leave", "seconds": 120}            accept no more, finish running work, and end
    {"do": "elsewhere", "sessions": ["3x9…"]}  these Gradio sessions have a stream open in the draining process
    {"do": "end", "session": "…"}              this app session has ended in another process

The author's code runs in the same process, so its messages are checked, and only affect that app.  Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, TypeGuard, cast, get_args

from portal.contract.supervisor_messages import WorkKind

State = Literal["starting", "running", "failed"]

MAX_LINE: Final = 256 * 1024
"""Longest line that either side reads, in bytes."""
MAX_SESSIONS: Final = 1024
"""Most Gradio sessions in one line."""
_MAX_ID: Final = 128
_MAX_PROBLEM: Final = 400
_MOST: Final = 1_000_000
_LONGEST: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of a process."""

    state: State = "starting"
    accepting: bool = False
    """Whether it accepts connections."""
    problem: str = ""
    """Of ``failed``: why, in a sentence."""
    open: Mapping[WorkKind, int] = field(default_factory=dict)
    """Number of open requests, by kind."""
    listening: tuple[str, ...] = ()
    """Gradio sessions with an event stream open."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line(
            {
                "state": self.state,
                "accepting": self.accepting,
                "problem": self.problem[:_MAX_PROBLEM],
                "open": dict(self.open),
                "listening": list(self.listening[:MAX_SESSIONS]),
            }
        )


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """An app session ended."""

    session: str

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"ended": self.session})


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept connections."""

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "accept"})


@dataclass(frozen=True, slots=True)
class Leave:
    """Accept no more connections, finish running work within *seconds*, and end."""

    seconds: float

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "leave", "seconds": self.seconds})


@dataclass(frozen=True, slots=True)
class Draining:
    """These Gradio sessions have an event stream open in a draining process; each command replaces the one before."""

    sessions: tuple[str, ...]

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "elsewhere", "sessions": list(self.sessions[:MAX_SESSIONS])})


@dataclass(frozen=True, slots=True)
class EndSession:
    """End an app session."""

    session: str

    def to_line(self) -> bytes:
        """Return this as a line."""
        return _line({"do": "end", "session": self.session})


Command: TypeAlias = Accept | Leave | Draining | EndSession


def read_status(line: bytes) -> Status | SessionEnded | None:
    """Return the message of a process in *line*, or ``None`` if it is not valid."""
    members = _members(line)
    if "ended" in members:
        return SessionEnded(members["ended"]) if _is_id(members["ended"]) else None
    state, accepting, problem = members.get("state"), members.get("accepting"), members.get("problem", "")
    counts, listening = members.get("open"), members.get("listening")
    if state not in get_args(State) or type(accepting) is not bool or type(problem) is not str:
        return None
    if type(counts) is not dict or not all(
        kind in get_args(WorkKind) and type(count) is int and 0 <= count <= _MOST for kind, count in counts.items()
    ):
        return None
    if not _are_sessions(listening):
        return None
    return Status(
        state=cast("State", state),
        accepting=accepting,
        problem="".join(character for character in problem[:_MAX_PROBLEM] if character.isprintable()),
        open=cast("dict[WorkKind, int]", counts),
        listening=tuple(listening),
    )


def read_command(line: bytes) -> Command | None:
    """Return the supervisor's command in *line*, or ``None`` if it is not valid."""
    match _members(line):
        case {"do": "accept"}:
            return Accept()
        case {"do": "leave", "seconds": int() | float() as seconds} if 0 <= seconds <= _LONGEST:
            return Leave(float(seconds))
        case {"do": "elsewhere", "sessions": list() as sessions} if _are_sessions(sessions):
            return Draining(tuple(sessions))
        case {"do": "end", "session": str() as session} if _is_id(session):
            return EndSession(session)
        case _:
            return None


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def _members(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict else {}


def _is_id(value: object) -> TypeGuard[str]:
    return type(value) is str and 0 < len(value) <= _MAX_ID


def _are_sessions(value: object) -> TypeGuard[list[str]]:
    return type(value) is list and len(value) <= MAX_SESSIONS and all(map(_is_id, value))
