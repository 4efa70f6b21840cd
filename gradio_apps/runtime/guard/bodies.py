"""Reads the ids in request bodies without building the document, and limits the cost of reading.

The guard must read the same ids as Gradio.  So a body is valid JSON in UTF-8 (RFC 8259) without a repeated name in its
object, or the request is refused: every parser then reads it alike.

Gradio parses on the guard's event loop, so a limit in bytes is not enough: 28 MiB of empty lists take a parser that
builds them half a minute.  Hence limits on values and depth, also where the guard needs no id.  msgspec reads the ids
and skips the rest in milliseconds.  ijson, which streams, was tried: 15 million escapes in one string took it 37 s,
with the interpreter's lock held.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar
from urllib.parse import unquote

import msgspec

MAX_BODY: Final = 32 * 1024 * 1024
"""Longest body read for its ids, in bytes; files come by ``/upload``, which is not read."""
MAX_VALUES: Final = 1_000_000
"""Most values in one body: the cells of a large table.  Commas, lists and objects are counted."""
MAX_DEPTH: Final = 128
"""Deepest nesting of lists and objects in one body."""
MAX_PATHS: Final = 1024
"""Most texts in one body that could be paths of files: each is looked up in the file system."""
MAX_PER_OWNER: Final = 2 * MAX_BODY
"""Most bytes of bodies read at once for one person."""
MAX_AT_ONCE: Final = 8 * MAX_BODY
"""Most bytes of bodies read at once in one process."""
SMALL: Final = 16 * 1024
"""Longest body read on the event loop, in bytes; longer ones are read in a thread, one after another."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]', re.DOTALL)
_MAY_BE_PATH: Final = re.compile(rb'\A"/|\.\.|\\[/u]')
"""What a text that may be a path has in JSON; ``/`` and ``.`` may be escaped."""
_BEFORE_PATH: Final = frozenset({int.from_bytes(b":"), int.from_bytes(b"],")})
"""Signs between the text ``path`` and a path, as a number."""
_MORE_SIGNS: Final = 0xFFFF
"""More signs than that make no difference."""
_NAMES: Final = frozenset({b'"path"', b'"url"'})
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
        """Whether this person's own bodies are too many."""


class Members(msgspec.Struct, frozen=True):
    """Members of an object that can name a session or an event; ``None`` where missing."""

    session_hash: object = None
    event_id: object = None


_MEMBERS: Final = msgspec.json.Decoder(Members)


def may_be_path(text: str) -> bool:
    """Say whether *text*, which is no member ``path``, could be the path of a file: absolute, or with ``..``.

    Tools of an app's MCP server take the path of a file as a mere string.
    """
    return text.startswith("/") or ".." in text


def check_shape(body: bytes, *, texts: bool = False) -> tuple[str, ...]:
    """Return the paths of files in *body*, as they are written, if it is JSON within the limits; an empty one passes.

    With *texts*, any text that may be a path counts.

    Raises:
        NotReadable: it is not JSON.
        TooComplex: it exceeds :data:`MAX_VALUES` or :data:`MAX_DEPTH`.
    """
    return _scan(body, texts=texts)[1] if body else ()


def members_of(body: bytes, *, texts: bool = False) -> tuple[Members, tuple[str, ...]]:
    """Return the members of the object *body* that can name a session or an event, and the paths of files in it.

    Raises:
        NotReadable: it is not a JSON object, or repeats a name.
        TooComplex: it exceeds :data:`MAX_VALUES` or :data:`MAX_DEPTH`.
    """
    if not body:
        return Members(), ()
    names, paths = _scan(body, texts=texts)
    if len(set(names)) != len(names):
        raise NotReadable
    return _decoded(_MEMBERS.decode, body), paths


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        if not body.isascii():
            body.decode("utf-8")  # msgspec does not decode what it skips
        return decode(body)
    except (ValueError, RecursionError) as error:
        raise NotReadable from error


def _scan(body: bytes, *, texts: bool = False) -> tuple[list[str], tuple[str, ...]]:
    """Return the names in the outermost object of *body*, and the paths at any depth; repeated ones too.

    A path is the value of a member ``path``, or follows a list that ends with that text, as in a change
    (:mod:`gradio_apps.runtime.guard.named_files`): an app may answer with what it was given.  The address of a file in
    a member ``url`` counts as its path.
    """
    _decoded(_ANY.decode, body)
    depth = values = 0
    last = b""
    before = 0  # the signs since the last text
    names = []
    paths: dict[str, None] = {}
    for token in _TOKEN.finditer(body):
        kind = body[token.start()]
        if kind == _QUOTE:
            text, name = token[0], last if before in _BEFORE_PATH else b""
            if texts or name:
                paths.update(dict.fromkeys(_paths(name, text, texts=texts)))
                if len(paths) > MAX_PATHS:
                    raise TooComplex
            last, before = text, 0
            continue
        if before <= _MORE_SIGNS:
            before = before << 8 | kind
        if kind == _COLON:
            if depth == 1:
                names.append(_decoded(_NAME.decode, last))
        elif kind in _CLOSING:
            depth -= 1
        else:
            values += 1
            depth += kind in _OPENING
            if values > MAX_VALUES or depth > MAX_DEPTH:
                raise TooComplex
    return names, tuple(paths)


def _paths(name: bytes, value: bytes, *, texts: bool) -> Iterator[str]:
    """Yield the paths in the string *value* of a member *name*, both as JSON has them."""
    if b"\\" in name:
        name = b'"%s"' % _decoded(_NAME.decode, name).encode("utf-8", "surrogatepass")
    if name not in _NAMES and not (texts and _MAY_BE_PATH.search(value)):
        return
    text = _decoded(_NAME.decode, value)
    if name == b'"path"' or (texts and may_be_path(text)):
        yield text
    _, sign, path = text.partition("/file=")
    if name == b'"url"' and sign:
        yield unquote(path.partition("?")[0])


class Bodies:
    """The bodies that are being read in one process."""

    def __init__(self) -> None:
        self._held: Counter[Hashable] = Counter()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="guard-bodies")

    @contextmanager
    def reading(self, owner: Hashable) -> Iterator[Callable[[int], None]]:
        """Yield a function that reserves bytes for *owner* until the block ends.

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

    async def apply(self, read: Callable[[bytes], T], body: bytes) -> T:
        """Return ``read(body)``, computed in a thread for long bodies.

        Raises:
            TooMuchAtOnce: the system has no thread for it.
        """
        return read(body) if len(body) <= SMALL else await self.apply_in_thread(read, body)

    async def apply_in_thread(self, read: Callable[[bytes], T], body: bytes) -> T:
        """Return ``read(body)``, computed in the one thread for bodies.

        Raises:
            TooMuchAtOnce: the system has no thread for it.
        """
        try:
            result = asyncio.get_running_loop().run_in_executor(self._threads, read, body)
        except RuntimeError as error:
            raise TooMuchAtOnce(own=False) from error
        return await result

    def close(self) -> None:
        """Let the thread end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
