"""The guard's calls to the portal: redeem, introspect, fetch keys.

Every call is limited in time and size and follows no redirect.  An unreadable answer counts as "the portal is
away", so that no error of the portal opens or ends a session.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gradio_apps.runtime.guard.http_client import client_settings
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Introspection, Rejected, read_introspection
from portal.contract.call_errors import is_own_failure
from portal.contract.descriptors import Spare, none_left
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET, NOT_IN_USE

log = logging.getLogger("gradio_portal.guard")

TOTAL_TIMEOUT: Final = 5.0
"""Longest time one call may take altogether, in seconds."""
STALLED: Final = 2.0
"""Seconds past :data:`TOTAL_TIMEOUT` from which the delay is this process's own."""
MAX_ANSWER: Final = 256 * 1024
"""Longest answer read, in bytes."""
_TIMEOUTS: Final = httpx.Timeout(TOTAL_TIMEOUT, connect=2.0)
_LIMITS: Final = httpx.Limits(max_connections=20, max_keepalive_connections=5)


class PortalAway(Exception):
    """The portal did not answer, or its answer is unusable."""


class CannotAsk(PortalAway):
    """This process could not ask: it has no descriptor, memory, thread or time left.

    The portal may well be there, so no grace period follows.
    """


class PortalClient:
    """One app's connection to its portal."""

    def __init__(self, settings: GuardSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._spare = Spare()

    async def redeem(self, ticket: str) -> Introspection:
        """Redeem *ticket*; it is good for one call.

        Raises:
            PortalAway: ask again later.
        """
        return await self._introspect(ticket, HINT_TICKET)

    async def renew(self, sid: str, *, in_use: bool) -> Introspection:
        """Ask whether the app session *sid* is still active, and for its person.

        Without *in_use*, the portal does not count this as use of the sign-in.

        Raises:
            PortalAway: ask again later.
        """
        return await self._introspect(sid, HINT_APP_SESSION, **({} if in_use else {NOT_IN_USE: "true"}))

    async def keys(self) -> KeySet:
        """Fetch the portal's public keys.

        Raises:
            PortalAway: ask again later.
        """
        document = await self._call("GET", "/.well-known/jwks.json")
        keys = document.get("keys")
        if type(keys) is not list:
            raise PortalAway("keys: no list")
        ours = [key for key in keys if type(key) is dict and key.get("kty") == "OKP" and key.get("crv") == "Ed25519"]
        try:
            # Only the public key and its id are read.
            return KeySet.import_key_set(
                {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": key["x"], "kid": key["kid"]} for key in ours]}
            )
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise PortalAway("keys: unreadable") from error

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._spare.close()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _introspect(self, token: str, hint: str, **more: str) -> Introspection:
        body = await self._call("POST", "/oauth/introspect", {"token": token, "token_type_hint": hint, **more})
        try:
            return read_introspection(body, issuer=self._settings.portal_url, audience=self._settings.app)
        except Rejected as error:
            log.error("portal-answer-unusable code=%s", error.reason.value)  # noqa: TRY400 - a code, not a traceback
            raise PortalAway("introspection: not an answer for this app") from error

    async def _call(self, method: str, path: str, form: Mapping[str, str] | None = None) -> dict[str, object]:
        try:
            return await self._exchange(method, path, form)
        except CannotAsk:
            if not none_left():  # the portal may have received it, and a ticket is good for one call
                raise
            with self._spare.release():
                return await self._exchange(method, path, form)

    async def _exchange(self, method: str, path: str, form: Mapping[str, str] | None) -> dict[str, object]:
        auth = None if form is None else httpx.BasicAuth(self._settings.app, self._settings.secret)
        begun = time.monotonic()
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                raw = await self._read(method, path, form, auth)
            value = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            log.warning("portal-away call=%s error=no-json", path)
            raise PortalAway(path) from error
        except (httpx.HTTPError, TimeoutError, OSError, MemoryError, RuntimeError) as error:
            # A process that was stalled itself cannot blame the portal.
            stalled = time.monotonic() - begun > TOTAL_TIMEOUT + STALLED
            if stalled or is_own_failure(error) or none_left():
                log.error("portal-not-asked call=%s error=%s", path, "stalled" if stalled else type(error).__name__)  # noqa: TRY400 - a code, not a traceback
                raise CannotAsk(path) from error
            log.warning("portal-away call=%s error=%s", path, client_settings(self._settings).problem(error))
            raise PortalAway(path) from error
        if type(value) is not dict:
            raise PortalAway(path)
        return value

    async def _read(
        self, method: str, path: str, form: Mapping[str, str] | None, auth: httpx.BasicAuth | None
    ) -> bytes:
        client = self._ready()
        async with client.stream(method, path, data=form, auth=auth) as answer:
            if answer.status_code != HTTPStatus.OK:
                # 401: the portal does not know this app or its secret, which the operator has to fix.
                level = logging.ERROR if answer.status_code == HTTPStatus.UNAUTHORIZED else logging.WARNING
                log.log(level, "portal-refused call=%s status=%d", path, answer.status_code)
                raise PortalAway(path)
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise PortalAway(path)
            return bytes(body)

    def _ready(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._settings.call_url,
                headers={**self._settings.call_headers, "accept": "application/json", "accept-encoding": "identity"},
                timeout=_TIMEOUTS,
                limits=_LIMITS,
                follow_redirects=False,
                transport=self._transport,
                **client_settings(self._settings).keywords(),
            )
        return self._client
