"""A fixed-window limiter: a count per key and window, and how much exceeded it."""

from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class FixedWindowLimiter(Generic[K]):
    """Allows *most* items per key in *window* seconds, counted from the first.  Safe to share between threads."""

    def __init__(self, *, most: int, window: int) -> None:
        self._most = most
        self._window = window
        self._lock = Lock()
        self._since: dict[K, int] = {}
        self._counts: dict[K, int] = {}
        self._left_out: dict[K, int] = {}
        self._excess: dict[K, int] = {}
        """Items over the limit in windows that ended and were not reported yet."""

    def take(self, key: K, *, now: int) -> bool:
        """Return whether one more item of *key* is within the limit, and count it."""
        with self._lock:
            self._begin(key, now)
            self._counts[key] += 1
            return self._counts[key] <= self._most

    def has_room(self, key: K, *, now: int) -> bool:
        """Return whether :meth:`take` would allow one more item of *key*; counts nothing."""
        with self._lock:
            return key not in self._since or self._is_over(key, now) or self._counts[key] < self._most

    def leave_out(self, key: K, *, now: int) -> None:
        """Count one item of *key* among those over the limit, though there may be room."""
        with self._lock:
            self._begin(key, now)
            self._left_out[key] = self._left_out.get(key, 0) + 1

    def report_excess(self, *, now: int) -> dict[K, int]:
        """Return, by key, the items over the limit in windows that have ended; each is reported once."""
        with self._lock:
            for key in [key for key in self._since if self._is_over(key, now)]:
                self._end(key)
            reported, self._excess = self._excess, {}
        return reported

    def _is_over(self, key: K, now: int) -> bool:
        # A clock that was set back ends the window too.
        return not 0 <= now - self._since[key] < self._window

    def _begin(self, key: K, now: int) -> None:
        """End a window of *key* that is over, and have one."""
        if key in self._since and self._is_over(key, now):
            self._end(key)
        self._since.setdefault(key, now)
        self._counts.setdefault(key, 0)

    def _end(self, key: K) -> None:
        del self._since[key]
        surplus = max(0, self._counts.pop(key) - self._most) + self._left_out.pop(key, 0)
        if surplus > 0:
            self._excess[key] = self._excess.get(key, 0) + surplus
