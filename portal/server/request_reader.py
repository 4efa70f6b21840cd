"""A request on its way in: bytes as they come, and when they are a whole request, or none that is taken.

Pure, and imported by gunicorn's arbiter.  Head and body are bounded, and so is what is kept of a request that never
becomes whole.
"""

import re
from http import HTTPStatus
from typing import Final

LARGEST_HEAD: Final = 32 * 1024
"""Most bytes of request line and headers together: twice what is promised, since names and separators count."""
LARGEST_LINE: Final = 16 * 1024
"""Most bytes of the request line, and of one header."""
LARGEST_BODY: Final = 64 * 1024
"""Most bytes of a body; no form of the portal is near it."""
REFUSAL: Final = "portal.refusal"
"""Key of the WSGI environment under which the portal finds the status of a request that was not taken."""
_END: Final = b"\r\n\r\n"
_BARE: Final = re.compile(rb"\n\r?\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,10}")


class IncomingRequest:
    """One request, as far as it has come."""

    __slots__ = ("_body", "_came", "_head", "refusal")

    def __init__(self) -> None:
        self._came = bytearray()
        self._head: int | None = None
        """Length of the head, the empty line included; ``None`` until it is whole."""
        self._body = 0
        self.refusal: HTTPStatus | None = None
        """Why it is not taken, once that is known."""

    @property
    def has_begun(self) -> bool:
        """Whether anything of it has come."""
        return bool(self._came)

    @property
    def is_whole(self) -> bool:
        """Whether nothing more is needed to answer it."""
        return self.refusal is not None or (self._head is not None and len(self._came) >= self._head + self._body)

    @property
    def has_more(self) -> bool:
        """Whether something came behind it: the next request, before this one was answered."""
        return self._head is not None and len(self._came) > self._head + self._body

    def feed(self, data: bytes) -> bytes:
        """Take *data* in; return what is to be sent to the client at once, which is mostly nothing."""
        searched = max(0, len(self._came) - len(_END) + 1)
        self._came += data
        if self._head is not None or self.refusal is not None:
            return b""
        while self._came.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request mean nothing
            del self._came[:2]
            searched = 0
        end = self._came.find(_END, searched)
        if end < 0:
            self._check_unfinished(searched)
            return b""
        self._head = end + len(_END)
        return self._read_head(bytes(self._came[:end]))

    def whole(self) -> bytes:
        """Return head and body, without what came behind them."""
        return bytes(self._came[: (self._head or 0) + self._body])

    def _check_unfinished(self, searched: int) -> None:
        line = self._came.find(b"\r\n")
        if (len(self._came) if line < 0 else line) > LARGEST_LINE:
            self.refusal = HTTPStatus.REQUEST_URI_TOO_LONG
        elif len(self._came) > LARGEST_HEAD:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif _BARE.search(self._came, searched):  # such a head has no end that everybody sees alike
            self.refusal = HTTPStatus.BAD_REQUEST

    def _read_head(self, head: bytes) -> bytes:
        line, *fields = head.split(b"\r\n")
        lengths: set[bytes] = set()
        expects = False
        if len(line) > LARGEST_LINE:
            self.refusal = HTTPStatus.REQUEST_URI_TOO_LONG
        elif len(head) > LARGEST_HEAD or any(len(field) > LARGEST_LINE for field in fields):
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        for field in fields:
            name, _, value = field.partition(b":")
            name, value = name.strip().lower(), value.strip()
            if name == b"transfer-encoding":  # its length is not known before its end; RFC 9110, section 15.5.12
                self.refusal = self.refusal or HTTPStatus.LENGTH_REQUIRED
            elif name == b"content-length":
                lengths.add(value)
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
        if self.refusal is None:
            self._read_length(lengths)
        has_body = self.refusal is None and len(self._came) < (self._head or 0) + self._body
        return b"HTTP/1.1 100 Continue\r\n\r\n" if expects and has_body else b""

    def _read_length(self, lengths: set[bytes]) -> None:
        if not lengths:
            return
        if len(lengths) > 1 or _NUMBER.fullmatch(next(iter(lengths))) is None:
            self.refusal = HTTPStatus.BAD_REQUEST
            return
        self._body = int(next(iter(lengths)))
        if self._body > LARGEST_BODY:
            self.refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
