"""Calls to a provider, bounded in time, size, number and reach.

Neither ``requests`` nor Authlib bounds a call by itself: without this module a provider that
trickles one byte a second would hold a worker's thread for as long as it likes.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from portal.errors import ProviderUnavailable
from portal.providers.base import quoted
from portal.providers.documents import read_object

T = TypeVar("T")

TRANSPORT_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What a call can raise where there is no usable answer; ``requests`` does not wrap everything below it."""

_CHUNK: Final = 64 * 1024
_JSON_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of our time and memory a provider gets."""

    connect: float = 3.05
    """Seconds to open a connection."""
    read: float = 7.0
    """Seconds of silence on an open connection."""
    total: float = 10.0
    """Seconds for everything that one request of a browser makes us ask the provider."""
    largest: int = 1 << 20
    """Bytes of one answer."""
    at_once: int = 32
    """Calls under way at the same time, those included that nobody waits for any more."""


DEFAULT_LIMITS: Final = Limits()


class Budget:
    """Seconds that remain for one request of a browser."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that remain; negative when they are used up."""
        return self._until - self._monotonic()


class Transport:
    """All calls to one provider."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._places = threading.BoundedSemaphore(limits.at_once)

    def budget(self) -> Budget:
        """Return a fresh budget for one request of a browser."""
        return Budget(self.limits.total)

    def bind(self, session: requests.Session, *, budget: Budget) -> None:
        """Make every call through *session* keep to our limits and to *budget*."""
        adapter = _BoundedAdapter(self, budget)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.update(_JSON_HEADERS)

    def get_object(self, url: str, *, budget: Budget, headers: Mapping[str, str] | None = None) -> dict[str, object]:
        """Return the JSON object at *url*.

        Raises:
            ProviderUnavailable: for every other answer, and for none.
        """
        with requests.Session() as session:
            self.bind(session, budget=budget)
            try:
                # An explicit auth, or requests would look the host up in somebody's ~/.netrc.
                response = session.get(url, headers=headers, auth=_as_it_is, allow_redirects=False)
            except TRANSPORT_ERRORS as error:
                raise ProviderUnavailable(f"GET {url}: {type(error).__name__}") from error
        if response.status_code != requests.codes.ok:
            raise ProviderUnavailable(f"GET {url}: status {response.status_code}")
        try:
            return read_object(response.content)
        except ValueError as error:
            raise ProviderUnavailable(f"GET {url}: {type(error).__name__}") from error

    def within(self, budget: Budget, work: Callable[[], T]) -> T:
        """Return what *work* returns, or give it up when *budget* is used up.

        The thread that is given up ends by its own time-outs; how many there can be is bounded.

        Raises:
            ProviderUnavailable: the budget is used up, or too many calls are under way.
        """
        if not self._places.acquire(blocking=False):
            raise ProviderUnavailable("too many calls are under way")
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
                outcome.set_exception(error)
            finally:
                self._places.release()

        threading.Thread(target=run, name="provider-call", daemon=True).start()
        try:
            return outcome.result(timeout=max(budget.left(), 0))
        except TimeoutError as error:
            raise ProviderUnavailable("no whole answer in time") from error


class _BoundedAdapter(HTTPAdapter):
    """Sends one request and reads its whole answer, within the limits."""

    def __init__(self, transport: Transport, budget: Budget) -> None:
        super().__init__(max_retries=0)
        self._transport = transport
        self._budget = budget

    def send(  # type: ignore[override]  # every caller is requests.Session, which passes these by name
        self, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        return self._transport.within(self._budget, partial(self._exchange, request, options))

    def _exchange(self, request: requests.PreparedRequest, options: dict[str, object]) -> requests.Response:
        limits = self._transport.limits
        options.update(stream=True, timeout=(limits.connect, limits.read))
        response = super().send(request, **options)  # type: ignore[arg-type]  # requests' own names and values
        with response:
            # A redirect could carry the code, the secret or an access token to another host.
            if response.is_redirect or response.is_permanent_redirect:
                raise ProviderUnavailable(f"{request.method} redirects to {quoted(response.headers.get('Location'))}")
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > limits.largest:
                    raise ProviderUnavailable(f"the answer is longer than {limits.largest} bytes")
                if self._budget.left() <= 0:
                    raise ProviderUnavailable("no whole answer in time")
            response._content = bytes(body)  # noqa: SLF001 - where requests keeps a body that was read
        return response


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
