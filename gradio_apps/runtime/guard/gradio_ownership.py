"""Checks in each request that Gradio's sessions, events, uploads and MCP clients belong to the person."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from gradio_apps.runtime.guard import gradio_calls
from gradio_apps.runtime.guard.asgi import Message, Receive, TooLarge, read_body, replay
from gradio_apps.runtime.guard.bindings import Bindings, Owner
from gradio_apps.runtime.guard.bodies import MAX_BODY, Bodies, TooComplex, TooMuchAtOnce
from gradio_apps.runtime.guard.cache_files import CacheFiles
from gradio_apps.runtime.guard.gradio_calls import NO_IDS, GradioCall, Ids, NotThere, Unclear
from gradio_apps.runtime.guard.gradio_routes import IdKind
from gradio_apps.runtime.guard.headers import RawHeaders
from gradio_apps.runtime.guard.named_files import NamedFiles, PageFiles, UploadedFiles


@dataclass(frozen=True, slots=True)
class Stopped:
    """A refusal: the request does not reach the app."""

    status: int
    detail: str

    def __bool__(self) -> Literal[False]:
        return False


class NotTheirs(Exception):
    """A WebSocket message names someone else's session or event, or cannot be read."""


UNCLEAR: Final = Stopped(400, "The request has no readable session.")
FOREIGN: Final = Stopped(403, "This belongs to someone else.")
TOO_LARGE: Final = Stopped(413, "The request is too large.")
TOO_COMPLEX: Final = Stopped(413, "The request has too many values, or is nested too deeply.")
TOO_MANY: Final = Stopped(429, "Too many large requests at once. Wait for the others to finish.")
BUSY: Final = Stopped(503, "The app has too many large requests at once. Try again in a moment.")
_NO_BODY: Final = frozenset({"GET", "HEAD"})
FOREIGN_FILE: Final = Stopped(403, "This file is not known to be yours. Upload it again, or run the app again.")
NOT_THERE: Final = Stopped(404, "This app does not have this Gradio address.")
BAD_LINK: Final = Stopped(400, "This link does not lead to a saved state.")
# On 404, an MCP client begins a new session (MCP 2025-06-18, Transports, Session Management).
NO_CLIENT: Final = Stopped(404, "This MCP session does not exist. Start a new one.")
_BEGINNING: Final = 2048
"""Bytes at the beginning of an MCP server's stream in which it names the client's session."""


