"""Whether what was started answers yet: asked on loopback, by the names it expects."""

import http.client
import json
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from portal.machine.ports import LOOPBACK

State: TypeAlias = Literal["starting", "running", "failed"]
_TIMEOUT: Final = 0.5
"""Seconds; short, because a signal waits for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One place to knock at."""

    port: int
    host: str
    """The ``Host`` it expects."""
    path: str


def state_of(door: HealthCheck) -> State:
    """Return ``running`` where *door* answers 200, ``failed`` where it says so, else ``starting``."""
    connection = http.client.HTTPConnection(LOOPBACK, door.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", door.path, headers={"Host": door.host, "Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(65536)
    except (OSError, http.client.HTTPException):
        return "starting"
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return "running"
    return "failed" if _says_failed(body) else "starting"


def _says_failed(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("state") == "failed"
