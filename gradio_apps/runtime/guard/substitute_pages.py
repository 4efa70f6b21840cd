"""Pages of the guard's that take the place of an app's answer.

The app always gets the request, so its own pages come first. A substitute is for an answer that the person cannot
use: a page that the app does not have, or a PDF that the browser does not show in a sandboxed frame.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from gradio_apps.runtime.guard.asgi import Message, Send
from gradio_apps.runtime.guard.headers import RawHeaders
from gradio_apps.runtime.guard.request_authorization import Presented

Condition: TypeAlias = Callable[[int, Mapping[bytes, bytes]], bool]
"""Decides by the status and the headers of an answer whether it is replaced."""

_OK: Final = 200
_MISSING: Final = frozenset({404, 405})
"""Not Found, and Method Not Allowed: Gradio's ``/login`` takes a form and has no page."""
_PAGES: Final = (b"text/html", b"application/xhtml+xml")


def substituting(send: Send, condition: Condition, answer: Callable[[], Awaitable[None]]) -> Send:
    """Return a ``send`` for the app's answer; where *condition* holds, *answer* is called and that answer dropped."""
    replaced = False

    async def substitute(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start":
            headers = {name.lower(): value.strip().lower() for name, value in message.get("headers", ())}
            replaced = condition(message["status"], headers)
            if replaced:
                await answer()
        if not replaced:
            await send(message)

    return substitute


def is_missing(status: int, _headers: Mapping[bytes, bytes]) -> bool:
    """Say whether the app does not have this page."""
    return status in _MISSING


def is_not_a_page(status: int, headers: Mapping[bytes, bytes]) -> bool:
    """Say whether the app does not have this page, or answers with something else, such as JSON."""
    # Other redirects and refusals are the app's own.
    return status in _MISSING or (200 <= status < 300 and not headers.get(b"content-type", b"").startswith(_PAGES))  # noqa: PLR2004 - successful


def is_displayed_pdf(status: int, headers: Mapping[bytes, bytes]) -> bool:
    """Say whether this answer is a PDF that the browser is to display, not to save."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    attached = headers.get(b"content-disposition", b"").startswith(b"attachment")
    return status == _OK and kind == b"application/pdf" and not attached


def blocks_pdf_in_frames(presented: Presented, headers: RawHeaders) -> bool:
    """Say whether this request is for a frame of a browser that shows no PDF in a sandboxed frame.

    Chromium does not start its PDF viewer there and shows a broken page. It and browsers based on it name themselves
    (``Sec-CH-UA``, User-Agent Client Hints).
    """
    in_frame = presented.method == "GET" and presented.navigation == "frame"
    return in_frame and any(name == b"sec-ch-ua" and b'"Chromium"' in value for name, value in headers)
