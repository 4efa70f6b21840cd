"""One request that runs for a session: its answer passes here, and stops here when the session ends.

Cutting cancels the task, and whatever the task does then, nothing of it is sent any more.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from gradio_apps.runtime.guard.asgi import Message, Send, send_json
from gradio_apps.runtime.guard.caching import cache_control, not_modified, same
from gradio_apps.runtime.guard.headers import AnswerHeaders, RawHeaders
from gradio_apps.runtime.guard.injection import Injector
from portal.contract.supervisor_messages import WorkKind

STUBBORN: Final = 1.0
"""How long a cancelled request may take to end before its answer is ended over its head, in seconds."""
STOPPED: Final = "The app was stopped, and what was running in it. Please try again in a moment."
"""What people read of a request that the end of the process broke off."""
CLOSE_SIGNED_OUT: Final = 4401
_PASSED: Final = frozenset({"websocket.send"})
_STREAM: Final = b"text/event-stream"
_OK: Final = 200
_NOT_MODIFIED: Final = 304


class Cut(OSError):
    """The session or the process ended: nothing can be sent any more.

    An ``OSError``, as ASGI 2.4 has it for lost connections.
    """


class RunningRequest:
    """One request or socket of one session, and the only way its answer takes."""

    __slots__ = (
        "_answers",
        "_client",
        "_finished",
        "_if_none_match",
        "_injector",
        "_last_words",
        "_overrun",
        "_path",
        "_send",
        "_sized",
        "_socket",
        "_started",
        "_stopping",
        "_streams",
        "_task",
        "_unchanged",
        "_watch",
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
        client: Callable[[bytes], None] | None = None,
        socket: bool = False,
        idle: bool = False,
        stopping: Callable[[], bool] = lambda: False,
        last_words: bytes = b"",
    ) -> None:
        self._send = send
        self._answers = answers
        self._path = path
        self._if_none_match = if_none_match
        """What the browser has of this address, where that may be answered for the app."""
        self._unchanged = False
        """Whether the browser has the answer already, and was answered so."""
        self._injector = injector
        self._watch = watch
        """Is shown every body of a 200 answer, for the ids in it."""
        self._client = client
        """Gets the MCP session that the answer's headers hand out."""
        self._socket = socket
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())  # a request always runs in one
        self._started = False
        self._finished = False
        self._sized = False
        self._streams = False
        self._overrun: asyncio.Task[None] | None = None
        self._stopping = stopping
        """Says whether the process is to end."""
        self._last_words = last_words
        """What a stream says last when that has broken it off."""
        self.cut_off = False
        self.idle = idle
        """Whether it is no use of the app, however long it runs."""

    @property
    def kind(self) -> WorkKind:
        """What it is, as far as its answer has told."""
        if self._socket:
            return "socket"
        if self.idle:
            return "page"
        return "stream" if self._streams else "request"

    @property
    def stopped(self) -> bool:
        """Whether the server has cancelled it because the process ends."""
        return self._stopping() and self._task.cancelling() > 0 and not self.cut_off

    def cut(self) -> None:
        """Stop the bytes now and the task as soon as it lets itself be stopped."""
        if self.cut_off:
            return
        self.cut_off = True
        self._task.cancel()
        # A handler in a thread, or one that swallows its cancellation, must not keep the browser waiting.
        self._overrun = asyncio.create_task(self._end_over_its_head())

    async def send(self, message: Message) -> None:
        """Pass *message* on, made safe; refuse it where the session has ended."""
        if self.cut_off:
            await asyncio.sleep(0)  # a loop that ignores the error must not hold the event loop
            raise Cut("the session has ended")
        if self.stopped:  # what the app makes of being cancelled is not for people
            await asyncio.sleep(0)
            raise Cut("the app was stopped")
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
        elif kind not in _PASSED:  # unknown messages could carry what the guard does not read
            raise RuntimeError(f"The guard passes no {kind!r}.")
        await self._send(message)
        if self._unchanged:
            self._finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def own(self, message: Message) -> None:
        """Pass on *message* of an answer of the guard's own, which takes the place of the app's, as it is."""
        if self.cut_off:
            raise Cut("the session has ended")
        self._started = True
        self._finished = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def conclude(self) -> None:
        """Say that the session has ended, or the app, if nothing was said yet; an answer under way stays broken off.

        Breaking off is deliberate: a download that ended early must not look complete.
        """
        if self._overrun is None:
            if self.stopped and not self._finished and not self._socket:
                await self._say_the_stop()
            return
        self._overrun.cancel()
        self._task.uncancel()
        if self._socket or not self._started:
            await self._say_the_end()

    async def _end_over_its_head(self) -> None:
        await asyncio.sleep(STUBBORN)
        if self._socket or not self._started:
            await self._say_the_end()
        elif not self._sized and not self._finished:
            self._finished = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _say_the_end(self) -> None:
        if self._finished:
            return
        self._started = self._finished = True
        if self._socket:
            await self._send({"type": "websocket.close", "code": CLOSE_SIGNED_OUT, "reason": "signed out"})
        else:
            await send_json(self._send, 401, {"detail": "Your session has ended."}, headers=self._answers.of(()))

    async def _say_the_stop(self) -> None:
        """Tell who waits that the app was stopped: with an answer of its own, or as the last event of a stream."""
        self._finished = True
        if not self._started:
            headers = [(b"retry-after", b"5"), *self._answers.of(())]
            await send_json(self._send, 503, {"detail": STOPPED}, headers=headers)
        elif self._streams and self._last_words:
            await self._send({"type": "http.response.body", "body": self._last_words, "more_body": False})

    def _start(self, message: Message) -> Message:
        status: int = message["status"]
        headers = self._cached(self._answers.of(message.get("headers", ())))
        if status == _OK and same(headers, self._if_none_match):
            self._unchanged, status, headers = True, _NOT_MODIFIED, not_modified(headers)
        if self._injector is not None:
            headers = self._injector.start(status, headers)
        if self._watch is not None and status != _OK:
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

    def _cached(self, headers: RawHeaders) -> RawHeaders:
        """Return *headers* with what caches may do with the answer."""
        said = [value for name, value in headers if name == b"cache-control"]
        kept = [pair for pair in headers if pair[0] != b"cache-control"] if said else headers
        kept.append((b"cache-control", cache_control(said, path=self._path)))
        return kept

    def _body(self, message: Message) -> Message:
        more: bool = message.get("more_body", False)
        if not more:
            self._finished = True
        if self._watch is not None:
            self._watch(message.get("body", b""))
        if self._injector is not None and self._injector.active:
            return {**message, "body": self._injector.feed(message.get("body", b""), more=more)}
        return message
