"""One running request of a session: its answer passes here, and stops when the session ends.

Cutting cancels the task; whatever the task does afterwards, nothing more is sent.  To the app it looks as if the client
had gone, and an app that can close its streams in good order does.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from gradio_apps.runtime.guard.asgi import Message, Receive, Send, send_json
from gradio_apps.runtime.guard.caching import cache_control, not_modified, same
from gradio_apps.runtime.guard.headers import AnswerHeaders, RawHeaders
from gradio_apps.runtime.guard.injection import Injector
from portal.contract.supervisor_messages import WorkKind

STUBBORN: Final = 1.0
"""Seconds the guard waits for a cancelled handler before it completes the response itself."""
STOPPED: Final = "The app was stopped while your request was running. Try again in a moment."
"""What people read of a request that was running when the process ended."""
CLOSE_SIGNED_OUT: Final = 4401
_DROPPED: Final = 3
"""Messages that are dropped after the end, as servers do once a client has gone, before the next raises :class:`Cut`.

A stream that is left in the middle of its ``yield`` cannot clean up: Gradio's would leave a task behind for each.
"""
_PASSED: Final = frozenset({"websocket.send"})
_GONE: Final[Message] = {"type": "http.disconnect"}
_STREAM: Final = b"text/event-stream"
_OK: Final = 200
_NOT_MODIFIED: Final = 304


class Cut(OSError):
    """The session or the process ended: nothing can be sent any more.

    An ``OSError``, as ASGI 2.4 has it for lost connections.
    """


class RunningRequest:
    """One request or WebSocket of one session; its whole answer goes through here."""

    __slots__ = (
        "_again",
        "_answers",
        "_client",
        "_completion",
        "_dropped",
        "_finished",
        "_if_none_match",
        "_injector",
        "_last_message",
        "_path",
        "_send",
        "_sized",
        "_socket",
        "_started",
        "_stopping",
        "_streams",
        "_task",
        "_unchanged",
        "_was_stopped",
        "_watch",
        "_watched_type",
        "cut_off",
        "idle",
    )

    def __init__(
        self,
        send: Send,
        *,
        answers: AnswerHeaders,
        path: str = "/",
        if_none_match: bytes | None = None,
        injector: Injector | None = None,
        watch: Callable[[bytes], None] | None = None,
        watched_type: bytes = b"",
        client: Callable[[bytes], None] | None = None,
        socket: bool = False,
        idle: bool = False,
        stopping: Callable[[], bool] = lambda: False,
        last_message: bytes = b"",
    ) -> None:
        self._send = send
        self._answers = answers
        self._path = path
        self._if_none_match = if_none_match
        """The ETags that the browser has cached, where the guard may answer 304."""
        self._unchanged = False
        """Whether the guard answered 304."""
        self._injector = injector
        self._watch = watch
        """Gets each body of a 200 answer, to find new ids."""
        self._watched_type = watched_type
        """Beginning of the content type that such an answer must have."""
        self._client = client
        """Gets the MCP session in the answer's headers."""
        self._socket = socket
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())  # a request always runs in one
        self._started = False
        self._finished = False
        self._sized = False
        self._streams = False
        self._completion: asyncio.Task[None] | None = None
        self._dropped = 0
        self._again: asyncio.Handle | None = None
        """Cancels the handler once more."""
        self._stopping = stopping
        """Tells whether the process is about to end."""
        self._was_stopped = False
        self._last_message = last_message
        """The last message of an event stream that the end of the process cuts off."""
        self.cut_off = False
        self.idle = idle
        """Whether it does not count as use of the app, however long it runs."""

    @property
    def kind(self) -> WorkKind:
        """Its kind, as far as its answer shows."""
        if self._socket:
            return "socket"
        if self.idle:
            return "page"
        return "stream" if self._streams else "request"

    @property
    def stopped(self) -> bool:
        """Whether the server cancelled it because the process ends."""
        if self._stopping() and self._task.cancelling() > 0:
            self._was_stopped = True
        return self._was_stopped and not self.cut_off

    def caused(self, error: BaseException) -> bool:
        """Say whether *error*, which the app raised, comes from the end of the session or the process."""
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return False
        if isinstance(error, asyncio.CancelledError) and self._stopping():
            self._was_stopped = True  # task groups of anyio set the count of cancellations back
        return self.cut_off or self.stopped

    def cut(self) -> None:
        """Send nothing more, and cancel the task."""
        if self.cut_off:
            return
        self.cut_off = True
        self._task.cancel()
        # A handler in a thread, or one that ignores its cancellation, must not keep the browser waiting.
        self._completion = asyncio.create_task(self._complete_without_task())

    async def send(self, message: Message) -> None:
        """Send *message*, made safe; drop it, and refuse the ones after it, if the session or the process has ended."""
        if self.cut_off or self.stopped:  # people must not see what the app sends after its cancellation
            await self._drop()
            return
        kind = message["type"]
        if self._unchanged and kind == "http.response.body":
            return
        if kind == "http.response.body":
            message = self._body(message)
        elif kind == "http.response.start":
            message = self._start(message)
        elif kind == "websocket.accept":
            message = {**message, "headers": self._answers.of(message.get("headers", ()))}
            self._started = True
        elif kind == "websocket.close":
            self._finished = True
        elif kind not in _PASSED:  # unknown messages could carry data that the guard does not read
            raise RuntimeError(f"The guard passes no {kind!r}.")
        await self._transmit(message)

    async def _transmit(self, message: Message) -> None:
        """Send *message*; a cancellation meanwhile reaches the handler where it waits next, not in its ``yield``."""
        try:
            await self._send(message)
            if self._unchanged:
                self._finished = True
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:  # while the client was slow to read
            if not (self.cut_off or self.stopped):
                raise
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._again = asyncio.get_running_loop().call_soon(task.cancel)

    async def _drop(self) -> None:
        self._dropped += 1
        if self._dropped > _DROPPED:
            await asyncio.sleep(0)  # a loop that ignores the error must not block the event loop
            raise Cut("the session has ended" if self.cut_off else "the app was stopped")

    def receiving(self, receive: Receive) -> Receive:
        """Return *receive*, which says that the client has gone once the session or the process has ended."""
        gone: Message = {"type": "websocket.disconnect", "code": CLOSE_SIGNED_OUT} if self._socket else _GONE

        async def receive_until_cut() -> Message:
            return gone if self.cut_off or self.stopped else await receive()

        return receive_until_cut

    async def own(self, message: Message) -> None:
        """Send *message* of the guard's own answer, which replaces the app's, unchanged."""
        if self.cut_off:
            raise Cut("the session has ended")
        self._started = True
        self._finished = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def conclude(self) -> None:
        """Answer that the session or the app has ended, if no answer has started; a started answer stays incomplete.

        That is deliberate: a download that was cut off must not look complete.
        """
        if self._again is not None:
            self._again.cancel()
        if self._completion is None:
            if self.stopped and not self._finished and not self._socket:
                await self._send_app_stop()
            return
        self._completion.cancel()
        self._task.uncancel()
        if self._socket or not self._started:
            await self._send_session_end()

    async def _complete_without_task(self) -> None:
        await asyncio.sleep(STUBBORN)
        if self._socket or not self._started:
            await self._send_session_end()
        elif not self._sized and not self._finished:
            self._finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_session_end(self) -> None:
        if self._finished:
            return
        self._started = self._finished = True
        if self._socket:
            await self._send({"type": "websocket.close", "code": CLOSE_SIGNED_OUT, "reason": "signed out"})
        else:
            await send_json(self._send, 401, {"detail": "Your session has ended."}, headers=self._answers.of(()))

    async def _send_app_stop(self) -> None:
        """Answer that the app was stopped: with a whole answer, or as the last event of a stream."""
        self._finished = True
        if not self._started:
            headers = [(b"retry-after", b"5"), *self._answers.of(())]
            await send_json(self._send, 503, {"detail": STOPPED}, headers=headers)
        elif self._streams and self._last_message:
            await self._send({"type": "http.response.body", "body": self._last_message, "more_body": False})

    def _start(self, message: Message) -> Message:
        status: int = message["status"]
        headers = self._cached(self._answers.of(message.get("headers", ())))
        if status == _OK and same(headers, self._if_none_match):
            self._unchanged, status, headers = True, _NOT_MODIFIED, not_modified(headers)
        if self._injector is not None:
            headers = self._injector.start(status, headers)
        if self._watch is not None and not (status == _OK and self._is_watched(headers)):
            self._watch = None
        for name, value in headers:
            if name == b"content-length":
                self._sized = True
            elif name == b"content-type":
                self._streams = self._streams or value.startswith(_STREAM)
            elif name == b"mcp-session-id" and self._client is not None:
                self._client(value)
        self._started = True
        changed: dict[str, Any] = {**message, "status": status, "headers": headers}
        return changed

    def _is_watched(self, headers: RawHeaders) -> bool:
        types = [value for name, value in headers if name == b"content-type"] or [b""]
        return all(value.lower().startswith(self._watched_type) for value in types)

    def _cached(self, headers: RawHeaders) -> RawHeaders:
        """Return *headers* with the guard's ``Cache-Control``."""
        own = [value for name, value in headers if name == b"cache-control"]
        result = [pair for pair in headers if pair[0] != b"cache-control"] if own else headers
        result.append((b"cache-control", cache_control(own, path=self._path)))
        return result

    def _body(self, message: Message) -> Message:
        more: bool = message.get("more_body", False)
        if not more:
            self._finished = True
        if self._watch is not None:
            self._watch(message.get("body", b""))
        if self._injector is not None and self._injector.active:
            return {**message, "body": self._injector.feed(message.get("body", b""), more=more)}
        return message
