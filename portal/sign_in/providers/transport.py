"""Calls to a provider, limited in time, size, number and addresses.

Neither ``requests`` nor Authlib limits a whole call: a provider that sends one byte a second would block a worker's
thread for as long as it likes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from portal.contract.call_errors import certificate_problem, describe_call_error
from portal.contract.egress import Egress, NotABundle, NotAProxy
from portal.contract.truncation import quoted
from portal.errors import (
    ClaimsTooLarge,
    ProviderMisconfigured,
    ProviderNotBelieved,
    ProviderUnavailable,
    ProxyUnavailable,
)
from portal.http_client import tls_of
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.ssrf_policy import SsrfPolicy

T = TypeVar("T")

TRANSPORT_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What a call can raise; ``requests`` does not wrap everything below it."""

_CHUNK: Final = 64 * 1024
_NOTHING_THERE: Final = frozenset({requests.codes.not_found, requests.codes.gone})
_JSON_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much time and memory a provider may use."""

    connect: float = 3.05
    """Seconds to open a connection."""
    read: float = 7.0
    """Seconds of silence on an open connection."""
    total: float = 10.0
    """Seconds for all calls that one request of a browser causes."""
    largest: int = 1 << 21
    """Bytes of one answer."""
    at_once: int = 32
    """Calls at the same time, including those that were given up."""
    waiting: int = 8
    """Requests of browsers that may wait for it at the same time, in one worker."""
    queue: float = 1.0
    """Seconds that one more request waits for its turn."""


DEFAULT_LIMITS: Final = Limits()


class AnswerTooLong(ProviderUnavailable):
    """A provider's answer is longer than :attr:`Limits.largest`."""


class AnswerTooLate(ProviderUnavailable):
    """A provider's answer was not whole in time."""


@contextmanager
def overflow_as_claims_too_large() -> Iterator[None]:
    """Raise :class:`ClaimsTooLarge` if an answer about a person is too long: trying again does not help.

    Raises:
        ClaimsTooLarge: the answer is too long.
    """
    try:
        yield
    except AnswerTooLong as error:
        raise ClaimsTooLarge(str(error)) from error


