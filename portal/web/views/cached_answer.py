"""A cache for one answer that is expensive to work out."""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final, Generic, TypeVar

T = TypeVar("T")

FRESH: Final = 1.0
"""Seconds for which an answer is returned as it is."""
STALE: Final = 5.0
"""Seconds for which it is returned while another thread works out the next one; later calls wait."""


class CachedAnswer(Generic[T]):
    """The last result of *ask*, renewed by one thread at a time.  *clock* returns monotonic seconds."""

    def __init__(self, ask: Callable[[], T], *, clock: Callable[[], float] = monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = Lock()
        self._last: tuple[float, T] | None = None

    def get(self) -> T:
        """Return an answer that is not :data:`STALE`; exceptions of *ask* are raised and not cached."""
        last = self._last
        age = None if last is None else self._clock() - last[0]
        if last is not None and age is not None and age < FRESH:
            return last[1]
        if not self._asking.acquire(blocking=age is None or age >= STALE) and last is not None:
            return last[1]
        try:
            if self._last is not None and self._last is not last:  # another thread was faster
                return self._last[1]
            answer = self._ask()
            self._last = (self._clock(), answer)
            return answer
        finally:
            self._asking.release()
