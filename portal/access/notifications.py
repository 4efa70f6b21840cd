"""One round of pushes: all together, each with two seconds in all, to where the portal reaches the app.

Runs its own event loop for the length of the round: a time-out over the whole exchange, which a slow
or hostile app cannot stretch byte by byte, is not to be had from threads.
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
from portal.http_client import ClientSettings, client_settings_for
from portal.rules.catalogue import AppSpec, Catalogue

_log: Final = logging.getLogger("portal.outbox")
PATH: Final = "/.portal/backchannel-logout"
EACH: Final = 2.0
"""Longest time for one push, in seconds."""
ALL: Final = 2.5
"""Longest time for a round, in seconds."""
TOGETHER: Final = 64
"""Most pushes under way at once in a round."""
_TOKEN_LIFETIME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where to send a push, and what the app is called there."""

    url: str
    host: str
    """``Host`` header: the app's public name, which is the only one its guard answers to."""
    server_name: str | None
    """Name to expect in the certificate, where the address was resolved here."""
    is_internal: bool
    """Whether no proxy leads there: this machine, or an address given as ``internal_url``."""


def recipient_of(app: AppSpec) -> Recipient:
    """Return where *app* takes its pushes: at its internal address if it has one."""
    reached = urlsplit(app.internal_url or app.url)
    name = reached.hostname or ""
    under_localhost = is_localhost_name(name)
    netloc = reached.netloc
    if under_localhost:
        # RFC 6761, section 6.3: such names are loopback; not every resolver knows.
        netloc = "127.0.0.1" if reached.port is None else f"127.0.0.1:{reached.port}"
    path = reached.path.rstrip("/") or urlsplit(app.url).path  # the guard answers under its own path, whoever asks
    return Recipient(
        url=f"{reached.scheme}://{netloc}{path.rstrip('/')}{PATH}",
        host=urlsplit(app.url).netloc,
        server_name=name if under_localhost and reached.scheme == "https" else None,
        is_internal=app.internal_url is not None or is_loopback_host(name),
    )


def in_turn(pushes: Sequence[PendingNotification]) -> tuple[PendingNotification, ...]:
    """Return *pushes* with the first of each app, then the second of each: one that hangs must not take every place."""
    before: Counter[str] = Counter()
    ranks: list[int] = []
    for push in pushes:
        ranks.append(before[push.app])
        before[push.app] += 1
    return tuple(push for _, push in sorted(zip(ranks, pushes, strict=True), key=itemgetter(0)))


class Notifier:
    """Sends logout tokens to the apps of one catalogue."""

    def __init__(self, catalogue: Catalogue, *, issuer: str, egress: Egress | None = None) -> None:
        self._catalogue = catalogue
        self._issuer = issuer
        self._egress = egress or Egress()

    def push(self, pushes: Sequence[PendingNotification], *, key: OKPKey, now: int) -> frozenset[str]:
        """Try each of *pushes* once; return the ids of those there is no need to try again."""
        # In a thread of its own: the caller's may be running a loop already.
        with ThreadPoolExecutor(1, "portal-push") as threads:
            return threads.submit(self._run, in_turn(pushes), key, now).result()

    def _run(self, pushes: Sequence[PendingNotification], key: OKPKey, now: int) -> frozenset[str]:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self._round(pushes, key, now))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(asyncio.sleep(0))  # connections that were cut off close in the next turn
            # Closing does not wait for the threads that resolve names; asyncio.run() would, for as long as they take.
            loop.close()

    async def _round(self, pushes: Sequence[PendingNotification], key: OKPKey, now: int) -> frozenset[str]:
        loop = asyncio.get_running_loop()
        # What cannot begin in time for its own two seconds is left for the next round.
        last_start = loop.time() + ALL - EACH
        free = asyncio.Semaphore(TOGETHER)
        async with AsyncExitStack() as stack:
            clients: dict[ClientSettings, httpx.AsyncClient] = {}

            def client_for(way: ClientSettings) -> httpx.AsyncClient:
                if way not in clients:
                    clients[way] = httpx.AsyncClient(timeout=EACH, follow_redirects=False, **way.keywords())
                    stack.push_async_callback(clients[way].aclose)
                return clients[way]

            async def one(push: PendingNotification) -> bool:
                app = self._catalogue.find(push.app)
                if app is None:
                    return True  # an app that is gone has nothing left to end
                place = recipient_of(app)
                async with free:
                    if loop.time() > last_start:
                        return False
                    try:
                        way = client_settings_for(place.url, self._egress, is_internal=place.is_internal)
                    except (NotABundle, NotAProxy) as error:
                        _log.warning("push to %s failed: the way out is misconfigured: %s", push.app, error)
                        return False
                    try:
                        return await self._post(client_for(way), place, push, key, now)
                    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
                        _log.warning("push to %s failed: %s", push.app, way.fault(error))
                        return False

            answers = await asyncio.gather(*(one(push) for push in pushes))
        return frozenset(push.id for push, is_done in zip(pushes, answers, strict=True) if is_done)

    async def _post(
        self, client: httpx.AsyncClient, place: Recipient, push: PendingNotification, key: OKPKey, now: int
    ) -> bool:
        token = LogoutToken(
            id=secrets.token_urlsafe(16),
            issuer=self._issuer,
            audience=push.app,
            session=push.session,
            issued_at=now,
            expires_at=now + _TOKEN_LIFETIME,
        )
        form = {"logout_token": sign_logout_token(token, key=key)}
        extensions = {} if place.server_name is None else {"sni_hostname": place.server_name}
        async with asyncio.timeout(EACH):
            # The body is not read: the status says all, and its length is the app's choice.
            async with client.stream(
                "POST", place.url, data=form, headers={"Host": place.host}, extensions=extensions
            ) as answer:
                status = answer.status_code
        if status in {200, 204}:
            return True
        _log.warning("push to %s failed: status %d", push.app, status)
        return False