class Budget:
    """Seconds that remain for one request of a browser."""

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that remain; negative after the end."""
        return self._until - self._monotonic()

    def at_most(self, seconds: float) -> "Budget":
        """Return a budget of *seconds* within this one."""
        return Budget(min(seconds, self.remaining()), monotonic=self._monotonic)


class Transport:
    """All calls to one provider, within *limits* and *ssrf_policy*, with the proxy and certificates of *egress*."""

    def __init__(self, limits: Limits, *, ssrf_policy: SsrfPolicy, egress: Egress | None = None) -> None:
        self.limits = limits
        self.ssrf_policy = ssrf_policy
        self.egress = egress or Egress()
        self._calls = threading.BoundedSemaphore(limits.at_once)
        self._requests = threading.BoundedSemaphore(limits.waiting)

    @contextmanager
    def request(self) -> Iterator[Budget]:
        """Give one request of a browser its budget; only :attr:`Limits.waiting` of them may wait at the same time.

        Raises:
            ProviderUnavailable: too many are waiting: more would block requests that do not need the provider.
        """
        if not self._requests.acquire(timeout=self.limits.queue):
            raise ProviderUnavailable(f"{self.limits.waiting} requests are waiting for it already")
        try:
            yield self.budget()
        finally:
            self._requests.release()

    def budget(self) -> Budget:
        """Return a fresh budget for one request of a browser."""
        return Budget(self.limits.total)

    def bind(self, session: requests.Session, *, budget: Budget, shows_redirect: bool = False) -> None:
        """Make every call through *session* keep to the limits and to *budget*."""
        adapter = _BoundedAdapter(self, budget, shows_redirect=shows_redirect)
        session.trust_env = False  # the adapter sets proxies and certificates; ~/.netrc is not read
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.update(_JSON_HEADERS)

    def fetch(
        self,
        url: str,
        *,
        budget: Budget,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        shows_redirect: bool = False,
    ) -> requests.Response:
        """Return the answer of *url*, whatever its status; *body*, if any, is posted as JSON.

        No redirect is followed; with *shows_redirect* it is returned like any answer.

        Raises:
            ProviderNotBelieved: its certificate is not trusted.
            ProxyUnavailable: the proxy refuses, or does not answer.
            ProviderUnavailable: there is no whole answer, or it redirects.
        """
        method = "GET" if body is None else "POST"
        with requests.Session() as session:
            self.bind(session, budget=budget, shows_redirect=shows_redirect)
            try:
                return session.request(method, url, headers=headers, json=body, allow_redirects=False)
            except TRANSPORT_ERRORS as error:
                raise self.failed(f"{method} {url}", error, url=url) from error

    def get_object(self, url: str, *, budget: Budget, headers: Mapping[str, str] | None = None) -> dict[str, object]:
        """Return the JSON object at *url*.

        Raises:
            ProviderMisconfigured: there is nothing at that address.
            ProviderUnavailable: there is no answer, or no JSON object.
        """
        response = self.fetch(url, budget=budget, headers=headers)
        if response.status_code in _NOTHING_THERE:
            raise ProviderMisconfigured(f"GET {url}: status {response.status_code}: there is nothing at this address")
        if response.status_code != requests.codes.ok:
            raise ProviderUnavailable(f"GET {url}: status {response.status_code}")
        try:
            return read_object(response.content)
        except ValueError as error:
            raise ProviderUnavailable(f"GET {url}: {type(error).__name__}") from error

    def failed(self, call: str, error: Exception, *, url: str) -> ProviderUnavailable:
        """Return the error for *call* of *url*, which failed with *error*: what an operator can fix."""
        if isinstance(error, NotABundle | NotAProxy):
            return ProxyUnavailable(f"{call}: proxy or certificates are misconfigured: {error}")
        text = f"{call}: {describe_call_error(error, proxy=self.egress.proxy_for(url))}"
        if isinstance(error, requests.exceptions.ProxyError):
            return ProxyUnavailable(text)
        return ProviderUnavailable(text) if certificate_problem(error) is None else ProviderNotBelieved(text)

    def within(self, budget: Budget, work: Callable[[], T]) -> T:
        """Return what *work* returns, or give up when *budget* is used up.

        The thread then ends by its own time-outs; their number is limited.

        Raises:
            ProviderUnavailable: the budget is used up, or too many calls are running.
        """
        if not self._calls.acquire(blocking=False):
            raise ProviderUnavailable("too many calls are running")
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
                outcome.set_exception(error)
            finally:
                self._calls.release()

        threading.Thread(target=run, name="provider-call", daemon=True).start()
        try:
            return outcome.result(timeout=max(budget.remaining(), 0))
        except TimeoutError as error:
            raise AnswerTooLate("no whole answer in time") from error


class _BoundedAdapter(HTTPAdapter):
    """Sends one request and reads its whole answer, within the limits and through the configured proxy."""

    def __init__(self, transport: Transport, budget: Budget, *, shows_redirect: bool) -> None:
        super().__init__(max_retries=0)
        self._shows_redirect = shows_redirect
        self._transport = transport
        self._budget = budget
        self.poolmanager.pool_classes_by_scheme = transport.ssrf_policy.pools

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> Any:
        """Return the connection's options: for TLS, the SSL context of the egress settings."""
        del verify, cert
        host, _ = super().build_connection_pool_key_attributes(request, True)
        is_tls = host["scheme"] == "https"
        return host, {"ssl_context": tls_of(self._transport.egress)} if is_tls else {}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of *proxy*, which may use TLS itself."""
        return super().proxy_manager_for(proxy, proxy_ssl_context=tls_of(self._transport.egress), **options)

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Leave the context as it is; the base class would also trust the public authorities."""

    def send(  # type: ignore[override]  # every caller is requests.Session, which passes these by name
        self, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        return self._transport.within(self._budget, partial(self._exchange, request, options))

    def _exchange(self, request: requests.PreparedRequest, options: dict[str, object]) -> requests.Response:
        limits, egress, url = self._transport.limits, self._transport.egress, str(request.url)
        if url.startswith("https://"):
            tls_of(egress)  # here, because requests would report its error as an invalid address
        proxy = egress.proxy_for(url)
        if proxy is not None:
            self._transport.ssrf_policy.check_by_proxy((urlsplit(url).hostname or "").removesuffix("."))
        proxies = {} if proxy is None else {"https": proxy}
        options.update(stream=True, timeout=(limits.connect, limits.read), proxies=proxies)
        response = super().send(request, **options)  # type: ignore[arg-type]  # requests' own names and values
        with response:
            # A redirect could carry the code, the secret or an access token to another host.
            if (response.is_redirect or response.is_permanent_redirect) and not self._shows_redirect:
                text = f"{request.method} redirects to {quoted(response.headers.get('Location'))}"
                # For a permanent one, the operator has to write the new address (RFC 9110, section 15.4).
                raise ProviderMisconfigured(text) if response.is_permanent_redirect else ProviderUnavailable(text)
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > limits.largest:
                    raise AnswerTooLong(f"the answer of {url} is longer than {limits.largest} bytes")
                if self._budget.remaining() <= 0:
                    raise AnswerTooLate("no whole answer in time")
            response._content = bytes(body)  # noqa: SLF001 - where requests stores a body
        return response
