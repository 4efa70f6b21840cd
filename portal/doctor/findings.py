"""Findings of the doctor: one for each check."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warning", "problem"]
PORTAL: Final = "portal"
"""The subject of findings that are not about an app."""


class Check(StrEnum):
    """What was checked.  Values are for programs; never reuse one.  Keep the list alphabetized."""

    ANSWER = "answer"
    """Whether portal or guard answers through the reverse proxy."""
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
    """Whether portal or guard accepts the doctor's probes."""
    PROVIDER = "provider"
    PUSH = "push"
    REQUEST_HEADERS = "request-headers"
    SILENCE = "silence"
    STREAM = "stream"
    UPLOAD = "upload"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check, and how to fix it."""

    subject: str
    """An app, by its slug, or :data:`PORTAL`."""
    check: Check
    level: Level
    said: str
    """One sentence for people."""
    fix: str = ""


def ok(subject: str, check: Check, said: str) -> Finding:
    """Return a finding that needs no fix."""
    return Finding(subject=subject, check=check, level="ok", said=said)


def warning(subject: str, check: Check, said: str, fix: str) -> Finding:
    """Return a finding about something that works, but not well."""
    return Finding(subject=subject, check=check, level="warning", said=said, fix=fix)


def problem(subject: str, check: Check, said: str, fix: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(subject=subject, check=check, level="problem", said=said, fix=fix)
