"""The Gradio sessions, events, uploads and MCP clients that a request names.

Pure: paths, queries and bodies in, ids out, by the table in :mod:`~gradio_apps.runtime.guard.gradio_routes`.  Anything
that two parsers could read differently is refused (:mod:`gradio_apps.runtime.guard.bodies`), so that Gradio acts on the
ids that were checked.
"""

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from gradio_apps.runtime.guard.bodies import (
    MAX_BODY,
    MAX_PATHS,
    NotReadable,
    TooComplex,
    check_shape,
    may_be_path,
    members_of,
)
from gradio_apps.runtime.guard.gradio_routes import IDS, PREFIX, ROUTES, IdKind

MAX_ID: Final = 128
_JSON_TYPE: Final = re.compile(r"\s*application/(?:json|[^;\s]+\+json)\s*(?:;|$)", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER: Final = re.compile(r"\{(\w+)(:path)?\}")
_MCP_SESSION: Final = re.compile(rb"[?&]session_id=([0-9a-f]{32})\b")


class Unclear(Exception):
    """The ids in the request are ambiguous or unreadable."""


class NotThere(Exception):
    """The guard does not know this route, or it is only for developers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradioCall:
    """A request to Gradio: the ids in its path, and where there may be more."""

    hashes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Paths of files, as they are written."""
    body_hash: bool = False
    """Whether the body may name a session hash."""
    body_event: bool = False
    """Whether Gradio acts on an event id in the body."""
    texts: bool = False
    """Whether any text in the body may be the path of a file."""
    form: bool = False
    """Whether the body may be a form with files."""
    issues: IdKind | None = None
    """The kind of new id in the answer."""
    answers_with: Literal["named", "uploaded"] | None = None
    """Whether the answer names files for the person: as results do, or as an upload does."""
    is_event_stream: bool = False
    """Whether the answer streams the messages of a session's events, or of one event."""
    idle: bool = False
    """Whether the request only shows that a page is open, which does not count as use."""

    @property
    def issues_event(self) -> bool:
        """Whether the answer names a new event."""
        return self.issues is IdKind.EVENT

    @property
    def reads_body(self) -> bool:
        """Whether the body has to be read for ids."""
        return self.body_hash or self.body_event

    @property
    def ids(self) -> "Ids":
        """The ids it names."""
        if not (self.hashes or self.events or self.uploads or self.clients):
            return NO_IDS
        return Ids(self.hashes, self.events, self.uploads, self.clients)

    def naming(self, ids: "Ids") -> "GradioCall":
        """Return this call with *ids* added."""
        return replace(
            self,
            hashes=self.hashes + ids.hashes,
            events=self.events + ids.events,
            uploads=self.uploads + ids.uploads,
            clients=self.clients + ids.clients,
        )


@dataclass(frozen=True, slots=True)
class Ids:
    """Session hashes, event ids, upload ids and MCP session ids in one request."""

    hashes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Paths of files that the body names, as they are written."""


NOTHING: Final = GradioCall()
NO_IDS: Final = Ids()


def call_of(method: str, path: str) -> GradioCall:
    """Return the call of a request to *path* (decoded).

    An app may be mounted anywhere, so every occurrence of Gradio's prefix is checked.  For a WebSocket, *method* is
    ``WEBSOCKET``, and what holds for the body holds for each message.

    Raises:
        Unclear: an id is not a short string, or the path has control characters (a route's pattern also matches
            before a final line feed).
        NotThere: Gradio does not have this route, or it is a developer's tool.
    """
    rests = list(_rests(path))
    if not rests:
        return NOTHING
    if not path.isprintable() and _CONTROL.search(path):
        raise Unclear("control characters")
    calls = [call for rest in rests if (call := _call(method, rest.rstrip("/"))) is not None]
    if not calls:
        raise NotThere(path)
    if len(calls) == 1:
        return calls[0]
    return _joined(calls, form=all(call.form for call in calls))


def is_gradio_path(path: str) -> bool:
    """Say whether *path* may lead to a route of Gradio's own API."""
    return PREFIX in path


def query_ids(query: bytes) -> Ids:
    """Return the ids in a query, for any route.

    Raises:
        Unclear: it has two ids of one kind, or one that is not valid.
    """
    if b"session" not in query and b"event" not in query and b"upload" not in query and b"%" not in query:
        return NO_IDS  # it cannot contain the name of an id
    ids: dict[IdKind, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        kind = IDS.get(name)
        if kind is not None:
            if kind in ids:
                raise Unclear("two ids of a kind")
            ids[kind] = checked_id(value)
    return _ids(ids)


def leads_out(query: bytes) -> bool:
    """Say whether a link to a saved state leaves their folder: Gradio 5 would show an upload as a page."""
    if b"link" not in query and b"%" not in query:
        return False
    values = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return any(name == "deep_link" and ("/" in value or value in {".", ".."}) for name, value in values)


def json_ids(call: GradioCall, body: bytes, *, content_type: str) -> Ids:
    """Return the ids in a JSON *body*.

    Raises:
        Unclear: the body is not JSON in UTF-8, not an object with unique names where ids are expected, or an id is
            not a short string.
        TooComplex: it has too many values, or is nested too deeply.
    """
    if not body:
        return Ids()
    if not is_json(content_type):
        # Gradio reads some routes as JSON whatever the content type; its own client always declares it.
        raise Unclear("not declared as JSON")
    try:
        if not call.reads_body:
            return Ids(files=check_shape(body, texts=call.texts))
        members, files = members_of(body, texts=call.texts)
    except NotReadable as error:
        raise Unclear("no JSON") from error
    session_hash = members.session_hash if call.body_hash else None
    event = members.event_id if call.body_event else None
    return Ids(
        hashes=() if session_hash is None else (checked_id(session_hash),),
        events=() if event is None else (checked_id(event),),
        files=files,
    )


def is_json(content_type: str) -> bool:
    """Say whether a body of this type is declared as JSON."""
    return _JSON_TYPE.match(content_type) is not None


async def form_ids(body: bytes, *, content_type: str) -> Ids:
    """Return the session hash in a multipart *body*, read by the parser that Gradio's is based on.

    Raises:
        Unclear: it cannot be parsed, or does not have exactly one hash.
    """

    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers({"content-type": content_type}), once(), max_part_size=MAX_BODY)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise Unclear("no form") from error
    try:
        hashes = form.getlist("session_hash")
        texts = [value for _, value in form.multi_items() if isinstance(value, str)]
    finally:
        await form.close()
    if len(hashes) != 1:
        raise Unclear("no single session hash")
    return Ids(hashes=(checked_id(hashes[0]),), files=_files_in(texts))


def _files_in(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the paths in the fields of a form, which may be JSON.

    Raises:
        TooComplex: as for a body.
    """
    files: list[str] = []
    for text in texts:
        try:
            files += check_shape(text.encode("utf-8", "surrogatepass"), texts=True)
        except NotReadable:
            files += [text] if may_be_path(text) else []
        if len(files) > MAX_PATHS:
            raise TooComplex
    return tuple(files)


def is_multipart(content_type: str) -> bool:
    """Say whether Gradio reads a body of this type as a form with files, by the same comparison."""
    return content_type.startswith("multipart/form-data")


def last_message(call: GradioCall, text: str) -> bytes:
    """Return *text* as an error message in the event stream that answers *call*; empty for other answers."""
    if not call.is_event_stream:
        return b""
    if call.events:
        return f"event: error\ndata: {json.dumps(text)}\n\n".encode("ascii")
    message = {"msg": "unexpected_error", "message": text, "success": False, "session_not_found": False}
    return f"data: {json.dumps(message)}\n\n".encode("ascii")


def event_of(body: bytes) -> str | None:
    """Return the event id in an answer of Gradio."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    event = value.get("event_id") if type(value) is dict else None
    return event if type(event) is str and 0 < len(event) <= MAX_ID else None


def mcp_session_of(body: bytes) -> str | None:
    """Return the session id in the first event of an MCP server's stream, the address for the client's messages."""
    match = _MCP_SESSION.search(body)
    return match[1].decode("ascii") if match else None


def checked_id(value: object) -> str:
    """Return *value* as an id: a short string that is not empty.

    Raises:
        Unclear: it is not.
    """
    if type(value) is not str or not 0 < len(value) <= MAX_ID:
        raise Unclear("no id")
    return value


def _rests(path: str) -> Iterator[str]:
    at = path.find(PREFIX)
    while at >= 0:
        yield path[at + len(PREFIX) :]
        at = path.find(PREFIX, at + 1)


def _pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a route's *path*, as FastAPI reads it."""
    pieces, at = [], 0
    for match in _PARAMETER.finditer(path):
        pieces += [re.escape(path[at : match.start()]), f"(?P<{match[1]}>{'.*' if match[2] else '[^/]+'})"]
        at = match.end()
    return re.compile("".join(pieces) + re.escape(path[at:]))


def _first(rest: str) -> str:
    """Return the key of a route below the prefix."""
    return rest.partition("/")[0].partition("=")[0]


@dataclass(frozen=True, slots=True)
class _RouteEntry:
    """A route as it is looked up: methods, pattern, and its call without the ids in the path."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    call: GradioCall
    file: str | None
    developer: bool


def _by_first() -> dict[str, list[_RouteEntry]]:
    routes: dict[str, list[_RouteEntry]] = {}
    for route in ROUTES:
        if route.path.startswith(PREFIX):
            rest = route.path.removeprefix(PREFIX)
            call = GradioCall(
                body_hash=IdKind.SESSION.value in route.body,
                body_event=IdKind.EVENT.value in route.body,
                form=route.form,
                texts=route.texts,
                issues=route.issues,
                answers_with=route.files,
                is_event_stream=route.is_event_stream,
                idle=route.idle,
            )
            known = _RouteEntry(frozenset(route.methods.split()), _pattern(rest), call, route.file, route.developer)
            routes.setdefault(_first(rest), []).append(known)
    return routes


_ROUTES: Final = _by_first()


def _call(method: str, rest: str) -> GradioCall | None:
    """Return the call of a request to *rest* below the prefix, or ``None`` where the route does not exist.

    With a method that the route does not accept, the call is empty: Gradio refuses it.

    Raises:
        NotThere: it is a developer's tool.
        Unclear: an id is too long.
    """
    calls, there = [], False
    method = "GET" if method == "HEAD" else method
    for known in _ROUTES.get(_first(rest), ()):
        match = known.pattern.fullmatch(rest)
        if match is None:
            continue
        there = True
        if known.developer:
            raise NotThere(rest)
        if method in known.methods:
            named = {IDS[name]: checked_id(value) for name, value in match.groupdict().items() if name in IDS}
            call = known.call.naming(_ids(named)) if named else known.call
            calls.append(call if known.file is None else replace(call, files=(match[known.file],)))
    if len(calls) > 1:
        return _joined(calls, form=any(call.form for call in calls))
    return calls[0] if calls else NOTHING if there else None


def _ids(ids: Mapping[IdKind, str]) -> Ids:
    return Ids(*((ids[kind],) if kind in ids else () for kind in IdKind))


def _joined(calls: Sequence[GradioCall], *, form: bool) -> GradioCall:
    """Return one call with everything in *calls*."""
    return GradioCall(
        hashes=tuple(dict.fromkeys(one for call in calls for one in call.hashes)),
        events=tuple(dict.fromkeys(one for call in calls for one in call.events)),
        uploads=tuple(dict.fromkeys(one for call in calls for one in call.uploads)),
        clients=tuple(dict.fromkeys(one for call in calls for one in call.clients)),
        files=tuple(dict.fromkeys(one for call in calls for one in call.files)),
        body_hash=any(call.body_hash for call in calls),
        body_event=any(call.body_event for call in calls),
        form=form,
        texts=any(call.texts for call in calls),
        issues=next((call.issues for call in calls if call.issues is not None), None),
        answers_with=next((call.answers_with for call in calls if call.answers_with is not None), None),
        is_event_stream=any(call.is_event_stream for call in calls),
        idle=all(call.idle for call in calls),
    )
