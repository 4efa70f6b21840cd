"""A provider's document, kept for an hour, and fetched by one thread at a time.

Libraries keep metadata and keys for ever, and fetch keys anew for each unknown key a stranger
names; here a document has an age, and early fetches have a budget.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.providers.transport import Budget

FRESH: Final = 3600.0
"""Seconds after which a document is fetched again."""
STALE: Final = 2 * FRESH
"""Seconds after which a document is no longer used, even where no newer one can be had."""
EARLY_PAUSE: Final = 60.0
"""Least seconds between two fetches of a document that is still fresh."""
FAILURE_PAUSE: Final = 2.0
"""Seconds for which a failure answers everybody, so that waiting threads do not try one after another."""
REFRESH_WAIT: Final = 3.0
"""Seconds that one request spends on a newer document while there is one that can be used: it has more to ask."""
REFRESH_PAUSE: Final = 30.0
"""Least seconds between two such requests while no newer one can be had."""
MOST_ISSUERS: Final = 8
"""Most issuers of one provider whose documents are kept at once."""

T = TypeVar("T")


class DocumentCache(Generic[T]):
    """One document of one provider.  Safe to share between threads."""

    def __init__(self, load: Callable[[Budget], T], *, monotonic: Callable[[], float]) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: tuple[T, float] | None = None
        self._tried_early_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure = ProviderUnavailable

    def get(self, *, budget: Budget) -> T:
        """Return the document, fetched now if there is none or it is too old.

        Between :data:`FRESH` and :data:`STALE` no thread waits for another, and the one that fetches only briefly.

        Raises:
            ProviderUnavailable: it cannot be had.
        """
        held = self._held
        if held is None or self._age(held) >= STALE:
            with _Turn(self._lock, budget):
                return self._required(budget)
        if self._age(held) >= FRESH and self._lock.acquire(blocking=False):
            try:
                return self._refreshed(held[0], budget)
            finally:
                self._lock.release()
        return held[0]  # another thread is fetching: what there is can be used meanwhile

    def get_newer(self, than: T, *, budget: Budget) -> T | None:
        """Return a document fetched after *than*, or ``None`` if the pause between early fetches is not over.

        Raises:
            ProviderUnavailable: it was to be fetched and could not be.
        """
        with _Turn(self._lock, budget):
            if self._held is not None and self._held[0] is not than:
                return self._held[0]
            if self._monotonic() - self._tried_early_at < EARLY_PAUSE:
                return None
            self._tried_early_at = self._monotonic()
            return self._fetched(budget)

    def _required(self, budget: Budget) -> T:
        held = self._held
        if held is not None and self._age(held) < STALE:  # another thread was faster
            return held[0]
        if self._monotonic() - self._failed_at < FAILURE_PAUSE:
            raise self._failure("it failed a moment ago")
        try:
            return self._fetched(budget)
        except ProviderUnavailable as error:
            self._failed_at, self._failure = self._monotonic(), type(error)
            raise

    def _refreshed(self, document: T, budget: Budget) -> T:
        """Return a newer document if one can be had soon, else *document*, which can still be used."""
        held = self._held
        if held is not None and self._age(held) < FRESH:  # another thread was faster
            return held[0]
        if self._monotonic() - self._failed_at < REFRESH_PAUSE:
            return document
        try:
            return self._fetched(budget.at_most(REFRESH_WAIT))
        except ProviderUnavailable as error:
            self._failed_at, self._failure = self._monotonic(), type(error)
            return document

    def _fetched(self, budget: Budget) -> T:
        document = self._load(budget)
        self._held = (document, self._monotonic())
        return document

    def _age(self, held: tuple[T, float]) -> float:
        return self._monotonic() - held[1]


class DocumentCacheByIssuer(Generic[T]):
    """One document for each of the few issuers that a provider's tokens name.  Safe to share between threads."""

    def __init__(self, load: Callable[[ProviderSpec, Budget], T], *, monotonic: Callable[[], float]) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[str, DocumentCache[T]] = {}

    def of(self, spec: ProviderSpec) -> DocumentCache[T]:
        """Return the document of the issuer of *spec*."""
        with self._lock:
            if spec.issuer not in self._kept and len(self._kept) >= MOST_ISSUERS:
                self._kept.clear()
            return self._kept.setdefault(
                spec.issuer, DocumentCache(partial(self._load, spec), monotonic=self._monotonic)
            )


class _Turn:
    """Waiting for a lock, but no longer than the budget lasts."""

    def __init__(self, lock: threading.Lock, budget: Budget) -> None:
        self._lock = lock
        self._budget = budget

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=max(self._budget.left(), 0)):
            raise ProviderUnavailable("another call to it is still waiting")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
