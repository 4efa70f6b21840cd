"""Reads bodies for the ids in them: without building the document, and with a bound on what they may cost.

What the guard reads must be what Gradio reads.  So a body is valid JSON in UTF-8 (RFC 8259) and no name stands twice in
its object, or the request is refused; no parser reads it in another way then.

Gradio parses on the event loop that the guard lives in, so a bound on bytes is not enough: 28 MiB of empty lists take a
parser that builds them half a minute.  Hence bounds on values and depth, also where the guard itself wants no id.
msgspec, which takes the ids out, skips the rest in milliseconds.  ijson, which streams, was tried: 15 million escapes
in one string took it 37 s, with the interpreter's lock held.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

MAX_BODY: Final = 32 * 1024 * 1024
"""Longest body read for its ids, in bytes; files travel by ``/upload``, which is not read."""
MAX_VALUES: Final = 1_000_000
"""Most values in one body: the cells of a large table.  Commas, lists and objects are counted."""
MAX_DEPTH: Final = 128
"""Deepest nesting of lists and objects in one body."""
MAX_PER_OWNER: Final = 2 * MAX_BODY
"""Bytes of bodies that are being read for one person at once."""
MAX_AT_ONCE: Final = 8 * MAX_BODY
"""Bytes of bodies that are being read in one process at once."""
SMALL: Final = 16 * 1024
"""A body up to this many bytes is looked into at once; a longer one in a thread, one after another."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]', re.DOTALL)
_QUOTE, _COLON = b'":'
_OPENING: Final = frozenset(b"[{")
_CLOSING: Final = frozenset(b"]}")
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_NAME: Final = msgspec.json.Decoder(str)

T = TypeVar("T")


class NotReadable(Exception):
    """The body is not JSON that every parser reads alike."""


class TooComplex(Exception):
    """The body has too many values, or is nested too deeply."""


class TooMuchAtOnce(Exception):
    """Too many bytes of bodies are being read already."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own
        """Whether it is this very person's bodies."""


class Members(msgspec.Struct, frozen=True):
    """Members of an object that can name a session or an event; what is missing is ``None``."""

    session_hash: object = None
    event_id: object = None


_MEMBERS: Final = msgspec.json.Decoder(Members)


def check_shape(body: bytes) -> None:
    """Check that *body* is JSON within the bounds; an empty one is none and passes.

    Raises:
        NotReadable: it is not JSON.
        TooComplex: it exceeds :data:`MAX_VALUES` or :data:`MAX_DEPTH`.
    """
    if body:
        _names(body)


def members_of(body: bytes) -> Members:
    """Return the members of the object *body* that can name a session or an event; an empty one has none.

    Raises:
        NotReadable: it is not a JSON object, or a name stands twice in it.
        TooComplex: it exceeds :data:`MAX_VALUES` or :data:`MAX_DEPTH`.
    """
    if not body:
        return Members()
    names = _names(body)
    if len(set(names)) != len(names):
        raise NotReadable
    return _decoded(_MEMBERS.decode, body)


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        if not body.isascii():
            body.decode("utf-8")  # what msgspec skips, it does not decode
        return decode(body)
    except (ValueError, RecursionError) as error:
        raise NotReadable from error


def _names(body: bytes) -> list[str]:
    """Return the names in the outermost object of *body*, as often as they stand there."""
    _decoded(_ANY.decode, body)
    depth = values = 0
    last = b""
    names = []
    for token in _TOKEN.finditer(body):
        kind = body[token.start()]
        if kind == _QUOTE:
            if depth == 1:
                last = token[0]
        elif kind == _COLON:
            if depth == 1:
                names.append(_decoded(_NAME.decode, last))
        elif kind in _CLOSING:
            depth -= 1
        else:
            values += 1
            depth += kind in _OPENING
            if values > MAX_VALUES or depth > MAX_DEPTH:
                raise TooComplex
    return names


class Bodies:
    """The bodies that are being read in one process."""

    def __init__(self) -> None:
        self._held: Counter[Hashable] = Counter()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="guard-bodies")

    @contextmanager
    def reading(self, owner: Hashable) -> Iterator[Callable[[int], None]]:
        """Give a function that takes so many more bytes for *owner*, until the end of the block.

        It raises :class:`TooMuchAtOnce`.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._held[owner] + size > MAX_PER_OWNER:
                raise TooMuchAtOnce(own=True)
            if self._held.total() + size > MAX_AT_ONCE:
                raise TooMuchAtOnce(own=False)
            taken += size
            self._held[owner] += size

        try:
            yield take
        finally:
            self._held[owner] -= taken
            self._held = +self._held

    async def look(self, into: Callable[[bytes], T], body: bytes) -> T:
        """Return what *into* makes of *body*, beside the event loop if that may take a while.

        Raises:
            TooMuchAtOnce: this machine has no thread for it.
        """
        return into(body) if len(body) <= SMALL else await self.beside(into, body)

    async def beside(self, into: Callable[[bytes], T], body: bytes) -> T:
        """Return what *into* makes of *body* in a thread, where one body is looked into after another.

        Raises:
            TooMuchAtOnce: this machine has no thread for it.
        """
        try:
            found = asyncio.get_running_loop().run_in_executor(self._threads, into, body)
        except RuntimeError as error:
            raise TooMuchAtOnce(own=False) from error
        return await found

    def close(self) -> None:
        """Let the thread end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
