"""How much of one kind is kept in a while: a count per key and window, and of what was left out.

Pure but for what it remembers; may be used from several threads.
"""

from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Allowance(Generic[K]):
    """At most *most* things of each key in *window* seconds, which begin with the first."""

    def __init__(self, *, most: int, window: int) -> None:
        self._most = most
        self._window = window
        self._lock = Lock()
        self._since: dict[K, int] = {}
        self._counts: dict[K, int] = {}

    def take(self, key: K, *, now: int) -> bool:
        """Say whether one more of *key* may be kept; ask :meth:`left_out` first, which ends windows."""
        with self._lock:
            self._since.setdefault(key, now)
            count = self._counts[key] = self._counts.get(key, 0) + 1
            return count <= self._most

    def left_out(self, *, now: int) -> dict[K, int]:
        """End the windows that are over, and return how many things were left out of those that were too full."""
        with self._lock:
            # A clock that was put back ends them too.
            over = [key for key, since in self._since.items() if not 0 <= now - since < self._window]
            counts = {key: self._counts.pop(key) for key in over}
            for key in over:
                del self._since[key]
        return {key: count - self._most for key, count in counts.items() if count > self._most}
