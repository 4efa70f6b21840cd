"""Sends commands to the supervisor of this machine's apps over its control socket.

What is spoken is written down where it is answered: ``gradio_apps/runtime/supervisor/control.py``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from portal.contract.local_sockets import connected
from portal.settings import Settings

STATES: Final = ("crashed", "running", "starting", "stopped")
"""What an app may be."""
KINDS: Final = ("page", "request", "socket", "stream")
"""What may be under way in an app."""
PATIENCE: Final = 10.0
"""Seconds that an answer may take, where nobody says otherwise."""
_LARGEST: Final = 4 * 1024 * 1024


class SupervisorAway(Exception):
    """Nobody answers at the control socket, or not as a supervisor does."""


class SupervisorRefused(Exception):
    """``str(error)`` is what the supervisor says is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """How the supervisor says that an app stands."""

    app: str
    title: str
    state: str
    seconds: float
    pid: int | None
    memory: int | None
    memory_limit: int | None
    restarts: int
    reason: str | None
    pause: float | None
    replacing: bool
    """Whether a new process comes up beside the one that answers."""
    leaving: int
    """How many replaced processes finish what runs in them."""
    failed_replacements: int
    problem: str | None
    """Why the last replacement failed, until one does not."""
    open: Mapping[str, int]
    """What is under way, by kind."""
    last_start: float | None
    usual_start: float | None
    start_timeout: int
    drain_timeout: int
    port: int
    last_line: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the supervisor answered."""

    apps: tuple[AppState, ...]
    changes: Mapping[str, str] = field(default_factory=dict)
    """Of a reload: what becomes of each app."""


def control_socket(settings: Settings) -> Path:
    """Return where the supervisor listens for its operator."""
    return settings.data_dir / "supervisor.sock"


def ask(path: Path, do: str, members: Mapping[str, object] | None = None, *, patience: float = PATIENCE) -> Answer:
    """Ask the supervisor at *path* to *do* something, with *members* besides, within *patience* seconds.

    Raises:
        SupervisorAway: nobody answers.
        SupervisorRefused: the supervisor says no.
    """
    try:
        answer = json.loads(
            _exchange(path, json.dumps({"do": do, **(members or {})}).encode() + b"\n", patience=patience)
        )
        if not answer["ok"]:
            raise SupervisorRefused(str(answer["problem"]))
        return Answer(tuple(_state(one) for one in answer["apps"]), answer.get("changes") or {})
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SupervisorAway(f"no supervisor answers at {path}") from error


def _exchange(path: Path, line: bytes, *, patience: float) -> bytes:
    """Send *line* to the Unix socket *path* and return the line that comes back.

    Raises:
        OSError: nobody listens there, or nothing came in time.
    """
    with connected(path, patience=patience) as connection:
        connection.sendall(line)
        with connection.makefile("rb") as answer:
            return answer.readline(_LARGEST)


def _state(described: dict[str, Any]) -> AppState:
    known: dict[str, Any] = {name: described.get(name) for name in AppState.__dataclass_fields__}
    return AppState(**{**known, "open": known["open"] or {}})
