"""Finds the files that an answer of Gradio names, while it passes.

Gradio writes a file as an object with a member ``path``, and a change of it in a stream as
``["replace", [..., "path"], "..."]``.  A text that a function returns cannot look like either: its quotes are escaped.
So what a person writes into a text field names no file.
"""

import json
import re
from collections.abc import Callable
from typing import Final

MAX_CARRIED: Final = 16 * 1024
"""Longest beginning of a name that is kept until the next piece of the answer comes, in bytes."""
MAX_LIST: Final = 1024 * 1024
"""Longest answer to an upload that is read, in bytes."""
_CONFIGURATION: Final = b"<script>window.gradio_config = {"
_NAME: Final = b'"path"'
_STRING: Final = rb'"(?:[^"\\]|\\.)*+"'
_MEMBER: Final = re.compile(rb'"path"\s*:\s*(%s)' % _STRING, re.DOTALL)
_CHANGE: Final = re.compile(rb'"path"\s*\]\s*,\s*(%s)' % _STRING, re.DOTALL)
_PARTIAL: Final = re.compile(rb'"path"\s*(?:(?::|\]\s*,?)\s*(?:"(?:[^"\\]|\\.)*+\\?)?)?', re.DOTALL)
_REPLACED: Final = re.compile(rb'"replace"\s*,\s*\[[^\[\]]*\Z')
_BEFORE: Final = 256
"""Bytes before a name that say whether it is in a change."""


class NamedFiles:
    """Reads the pieces of one answer, and calls *found* with each path in it."""

    def __init__(self, found: Callable[[str], None]) -> None:
        self._found = found
        self._carried = b""
        self._read = 0
        """Length of the part of what is carried that has been read."""

    def __call__(self, piece: bytes) -> None:
        """Read the next *piece*."""
        data = self._carried + piece
        end = self._read
        at = data.find(_NAME, end)
        while at >= 0:
            match = _MEMBER.match(data, at)
            if match is None and _REPLACED.search(data, max(0, at - _BEFORE), at):
                match = _CHANGE.match(data, at)
            if match is not None:
                self._report(match[1])
                end = match.end()
            elif len(data) - at <= MAX_CARRIED and _PARTIAL.fullmatch(data, at):
                break  # the rest is in the next piece
            else:
                end = at + len(_NAME)
            at = data.find(_NAME, end)
        unread = at if at >= 0 else max(end, len(data) - len(_NAME) + 1)
        kept = max(0, unread - _BEFORE)
        self._carried, self._read = data[kept:], unread - kept

    def _report(self, literal: bytes) -> None:
        try:
            path = json.loads(literal)
        except (ValueError, RecursionError):
            return
        self._found(path)


class PageFiles:
    """Reads the pieces of an HTML page, and calls *found* with each path from the configuration of its Gradio app on.

    Not before, and not without one: an answer of a route of the app's own may repeat what a person sent.
    """

    def __init__(self, found: Callable[[str], None]) -> None:
        self._read = NamedFiles(found)
        self._carried = b""
        self._is_in = False

    def __call__(self, piece: bytes) -> None:
        """Read the next *piece*."""
        if self._is_in:
            self._read(piece)
            return
        data = self._carried + piece
        _, sign, rest = data.partition(_CONFIGURATION)
        if sign:
            self._is_in = True
            self._read(rest)
        else:
            self._carried = data[-len(_CONFIGURATION) + 1 :]


class UploadedFiles:
    """Reads the pieces of an answer to an upload, a list of paths, and calls *found* with each."""

    def __init__(self, found: Callable[[str], None]) -> None:
        self._found = found
        self._body: bytes = b""

    def __call__(self, piece: bytes) -> None:
        """Read the next *piece*."""
        if len(self._body) + len(piece) > MAX_LIST:
            self._body = b"?"  # no longer readable
            return
        self._body += piece
        if not self._body.rstrip().endswith(b"]"):
            return
        try:
            paths = json.loads(self._body)
        except (ValueError, RecursionError):
            return
        for path in paths if type(paths) is list else ():
            if type(path) is str:
                self._found(path)
