"""Pages that stand in the place of those an app does not have: the portal's own, and the interface below its root.

The app is asked first, so that a page of its own stays its own.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from gradio_apps.runtime.guard.asgi import Message, Send

_MISSING: Final = frozenset({404, 405})
"""Not Found, and Method Not Allowed: Gradio's ``/login`` takes a form and has no page."""
_PAGES: Final = (b"text/html", b"application/xhtml+xml")


class SubstitutePage:
    """Holds back an answer of the app's that is not a page, and then answers in its place.

    With *only_pages*, that is also a good answer of another kind, such as JSON.
    """

    __slots__ = ("_answer", "_missing", "_only_pages", "_send")

    def __init__(self, send: Send, answer: Callable[[], Awaitable[None]], *, only_pages: bool = False) -> None:
        self._send = send
        self._answer = answer
        self._only_pages = only_pages
        self._missing = False

    async def send(self, message: Message) -> None:
        """Pass *message* on, unless it belongs to such an answer."""
        if message["type"] == "http.response.start":
            self._missing = message["status"] in _MISSING or (self._only_pages and _is_other(message))
        if not self._missing:
            await self._send(message)

    async def conclude(self) -> None:
        """Answer, where the app has no page; called when it has finished."""
        if self._missing:
            await self._answer()


def _is_other(message: Message) -> bool:
    """Say whether this is the start of a good answer that is something other than a page."""
    if not 200 <= message["status"] < 300:  # noqa: PLR2004 - successful; redirects and refusals are the app's to make
        return False
    types = [value.strip().lower() for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
    return not any(kind.startswith(_PAGES) for kind in types)