class GradioOwnership:
    """Checks the ids in requests, and remembers the ids that answers hand out."""

    def __init__(self, bindings: Bindings, files: CacheFiles) -> None:
        self._bindings = bindings
        self._files = files
        self._bodies = Bodies()

    def close(self) -> None:
        """Stop the thread that reads bodies, and close the record of files."""
        self._bodies.close()
        self._files.close()

    def reads(self, call: GradioCall, method: str, path: str, headers: RawHeaders) -> bool:
        """Say whether the body must be read: for ids, or because Gradio would parse anything in it."""
        if call.reads_body:
            return True
        if method in _NO_BODY or not gradio_calls.is_gradio_path(path):
            return False
        return call.issues_event or call.texts or gradio_calls.is_json(_content_type(headers))

    def address(
        self, method: str, path: str, query: bytes, owner: Owner, *, mcp_session: bytes | None = None
    ) -> GradioCall | Stopped:
        """Check path, query and the header *mcp_session*; return the call, whose body may still need a check."""
        if mcp_session is not None and not self._bindings.allow(Ids(clients=(mcp_session.decode("latin-1"),)), owner):
            return NO_CLIENT
        if gradio_calls.leads_out(query):
            return BAD_LINK
        if not gradio_calls.is_gradio_path(path):
            return gradio_calls.NOTHING
        try:
            call, named = gradio_calls.call_of(method, path), gradio_calls.query_ids(query)
        except Unclear:
            return UNCLEAR
        except NotThere:
            return NOT_THERE
        if named is not NO_IDS:
            call = call.naming(named)
        if call.clients and not self._bindings.allow(Ids(clients=call.clients), owner):
            return NO_CLIENT
        if not self._bindings.allow(call.ids, owner):
            return FOREIGN
        return call if self._files.allow(self._files.keys(call.files), owner) else FOREIGN_FILE

    async def body(
        self, call: GradioCall, headers: RawHeaders, receive: Receive, owner: Owner
    ) -> tuple[Receive, Ids] | Stopped:
        """Check the body; return a ``receive`` that repeats it, and its ids.

        Raises:
            Gone: the client left.
        """
        content_type = _content_type(headers)
        try:
            with self._bodies.reading(owner) as take:
                body = await read_body(receive, limit=MAX_BODY, take=take)
                if call.form and gradio_calls.is_multipart(content_type):
                    form_ids = partial(_form_ids, content_type=content_type)
                    ids, files = await self._bodies.apply_in_thread(partial(self._read, form_ids), body)
                else:
                    json_ids = partial(gradio_calls.json_ids, call, content_type=content_type)
                    ids, files = await self._bodies.apply(partial(self._read, json_ids), body)
        except TooLarge:
            return TOO_LARGE
        except TooComplex:
            return TOO_COMPLEX
        except TooMuchAtOnce as error:
            return TOO_MANY if error.own else BUSY
        except Unclear:
            return UNCLEAR
        if not self._files.allow(files, owner):  # Gradio answers with files that it was given
            return FOREIGN_FILE
        return (replay(body, receive), ids) if self._bindings.allow(ids, owner) else FOREIGN

    def _read(self, ids_of: Callable[[bytes], Ids], body: bytes) -> tuple[Ids, list[str]]:
        """Return the ids in *body*, and the keys of the files that it names."""
        ids = ids_of(body)
        return ids, self._files.keys(ids.files)

    def messages(self, call: GradioCall, receive: Receive, owner: Owner) -> Receive:
        """Return a ``receive`` for a WebSocket that checks each message before the app gets it.

        Gradio 5 receives frames of a running event that way.  It raises :class:`NotTheirs`.
        """

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                try:
                    body = (message.get("text") or "?").encode()
                    json_ids = partial(gradio_calls.json_ids, call, content_type="application/json")
                    ids, files = await self._bodies.apply(partial(self._read, json_ids), body)
                except (Unclear, TooComplex, TooMuchAtOnce, UnicodeEncodeError):
                    raise NotTheirs from None
                if not (self._files.allow(files, owner) and self._bindings.allow(ids, owner)):
                    raise NotTheirs
            return message

        return checked

    def watcher(
        self,
        call: GradioCall,
        owner: Owner,
        *,
        issued: Callable[[str], None],
        page: Literal["html", "json"] | None = None,
    ) -> Callable[[bytes], None] | None:
        """Return a reader of the answer's body that binds to *owner* its new id, or the files that it names, if any.

        *issued* gets an event's id.
        """
        if call.issues is None:
            return self._files_watcher(call, owner, page=page)

        def event(body: bytes) -> None:
            new_id = gradio_calls.event_of(body)
            if new_id is not None:
                self._bindings.issued(IdKind.EVENT, new_id, owner)
                issued(new_id)

        begun = b""

        def client(body: bytes) -> None:
            # Only at the beginning of the stream: what follows is output of the app's functions.
            nonlocal begun
            if len(begun) < _BEGINNING:
                begun += body[:_BEGINNING]
                new_id = gradio_calls.mcp_session_of(begun)
                if new_id is not None:
                    begun = b"." * _BEGINNING
                    self._bindings.issued(IdKind.MCP, new_id, owner)

        return client if call.issues is IdKind.MCP else event

    def _files_watcher(
        self, call: GradioCall, owner: Owner, *, page: Literal["html", "json"] | None
    ) -> Callable[[bytes], None] | None:
        """Return a reader of the answer's body that notes the files in it as *owner*'s, if it may name any."""
        found = partial(self._files.named, owner=owner)
        if call.answers_with is not None:
            return UploadedFiles(found) if call.answers_with == "uploaded" else NamedFiles(found)
        if call is not gradio_calls.NOTHING or page is None:
            return None
        return PageFiles(found) if page == "html" else NamedFiles(found)

    def client_issued(self, owner: Owner) -> Callable[[bytes], None]:
        """Return a function that binds the MCP session in an answer's headers to *owner*."""
        return lambda session: self._bindings.issued(IdKind.MCP, session.decode("latin-1"), owner)


def _content_type(headers: RawHeaders) -> str:
    """Return the one content type in *headers*, or the empty string."""
    types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    return types[0] if len(types) == 1 else ""


def _form_ids(body: bytes, *, content_type: str) -> Ids:
    return asyncio.run(gradio_calls.form_ids(body, content_type=content_type))
