"""Health checks of started processes, on loopback."""

import http.client
import json
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from portal.machine.ports import LOOPBACK

State: TypeAlias = Literal["starting", "running", "failed"]
_TIMEOUT: Final = 0.5
"""Seconds; short, because signals wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A request to a process that answers 200 when it is ready."""

    port: int
    host: str
    """Its ``Host`` header."""
    path: str


def state_of(check: HealthCheck) -> State:
    """Return ``running`` if *check* is answered with 200, ``failed`` if the answer says so, else ``starting``."""
    connection = http.client.HTTPConnection(LOOPBACK, check.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", check.path, headers={"Host": check.host, "Accept": "application/json"})
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
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("state") == "failed"
