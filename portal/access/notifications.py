"""One round of logout notifications: all at once, each with two seconds in all, to the address of the app.

A round runs its own event loop: threads have no time-out over a whole exchange, and without one a slow
or hostile app could stretch it byte by byte.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from operator import itemgetter
from typing import Final
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import OKPKey

from portal.access.revocation import PendingNotification
from portal.contract import LogoutToken, is_localhost_name, is_loopback_host, sign_logout_token
from portal.contract.egress import Egress, NotABundle, NotAProxy
from portal.contract.guard_paths import LOGOUT_PATH
from portal.http_client import ClientSettings, client_settings_for
from portal.rules.catalogue import AppSpec, Catalogue

_log: Final = logging.getLogger("portal.outbox")
EACH: Final = 2.0
"""Longest time for one notification, in seconds."""
ALL: Final = 2.5
"""Longest time for a round, in seconds."""
TOGETHER: Final = 64
"""Most notifications under way at once in a round."""
_TOKEN_LIFETIME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where the guard of an app answers, and the host name to use there."""

    base: str
    """Its address, to which the guard's paths are added."""
    host: str
    """``Host`` header: the app's public name, the only one that its guard accepts."""
    server_name: str | None
    """Name to expect in the certificate, where the address was resolved here."""
    is_internal: bool
    """Whether to connect without a proxy: this machine, or an address from ``internal_url``."""

    @property
    def url(self) -> str:
        """Where to send the notifications."""
        return f"{self.base}{LOGOUT_PATH}"

    @property
    def extensions(self) -> dict[str, str]:
        """The extensions of HTTPX for a request there."""
        return {} if self.server_name is None else {"sni_hostname": self.server_name}


def recipient_of(app: AppSpec) -> Recipient:
    """Return where *app* takes its notifications: at its internal address if it has one."""
    address = urlsplit(app.internal_url or app.url)
    name = address.hostname or ""
    under_localhost = is_localhost_name(name)
    netloc = address.netloc
    if under_localhost:
        # RFC 6761, section 6.3: such names are loopback; not every resolver knows.
        netloc = "127.0.0.1" if address.port is None else f"127.0.0.1:{address.port}"
    path = address.path.rstrip("/") or urlsplit(app.url).path  # the guard answers only under its own path
    return Recipient(
        base=f"{address.scheme}://{netloc}{path.rstrip('/')}",
        host=urlsplit(app.url).netloc,
        server_name=name if under_localhost and address.scheme == "https" else None,
        is_internal=app.internal_url is not None or is_loopback_host(name),
    )


def interleave(notifications: Sequence[PendingNotification]) -> tuple[PendingNotification, ...]:
    """Return the first of each app, then the second of each, and so on: no app that hangs takes every slot."""
    counts: Counter[str] = Counter()
    ranks: list[int] = []
    for one in notifications:
        ranks.append(counts[one.app])
        counts[one.app] += 1
    return tuple(one for _, one in sorted(zip(ranks, notifications, strict=True), key=itemgetter(0)))


class Notifier:
    """Sends logout tokens to the apps of one catalogue."""

    def __init__(self, catalogue: Catalogue, *, issuer: str, egress: Egress | None = None) -> None:
        self._catalogue = catalogue
        self._issuer = issuer
        self._egress = egress or Egress()

    def notify(self, notifications: Sequence[PendingNotification], *, key: OKPKey, now: int) -> frozenset[str]:
        """Try each of *notifications* once; return the ids of those that need no further try."""
        # In a thread of its own: the caller's may already run an event loop.
        with ThreadPoolExecutor(1, "portal-notifier") as threads:
            return threads.submit(self._run, interleave(notifications), key, now).result()

    def _run(self, notifications: Sequence[PendingNotification], key: OKPKey, now: int) -> frozenset[str]:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._round(notifications, key, now))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(asyncio.sleep(0))  # connections that were cut off close in the next turn
            # Closing does not wait for the threads that resolve names; asyncio.run() would, for as long as they take.
            loop.close()

    async def _round(self, notifications: Sequence[PendingNotification], key: OKPKey, now: int) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        # A notification that cannot start in time for its own two seconds waits for the next round.
        last_start = loop.time() + ALL - EACH
        slots = asyncio.Semaphore(TOGETHER)
        async with AsyncExitStack() as stack:
            clients: dict[ClientSettings, httpx.AsyncClient] = {}

            def client_for(settings: ClientSettings) -> httpx.AsyncClient:
                if settings not in clients:
                    clients[settings] = httpx.AsyncClient(timeout=EACH, follow_redirects=False, **settings.keywords())
                    stack.push_async_callback(clients[settings].aclose)
                return clients[settings]

            async def is_done(one: PendingNotification) -> bool:
                app = self._catalogue.find(one.app)
                if app is None:
                    return True  # the catalogue no longer has the app, so none of its sessions runs
                recipient = recipient_of(app)
                async with slots:
                    if loop.time() > last_start:
                        return False
                    try:
                        settings = client_settings_for(recipient.url, self._egress, is_internal=recipient.is_internal)
                    except (NotABundle, NotAProxy) as error:
                        _log.warning("notification of %s failed: proxy or certificates are wrong: %s", one.app, error)
                        return False
                    try:
                        return await self._post(client_for(settings), recipient, one, key, now)
                    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
                        _log.warning("notification of %s failed: %s", one.app, settings.describe_error(error))
                        return False

            results = await asyncio.gather(*map(is_done, notifications))
        return frozenset(one.id for one, done in zip(notifications, results, strict=True) if done)

    async def _post(
        self, client: httpx.AsyncClient, recipient: Recipient, one: PendingNotification, key: OKPKey, now: int
    ) -> bool:
        token = LogoutToken(
            id=secrets.token_urlsafe(16),
            issuer=self._issuer,
            audience=one.app,
            session=one.session,
            issued_at=now,
            expires_at=now + _TOKEN_LIFETIME,
        )
        form = {"logout_token": sign_logout_token(token, key=key)}
        async with asyncio.timeout(EACH):
            # The body is not read: the status is enough, and the app chooses the body's length.
            async with client.stream(
                "POST", recipient.url, data=form, headers={"Host": recipient.host}, extensions=recipient.extensions
            ) as answer:
                status = answer.status_code
        if status in {200, 204}:
            return True
        _log.warning("notification of %s failed: status %d", one.app, status)
        return False
