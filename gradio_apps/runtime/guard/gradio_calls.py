"""Which Gradio sessions and events a request speaks of.

Pure: paths, queries and bodies in, ids out.  Anything two parsers could read differently is refused
(:mod:`gradio_apps.runtime.guard.bodies`), so that what is checked here is what Gradio will act on.
"""

import json
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from gradio_apps.runtime.guard.bodies import MAX_BODY, NotReadable, check_shape, members_of

MAX_ID: Final = 128
_PREFIX: Final = "/gradio_api/"
_JSON_TYPE: Final = re.compile(r"\s*application/(?:json|[^;\s]+\+json)\s*(?:;|$)", re.IGNORECASE)
_WITH_HASH: Final = frozenset({"queue/join", "cancel", "component_server", "reset"})
_WITH_EVENT: Final = frozenset({"cancel", "reset"})


class Unclear(Exception):
    """What the request speaks of can be read in more than one way, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradioCall:
    """What a path says: the ids in it, and where else to look."""

    hashes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    body_hash: bool = False
    """Whether the body may name a session hash."""
    body_event: bool = False
    """Whether an event id in the body is acted on."""
    form: bool = False
    """Whether the body may be a form with files."""
    issues_event: bool = False
    """Whether the answer names a new event."""
    hears: bool = False
    """Whether the answer is what events have to say, of a session or of one event."""
    idle: bool = False
    """Whether the request only says that a page is open, which is no use of the app."""

    @property
    def reads_body(self) -> bool:
        """Whether the body has to be looked into."""
        return self.body_hash or self.body_event


@dataclass(frozen=True, slots=True)
class Ids:
    """Session hashes and event ids that one request speaks of."""

    hashes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


NOTHING: Final = GradioCall()


def call_of(method: str, path: str) -> GradioCall:
    """Return what a request to *path* (decoded) speaks of.

    An app may be mounted anywhere, so every place where Gradio's prefix begins is looked at.  For a WebSocket the
    *method* is ``WEBSOCKET``, and what is said of the body holds for each of its messages.
    """
    calls = [_call(method, rest.rstrip("/").split("/")) for rest in _rests(path)]
    if not calls:
        return NOTHING
    if len(calls) == 1:
        return calls[0]
    return GradioCall(
        hashes=tuple(one for call in calls for one in call.hashes),
        events=tuple(one for call in calls for one in call.events),
        body_hash=any(call.body_hash for call in calls),
        body_event=any(call.body_event for call in calls),
        form=all(call.form for call in calls),
        issues_event=any(call.issues_event for call in calls),
        hears=any(call.hears for call in calls),
        idle=all(call.idle for call in calls),
    )


def is_gradio_path(path: str) -> bool:
    """Say whether *path* may lead to a route of Gradio's own API."""
    return _PREFIX in path


def query_hashes(query: bytes) -> tuple[str, ...]:
    """Return the session hash a query names, if it names one.

    Raises:
        Unclear: it names more than one.
    """
    if b"session" not in query and b"%" not in query:
        return ()
    found = [
        value for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if name == "session_hash"
    ]
    if len(found) > 1:
        raise Unclear("two session hashes")
    return tuple(checked_id(value) for value in found)


def json_ids(call: GradioCall, body: bytes, *, content_type: str) -> Ids:
    """Return the ids in a JSON *body*.

    Raises:
        Unclear: the body is not JSON in UTF-8, or no object with unique names where one is looked for, or an id is
            no short string.
        TooComplex: it has too many values, or is nested too deeply.
    """
    if not body:
        return Ids()
    if not is_json(content_type):
        # Gradio reads some routes as JSON whatever the type says; its own client always says it.
        raise Unclear("not declared as JSON")
    try:
        if not call.reads_body:
            check_shape(body)
            return Ids()
        members = members_of(body)
    except NotReadable as error:
        raise Unclear("no JSON") from error
    session_hash = members.session_hash if call.body_hash else None
    event = members.event_id if call.body_event else None
    return Ids(
        hashes=() if session_hash is None else (checked_id(session_hash),),
        events=() if event is None else (checked_id(event),),
    )


def is_json(content_type: str) -> bool:
    """Say whether a body of this type is declared as JSON."""
    return _JSON_TYPE.match(content_type) is not None


async def form_ids(body: bytes, *, content_type: str) -> Ids:
    """Return the session hash in a multipart *body*, read by the parser Gradio's own is made of.

    Raises:
        Unclear: it cannot be parsed, or names no or more than one hash.
    """

    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers({"content-type": content_type}), once(), max_part_size=MAX_BODY)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise Unclear("no form") from error
    try:
        found = form.getlist("session_hash")
    finally:
        await form.close()
    if len(found) != 1:
        raise Unclear("no single session hash")
    return Ids(hashes=(checked_id(found[0]),))


def is_multipart(content_type: str) -> bool:
    """Say whether Gradio reads a body of this type as a form with files: it compares these very letters."""
    return content_type.startswith("multipart/form-data")


def event_of(body: bytes) -> str | None:
    """Return the event id that an answer of Gradio names."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    event = value.get("event_id") if type(value) is dict else None
    return event if type(event) is str and 0 < len(event) <= MAX_ID else None


def checked_id(value: object) -> str:
    """Return *value* as an id: a string, not empty, not long.

    Raises:
        Unclear: it is not.
    """
    if type(value) is not str or not 0 < len(value) <= MAX_ID:
        raise Unclear("no id")
    return value


def _rests(path: str) -> Iterator[str]:
    at = path.find(_PREFIX)
    while at >= 0:
        yield path[at + len(_PREFIX) :]
        at = path.find(_PREFIX, at + 1)


def _call(method: str, parts: list[str]) -> GradioCall:
    route = "/".join(parts)
    if method not in {"GET", "HEAD"}:
        return _writing(parts, route)
    match parts:
        case ["heartbeat", session_hash]:
            return GradioCall(hashes=(checked_id(session_hash),), idle=True)
        case ["stream", session_hash, _, *_]:
            return GradioCall(hashes=(checked_id(session_hash),))
        case ["call", _, event] | ["call", "v2", _, event]:
            return GradioCall(events=(checked_id(event),), hears=True)
        case ["queue", "data"]:
            return GradioCall(hears=True)
        case _:
            return NOTHING


def _writing(parts: list[str], route: str) -> GradioCall:
    match parts:
        case ["call", "v2", _]:  # its body holds the endpoint's own parameters, under any name
            return GradioCall(issues_event=True)
        case ["call", _]:
            return GradioCall(body_hash=True, issues_event=True)
        case ["run" | "api", _]:
            return GradioCall(body_hash=True)
        case ["stream", event, *_]:
            return GradioCall(events=(checked_id(event),), body_hash=True, body_event=True)
        case _ if route in _WITH_HASH:
            return GradioCall(
                body_hash=True,
                body_event=route in _WITH_EVENT,
                form=route == "component_server",
                issues_event=route == "queue/join",
            )
        case _:
            return NOTHING
