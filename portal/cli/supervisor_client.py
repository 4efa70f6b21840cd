"""The command's side of the supervisor's control socket.

What is spoken is written down where it is answered: ``gradio_apps/runtime/supervisor/control.py``.
"""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portal.cli.failure import ENDED, CommandFailed

_PATIENCE: Final = 10.0
_LARGEST: Final = 4 * 1024 * 1024


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
    usual_start: float | None
    start_timeout: int
    port: int
    last_line: str


def ask(path: Path, do: str, *, app: str | None = None) -> tuple[AppState, ...]:
    """Ask the supervisor at *path* to *do* something; return how the apps it is about stand.

    Raises:
        CommandFailed: nobody answers, or the supervisor refuses.
    """
    try:
        answer = json.loads(_exchange(path, json.dumps({"do": do, "app": app}).encode() + b"\n"))
    except (OSError, ValueError) as error:
        raise CommandFailed(
            f"No supervisor answers at {path}. Is `portal serve` running, with this configuration and as this user?",
            exit_code=ENDED,
        ) from error
    if not answer["ok"]:
        raise CommandFailed(f"The supervisor refused: {answer['problem']}", exit_code=ENDED)
    return tuple(_state(one) for one in answer["apps"])


def _state(described: dict[str, Any]) -> AppState:
    known: dict[str, Any] = {name: described.get(name) for name in AppState.__dataclass_fields__}
    return AppState(**known)


def _exchange(path: Path, request: bytes) -> bytes:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The name of a Unix socket has room for about a hundred bytes, wherever a data folder may be.
        short = Path(f"/proc/self/fd/{folder}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(str(short / path.name if short.exists() else path))
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                return answer.readline(_LARGEST)
    finally:
        os.close(folder)
