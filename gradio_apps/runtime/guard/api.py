"""The portal's API for an app: RFC 8693 token exchange for the person of the current request.

Synchronous, because handlers run in threads.  The app's code never uses the client secret, and a token expires
within a minute.
"""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx

from gradio_apps.runtime.guard.http_client import PortalClientSettings, client_settings
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract.introspection import HINT_APP_SESSION

GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
MARGIN: Final = 10
"""Seconds before its expiry at which a token is no longer used."""
_TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
_MAX_CACHED: Final = 4096


class NoApiToken(Exception):
    """The portal did not issue a token."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        """RFC 6749, section 5.2, or ``unavailable``."""


class TokenExchange:
    """Exchanges app sessions for access tokens, and caches them."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._transport = transport
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str], tuple[str, float]] = {}

    def token(self, sid: str, scopes: str) -> str:
        """Return a bearer token for *scopes* (space-separated) for the person of the app session *sid*.

        Raises:
            NoApiToken: the portal refused or did not answer.
        """
        key = (sid, " ".join(sorted(set(scopes.split()))))
        now = self._clock()
        with self._lock:
            token, until = self._cache.get(key, ("", 0.0))
        if now < until:
            return token
        token, lifetime = self._exchange(*key)
        with self._lock:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key] = (token, now + lifetime - MARGIN)
        return token

    def forget(self, sid: str) -> None:
        """Drop every token of a session that ended."""
        with self._lock:
            for key in [key for key in self._cache if key[0] == sid]:
                del self._cache[key]

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _exchange(self, sid: str, scopes: str) -> tuple[str, float]:
        form = {"grant_type": GRANT, "subject_token": sid, "subject_token_type": HINT_APP_SESSION, "scope": scopes}
        auth = httpx.BasicAuth(self.settings.app, self.settings.secret)
        try:
            answer = self._ready().post("/oauth/token", data=form, auth=auth)
            body = answer.json()
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise NoApiToken("unavailable") from error
        if type(body) is not dict:
            raise NoApiToken("unavailable")
        if answer.status_code != HTTPStatus.OK:
            code = body.get("error")
            raise NoApiToken(code if type(code) is str else "unavailable")
        token, lifetime = body.get("access_token"), body.get("expires_in")
        if type(token) is not str or not token or type(lifetime) is not int:
            raise NoApiToken("unavailable")
        return token, float(lifetime)

    def _ready(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    base_url=self.settings.call_url,
                    headers=self.settings.call_headers,
                    timeout=_TIMEOUT,
                    follow_redirects=False,
                    transport=self._transport,
                    **client_settings(self.settings).keywords(),
                )
            return self._client


class ScopedPortalApi:
    """The value of ``scope["portal.api"]``: the portal's API for one person."""

    __slots__ = ("_exchange", "_sid")

    def __init__(self, exchange: TokenExchange, sid: str) -> None:
        self._exchange = exchange
        self._sid = sid

    @property
    def base_url(self) -> str:
        """Address of the portal for calls, without a trailing slash."""
        return self._exchange.settings.call_url

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every call must carry besides the token."""
        return self._exchange.settings.call_headers

    @property
    def client_settings(self) -> PortalClientSettings:
        """Proxy and certificates for calls to the portal."""
        return client_settings(self._exchange.settings)

    def token(self, scopes: str) -> str:
        """Return a bearer token for *scopes*, separated by spaces; call it from a thread, not from a coroutine.

        Raises:
            NoApiToken: the portal refused or did not answer.
        """
        return self._exchange.token(self._sid, scopes)
