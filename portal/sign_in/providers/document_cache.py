"""A provider's documents: cached for an hour, and fetched by one thread at a time.

Libraries keep metadata and keys for ever, and fetch keys again for each unknown key that a stranger names.  Here a
document expires, and fetches before that are limited.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Generic, Literal, TypeAlias, TypeVar

from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.providers.transport import Budget

FRESH: Final = 3600.0
"""Seconds after which a document is fetched again."""
STALE: Final = 2 * FRESH
"""Seconds after which a document is no longer used, even if no newer one can be fetched."""
EARLY_PAUSE: Final = 60.0
"""Least seconds between two fetches, for one purpose, of a document that is still fresh."""
FAILURE_PAUSE: Final = 2.0
"""Seconds for which a failure answers everyone, so that waiting threads do not try one after another."""
REFRESH_WAIT: Final = 3.0
"""Seconds that one request spends on a newer document while the old one is usable: it has more to fetch."""
REFRESH_PAUSE: Final = 30.0
"""Least seconds between two such requests after one failed."""
MOST_ISSUERS: Final = 8
"""Most issuers of one provider whose documents are cached at once."""

Purpose: TypeAlias = Literal["logout", "sign-in", "sign-out"]
"""What a newer document is needed for: a provider's logout, a token of a sign-in, or a hint for signing out there.

Each has its own pause: strangers can send logout tokens with unknown keys, and must not delay sign-ins.
"""
T = TypeVar("T")


class DocumentCache(Generic[T]):
    """One document of one provider.  Safe to share between threads."""

    def __init__(self, load: Callable[[Budget], T], *, monotonic: Callable[[], float]) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._fetched: tuple[T, float] | None = None
        self._tried_early_at: dict[Purpose, float] = {}
        self._failed_at = float("-inf")
        self._failure = ProviderUnavailable

    def get(self, *, budget: Budget) -> T:
        """Return the document, fetched now if there is none or it is too old.

        Between :data:`FRESH` and :data:`STALE` no thread waits for another, and the one that fetches only briefly.

        Raises:
            ProviderUnavailable: it cannot be fetched.
        """
        fetched = self._fetched
        if fetched is None or self._age_of(fetched) >= STALE:
            with self._locked(budget):
                return self._newer_than(fetched, budget, pause=FAILURE_PAUSE)
        if self._age_of(fetched) >= FRESH and self._lock.acquire(blocking=False):
            try:
                return self._newer_than(fetched, budget.at_most(REFRESH_WAIT), pause=REFRESH_PAUSE)
            except ProviderUnavailable:
                return fetched[0]
            finally:
                self._lock.release()
        return fetched[0]

    def get_newer(self, than: T, *, purpose: Purpose, budget: Budget) -> T | None:
        """Return a document fetched after *than*, or ``None`` if the pause between early fetches is not over.

        Raises:
            ProviderUnavailable: it was to be fetched and could not be.
        """
        with self._locked(budget):
            if self._fetched is not None and self._fetched[0] is not than:
                return self._fetched[0]
            if self._monotonic() - self._tried_early_at.get(purpose, float("-inf")) < EARLY_PAUSE:
                return None
            self._tried_early_at[purpose] = self._monotonic()
            return self._fetch(budget)

    def _newer_than(self, fetched: tuple[T, float] | None, budget: Budget, *, pause: float) -> T:
        if self._fetched is not None and self._fetched is not fetched:  # another thread was faster
            return self._fetched[0]
        if self._monotonic() - self._failed_at < pause:
            raise self._failure("it failed a moment ago")
        try:
            return self._fetch(budget)
        except ProviderUnavailable as error:
            self._failed_at, self._failure = self._monotonic(), type(error)
            raise

    def _fetch(self, budget: Budget) -> T:
        document = self._load(budget)
        self._fetched = (document, self._monotonic())
        return document

    def _age_of(self, fetched: tuple[T, float]) -> float:
        return self._monotonic() - fetched[1]

    @contextmanager
    def _locked(self, budget: Budget) -> Iterator[None]:
        """Wait for the lock, but no longer than *budget* lasts."""
        if not self._lock.acquire(timeout=max(budget.remaining(), 0)):
            raise ProviderUnavailable("another call to it is still waiting")
        try:
            yield
        finally:
            self._lock.release()


class DocumentCacheByIssuer(Generic[T]):
    """One document for each of the few issuers that a provider's tokens name.  Safe to share between threads."""

    def __init__(self, load: Callable[[ProviderSpec, Budget], T], *, monotonic: Callable[[], float]) -> None:
        self._load = load
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._caches: dict[str, DocumentCache[T]] = {}

    def of(self, spec: ProviderSpec) -> DocumentCache[T]:
        """Return the cache for the issuer of *spec*."""
        with self._lock:
            if spec.issuer not in self._caches and len(self._caches) >= MOST_ISSUERS:
                self._caches.clear()
            return self._caches.setdefault(
                spec.issuer, DocumentCache(partial(self._load, spec), monotonic=self._monotonic)
            )
