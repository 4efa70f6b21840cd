"""The owners of files of Gradio's cache: who uploaded them, and whose own answers or pages named them.

Gradio checks only that a file is in its cache, not whose it is, and a path is the hash of the file's content.  So a
file may belong to several people.  A path counts in one form: absolute, without ``..``, links resolved, as Gradio
resolves it before it serves a file.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.file_owners import FOLDER, MAX_PER_OWNER, FileOwners

_LONGEST: Final = 4096
"""Longest path that the system opens (``PATH_MAX``), in bytes."""
_DEEPEST: Final = 64
"""Most folders in a path that is looked up: each costs a call of the system."""
_NO_FILE: Final = ""
"""The key of a text that cannot be the path of a file, and has no owner."""


def cache_folder() -> str:
    """Return Gradio's folder for uploads and results, as Gradio finds it; an app may change it while it loads."""
    return _resolved(os.environ.get("GRADIO_TEMP_DIR") or f"{tempfile.gettempdir()}/gradio")


class CacheFiles:
    """The files of Gradio's cache, and who may use them."""

    def __init__(
        self, *, shared: bool = False, limit: int = MAX_PER_OWNER, folder: Callable[[], str] = cache_folder
    ) -> None:
        self._shared = shared
        self._folder = folder
        self._owners = FileOwners(folder, limit=limit)

    def close(self) -> None:
        """Close what is open."""
        self._owners.close()

    def keys(self, paths: Iterable[str]) -> list[str]:
        """Return the keys of those of *paths* that are below the cache, or no paths at all.

        It asks the file system, and may run in a thread.
        """
        return list(dict.fromkeys(key for path in paths if (key := self._key(path)) is not None))

    def allow(self, keys: Iterable[str], owner: Owner) -> bool:
        """Say whether *owner* may use all files with *keys*: none is unknown, or another person's alone.

        With ``shared``, everybody may use those that are unknown.
        """
        return all(self._allow(key, owner) for key in keys)

    def named(self, path: str, owner: Owner) -> None:
        """Note that an answer to *owner* named *path*, if it is below the cache."""
        key = self._key(path)
        if key:
            self._owners.add(owner, key)

    def _allow(self, key: str, owner: Owner) -> bool:
        if key == _NO_FILE:
            return False
        return self._owners.owns(owner, key) or (self._shared and not self._owners.is_owned(key))

    def _key(self, path: str) -> str | None:
        """Return the resolved *path* if it is below the cache, and :data:`_NO_FILE` if it cannot be a path."""
        try:
            # As Gradio does, ``..`` goes before links are resolved.
            plain = os.path.abspath(path)  # noqa: PTH100 - resolve() takes them the other way round
            if len(os.fsencode(plain)) > _LONGEST:
                return None
            if "\0" in plain or plain.count("/") > _DEEPEST:
                return _NO_FILE
            resolved = os.path.realpath("/" + plain.lstrip("/"))  # POSIX leaves two slashes at the beginning
        except (ValueError, OSError):  # characters that the file system cannot encode, or links in a circle
            return _NO_FILE
        folder = self._folder()
        if resolved == folder:
            return _NO_FILE
        if not resolved.startswith(within := folder.rstrip("/") + "/"):
            return None
        # Also where the file system takes it for the same name in other letters.
        is_record = resolved.removeprefix(within).partition("/")[0].casefold() == FOLDER
        return _NO_FILE if is_record else resolved


@lru_cache(maxsize=8)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)
