"""An answer that costs something to work out, kept for a moment: whoever asks often gets it from memory."""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final, Generic, TypeVar

T = TypeVar("T")

FRESH: Final = 1.0
"""How long an answer is given to everybody, in seconds."""
STALE: Final = 5.0
"""How long it is given to those who ask while somebody works out the next, in seconds; later they wait."""


class CachedAnswer(Generic[T]):
    """What *ask* said last, asked anew by one thread at a time.

    *clock* returns seconds that only grow.
    """

    def __init__(self, ask: Callable[[], T], *, clock: Callable[[], float] = monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asking = Lock()
        self._last: tuple[float, T] | None = None

    def get(self) -> T:
        """Return an answer that is :data:`FRESH`, or nearly; whatever *ask* raises is raised, and not kept."""
        last = self._last
        age = None if last is None else self._clock() - last[0]
        if last is not None and age is not None and age < FRESH:
            return last[1]
        if not self._asking.acquire(blocking=age is None or age >= STALE) and last is not None:
            return last[1]
        try:
            if self._last is not None and self._last is not last:  # somebody else was faster
                return self._last[1]
            answer = self._ask()
            self._last = (self._clock(), answer)
            return answer
        finally:
            self._asking.release()
