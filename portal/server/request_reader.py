"""Reads a request from bytes as they arrive, until it is complete or refused.

Pure, and imported by gunicorn's arbiter.  Head and body are bounded, and so is the memory for incomplete requests.
"""

import re
from http import HTTPStatus
from typing import Final

LARGEST_HEAD: Final = 32 * 1024
"""Maximum bytes of request line and headers together."""
LARGEST_LINE: Final = 16 * 1024
"""Maximum bytes of the request line, and of one header."""
LARGEST_BODY: Final = 64 * 1024
"""Maximum bytes of a body; the portal's forms are far shorter."""
REFUSAL: Final = "portal.refusal"
"""Key of the WSGI environment for the status of a refused request."""
_END: Final = b"\r\n\r\n"
_BARE: Final = re.compile(rb"\n\r?\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,10}")


class IncomingRequest:
    """One request, as far as it has arrived."""

    __slots__ = ("_body", "_buffer", "_head", "refusal")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: int | None = None
        """Length of the head with its empty line; ``None`` until it is complete."""
        self._body = 0
        self.refusal: HTTPStatus | None = None
        """Status of a refused request."""

    @property
    def has_begun(self) -> bool:
        """Whether any byte has arrived."""
        return bool(self._buffer)

    @property
    def is_complete(self) -> bool:
        """Whether it can be answered."""
        return self.refusal is not None or (self._head is not None and len(self._buffer) >= self._head + self._body)

    @property
    def has_more(self) -> bool:
        """Whether bytes arrived after it: the next request, before this one was answered."""
        return self._head is not None and len(self._buffer) > self._head + self._body

    def feed(self, data: bytes) -> bytes:
        """Add *data*; return bytes to send to the client at once: an interim response, or nothing."""
        searched = max(0, len(self._buffer) - len(_END) + 1)
        self._buffer += data
        if self._head is not None or self.refusal is not None:
            return b""
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2: ignore empty lines before a request
            del self._buffer[:2]
            searched = 0
        end = self._buffer.find(_END, searched)
        if end < 0:
            self._check_unfinished(searched)
            return b""
        self._head = end + len(_END)
        return self._read_head(bytes(self._buffer[:end]))

    def content(self) -> bytes:
        """Return head and body, without bytes after them."""
        return bytes(self._buffer[: (self._head or 0) + self._body])

    def _check_unfinished(self, searched: int) -> None:
        line = self._buffer.find(b"\r\n")
        if (len(self._buffer) if line < 0 else line) > LARGEST_LINE:
            self.refusal = HTTPStatus.REQUEST_URI_TOO_LONG
        elif len(self._buffer) > LARGEST_HEAD:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif _BARE.search(self._buffer, searched):  # servers disagree where such a head ends
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
            if name == b"transfer-encoding":  # without a length in advance; RFC 9110, section 15.5.12
                self.refusal = self.refusal or HTTPStatus.LENGTH_REQUIRED
            elif name == b"content-length":
                lengths.add(value)
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
        if self.refusal is None:
            self._read_length(lengths)
        has_body = self.refusal is None and len(self._buffer) < (self._head or 0) + self._body
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
