"""The people to whom a file of Gradio's cache belongs: who uploaded it, and whose own answers or pages named it.

Gradio checks only that a file is in its cache, not whose it is, and a path is the hash of the file's content.  So a
file may belong to several people.  A path counts in one form: absolute, without ``..``, links resolved, as Gradio
resolves it before it serves a file.
"""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from gradio_apps.runtime.guard.bindings import Owner

MAX_PER_OWNER: Final = 4096
"""Most files of one person; then the one that was not used for longest is forgotten."""
_LONGEST: Final = 4096
"""Longest path that the system opens (``PATH_MAX``), in bytes."""


class NotAPath(Exception):
    """The text cannot be a path: it has a null character, or characters that the file system cannot encode."""


def cache_folder() -> str:
    """Return Gradio's folder for uploads and results, as Gradio finds it; an app may change it while it loads."""
    return _resolved(os.environ.get("GRADIO_TEMP_DIR") or f"{tempfile.gettempdir()}/gradio")


class CacheFiles:
    """The files of Gradio's cache and their owners, in this process."""

    def __init__(
        self, *, shared: bool = False, limit: int = MAX_PER_OWNER, folder: Callable[[], str] = cache_folder
    ) -> None:
        self._shared = shared
        self._limit = limit
        self._folder = folder
        self._held: dict[Owner, OrderedDict[str, None]] = {}
        self._owners: dict[str, set[Owner]] = {}

    def allow(self, paths: Iterable[str], owner: Owner) -> bool:
        """Say whether *owner* may use all of *paths*: none is below the cache and unknown, or another person's alone.

        With ``shared``, everybody may use those that are unknown.
        """
        return all(self._allow(path, owner) for path in paths)

    def named(self, path: str, owner: Owner) -> None:
        """Note that an answer to *owner* named *path*, if it is below the cache."""
        held = self._held.setdefault(owner, OrderedDict())
        if path in held:
            held.move_to_end(path)
            return
        try:
            key = self._key(path)
        except NotAPath:
            return
        if key is None:
            return
        held[key] = None
        held.move_to_end(key)
        self._owners.setdefault(key, set()).add(owner)
        while len(held) > self._limit:
            oldest, _ = held.popitem(last=False)
            owners = self._owners[oldest]
            owners.discard(owner)
            if not owners:
                del self._owners[oldest]

    def _allow(self, path: str, owner: Owner) -> bool:
        try:
            key = self._key(path)
        except NotAPath:
            return False
        if key is None:
            return True
        held = self._held.get(owner)
        if held is not None and key in held:
            held.move_to_end(key)
            return True
        return self._shared and key not in self._owners

    def _key(self, path: str) -> str | None:
        """Return the resolved *path* if it is below the cache.

        Raises:
            NotAPath: it cannot be a path.
        """
        try:
            # As Gradio does, ``..`` goes before links are resolved.
            plain = os.path.abspath(path)  # noqa: PTH100 - resolve() takes them the other way round
            if len(os.fsencode(plain)) > _LONGEST:
                return None
            resolved = os.path.realpath("/" + plain.lstrip("/"))  # POSIX leaves two slashes at the beginning
            if "\0" in resolved:
                raise NotAPath
        except (ValueError, OSError) as error:
            raise NotAPath from error
        folder = self._folder()
        return resolved if resolved == folder or resolved.startswith(folder.rstrip("/") + "/") else None


@lru_cache(maxsize=8)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)
