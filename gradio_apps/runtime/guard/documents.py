"""Documents that a browser shows in no sandboxed frame: the person gets a link to a tab of their own instead.

The portal's frame is sandboxed, and Chromium starts its viewer of PDF in no such frame: it shows a broken page.
"""

from typing import Final

from gradio_apps.runtime.guard.asgi import Message, Send, send_bytes
from gradio_apps.runtime.guard.headers import RawHeaders
from gradio_apps.runtime.guard.pages import HTML, Page, Pages
from gradio_apps.runtime.guard.request_authorization import Presented

_PDF: Final = b"application/pdf"
_OK: Final = 200


def shows_no_pdf_in_frames(presented: Presented, headers: RawHeaders) -> bool:
    """Say whether the answer to this request is shown in a frame of a browser whose viewer does not start there.

    Chromium and what is made of it say so themselves (``Sec-CH-UA``, User-Agent Client Hints).
    """
    in_frame = presented.method == "GET" and presented.navigation == "frame"
    return in_frame and any(name == b"sec-ch-ua" and b'"Chromium"' in value for name, value in headers)


class InItsOwnTab:
    """Passes an answer on, and puts *page* in the place of a PDF that is to be shown."""

    __slots__ = ("_page", "_pages", "_replaced", "_send")

    def __init__(self, send: Send, *, pages: Pages, page: Page) -> None:
        self._send = send
        self._pages = pages
        self._page = page
        self._replaced = False

    async def send(self, message: Message) -> None:
        """Pass *message* on, unless it belongs to such a document."""
        if message["type"] == "http.response.start" and message["status"] == _OK and _is_shown_pdf(message["headers"]):
            self._replaced = True
            body = self._pages.render(self._page)
            await send_bytes(self._send, _OK, body, content_type=HTML, headers=self._pages.headers)
        elif not self._replaced:
            await self._send(message)


def _is_shown_pdf(headers: RawHeaders) -> bool:
    known = dict(headers)
    kind = known.get(b"content-type", b"").partition(b";")[0].strip().lower()
    disposition = known.get(b"content-disposition", b"").strip().lower()
    return kind == _PDF and not disposition.startswith(b"attachment")
