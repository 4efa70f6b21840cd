"""Holds Gradio's sessions and events to the people they belong to, request by request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from gradio_apps.runtime.guard import gradio_calls
from gradio_apps.runtime.guard.asgi import Message, Receive, TooLarge, read_body, replay
from gradio_apps.runtime.guard.bindings import Bindings, Owner
from gradio_apps.runtime.guard.gradio_calls import GradioCall, Ids, Unclear
from gradio_apps.runtime.guard.headers import RawHeaders


@dataclass(frozen=True, slots=True)
class Stopped:
    """The request does not reach the app."""

    status: int
    detail: str

    def __bool__(self) -> Literal[False]:
        return False


class NotTheirs(Exception):
    """A message of a socket speaks of somebody else's session or event, or cannot be read."""


UNCLEAR: Final = Stopped(400, "The request names no session that can be read.")
FOREIGN: Final = Stopped(403, "This belongs to somebody else.")
TOO_LARGE: Final = Stopped(413, "The request is too large.")


class Gate:
    """Looks at what requests speak of, and remembers what answers hand out."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings

    def address(self, method: str, path: str, query: bytes, owner: Owner) -> GradioCall | Stopped:
        """Check path and query; return what remains to be looked at."""
        if not gradio_calls.is_gradio_path(path):
            return gradio_calls.NOTHING
        try:
            call = gradio_calls.call_of(method, path)
            ids = Ids(call.hashes + gradio_calls.query_hashes(query), call.events)
        except Unclear:
            return UNCLEAR
        return call if self._bindings.allow(ids, owner) else FOREIGN

    async def body(
        self, call: GradioCall, headers: RawHeaders, receive: Receive, owner: Owner
    ) -> tuple[Receive, Ids] | Stopped:
        """Check the body; return a ``receive`` that gives it again, and what it speaks of.

        Raises:
            Gone: the client left.
        """
        types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
        content_type = types[0] if len(types) == 1 else ""
        try:
            body = await read_body(receive, limit=gradio_calls.MAX_BODY)
            if call.form and gradio_calls.is_multipart(content_type):
                ids = await gradio_calls.form_ids(body, content_type=content_type)
            else:
                ids = gradio_calls.json_ids(call, body, content_type=content_type)
        except TooLarge:
            return TOO_LARGE
        except Unclear:
            return UNCLEAR
        return (replay(body, receive), ids) if self._bindings.allow(ids, owner) else FOREIGN

    def messages(self, call: GradioCall, receive: Receive, owner: Owner) -> Receive:
        """Return a ``receive`` for a socket that checks each message before the app has it.

        Gradio 5 takes frames of a running event that way.  It raises :class:`NotTheirs`.
        """

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                text = message.get("text")
                try:
                    ids = gradio_calls.json_ids(call, (text or "?").encode(), content_type="application/json")
                except (Unclear, UnicodeEncodeError):
                    raise NotTheirs from None
                if not self._bindings.allow(ids, owner):
                    raise NotTheirs
            return message

        return checked

    def watcher(self, owner: Owner, *, issued: Callable[[str], None]) -> Callable[[bytes], None]:
        """Return what is to see the answer's body, for the event that it hands to *owner*; *issued* is told too."""

        def watch(body: bytes) -> None:
            event = gradio_calls.event_of(body)
            if event is not None:
                self._bindings.issued(event, owner)
                issued(event)

        return watch
