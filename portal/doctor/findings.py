"""What the doctor says: one finding for each thing it looked at."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warning", "problem"]
PORTAL: Final = "portal"
"""The subject of what is about no app."""


class Check(StrEnum):
    """What was looked at.  Values are for programs; never reuse one.  Keep the list alphabetized."""

    ANSWER = "answer"
    """Whether portal or guard answers behind the front."""
    ANSWER_HEADERS = "answer-headers"
    APP_TO_PORTAL = "app-to-portal"
    CERTIFICATE = "certificate"
    CLIENT_ADDRESS = "client-address"
    CLOCK = "clock"
    COOKIE = "cookie"
    DISK = "disk"
    DOWNLOAD = "download"
    FRAME = "frame"
    HOST = "host"
    HTTP2 = "http2"
    KEYS = "keys"
    NAME = "name"
    PATH = "path"
    PLAIN_HTTP = "plain-http"
    PROBE = "probe"
    """Whether portal or guard takes the doctor for who it is."""
    PROVIDER = "provider"
    PUSH = "push"
    REQUEST_HEADERS = "request-headers"
    SILENCE = "silence"
    STREAM = "stream"
    UPLOAD = "upload"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    subject: str
    """An app, by its slug, or :data:`PORTAL`."""
    check: Check
    level: Level
    said: str
    fix: str = ""


def ok(subject: str, check: Check, said: str) -> Finding:
    """Return that nothing is to be done."""
    return Finding(subject=subject, check=check, level="ok", said=said)


def warning(subject: str, check: Check, said: str, fix: str) -> Finding:
    """Return what works, and not as well as it could."""
    return Finding(subject=subject, check=check, level="warning", said=said, fix=fix)


def problem(subject: str, check: Check, said: str, fix: str) -> Finding:
    """Return what people will run into."""
    return Finding(subject=subject, check=check, level="problem", said=said, fix=fix)
