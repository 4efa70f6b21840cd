"""A guarded app, its portal, and a browser: what most tests of the guard need."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from joserfc.jwk import OKPKey

from gradio_apps.runtime.guard import Guard, GuardSettings
from gradio_apps.runtime.guard.asgi import ASGIApp, Receive, Scope, Send
from gradio_apps.runtime.guard.cookies import CookieSeal
from portal.contract import Active, Inactive, Introspection, LogoutToken, Person, sign_logout_token, sign_ticket
from portal.contract.introspection import HINT_TICKET
from tests.asgi import Connection, Outcome, connected, drive, http_scope, websocket_scope
from tests.builders import NOW, PORTAL, a_ticket, an_identity
from tests.portal.contract.forging import KEY, public_jwk

APP = "https://forecast.apps.example.com"
HOST = "forecast.apps.example.com"
SECRET = "an-app-secret-of-32-characters-ok"
FORM = "application/x-www-form-urlencoded"


def guard_settings(**changes: Any) -> GuardSettings:
    settings = GuardSettings(portal_url=PORTAL, app="forecast", app_url=APP, title="Forecast", secret=SECRET)
    return replace(settings, **changes)


def a_person(**changes: Any) -> Person:
    person = Person(
        subject=an_identity().id,
        username="ana@example.com",
        name="Ana Analyst",
        email="ana@example.com",
        tenant="acme",
        tenant_name="Acme",
        roles=frozenset({"analyst"}),
        signed_in_until=NOW + 8 * 3600,
    )
    return replace(person, **changes)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakePortal:
    """The portal's side of the wire, on the real contract."""

    def __init__(self) -> None:
        self.keys: list[OKPKey] = [KEY]
        self.sessions: dict[str, Introspection] = {}
        """What introspection says of each ``sid``."""
        self.redeemed: set[str] = set()
        self.calls: list[str] = []
        self.requests: list[httpx.Request] = []
        self.away = False
        self.answer: Callable[[httpx.Request], httpx.Response] | None = None
        self.barrier: asyncio.Event | None = None
        """While set and not released, introspection waits here."""

    def person(self, sid: str, person: Person | None = None) -> None:
        self.sessions[sid] = Active(session=sid, person=person or a_person())

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path)
        self.requests.append(request)
        if self.barrier is not None:
            await self.barrier.wait()
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        if self.answer is not None:
            return self.answer(request)
        if request.url.path == "/.well-known/jwks.json":
            return httpx.Response(200, json={"keys": [public_jwk(key) for key in self.keys]})
        assert request.url.path == "/oauth/introspect"
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        return httpx.Response(200, json=self._introspect(form))

    def _introspect(self, form: dict[str, str]) -> dict[str, object]:
        if form["token_type_hint"] == HINT_TICKET:
            if form["token"] in self.redeemed:
                return Inactive(code="already-redeemed").to_json()
            self.redeemed.add(form["token"])
            found = next((s for s in self.sessions.values() if s), Inactive(code="signed-out"))
        else:
            found = self.sessions.get(form["token"], Inactive(code="unknown-session"))
        if isinstance(found, Active):
            return found.to_json(issuer=PORTAL, audience="forecast")
        return found.to_json()

    @property
    def introspections(self) -> int:
        return self.calls.count("/oauth/introspect")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest app: says what it saw."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


@dataclass(slots=True)
class Recorder:
    """An app that keeps the scopes and bodies it was given."""

    inner: ASGIApp = hello
    scopes: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.scopes.append(scope)
        await self.inner(scope, receive, send)


@dataclass(slots=True)
class Deployment:
    """The guard with everything around it."""

    guard: Guard
    app: Recorder
    portal: FakePortal
    clock: Clock
    settings: GuardSettings

    def cookie(self, sid: str = "app-session-1") -> str:
        return f"{self.settings.cookie_name}={CookieSeal(self.settings).seal(sid)}"

    def signed_in(self, sid: str = "app-session-1", person: Person | None = None) -> dict[str, str]:
        """Headers of a script in the app's own page, of somebody whose session the portal knows."""
        if sid not in self.portal.sessions:
            self.portal.person(sid, person)
        return {
            "host": self.host,
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "cors",
            "cookie": self.cookie(sid),
        }

    @property
    def host(self) -> str:
        return self.settings.app_origin.partition("://")[2]

    def scope(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, **more: str) -> Scope:
        changed = {
            **(self.signed_in() if headers is None else headers),
            **{k.replace("_", "-"): v for k, v in more.items()},
        }
        return http_scope(path, method=method, headers=changed)

    async def get(self, path: str, headers: dict[str, str] | None = None, **more: str) -> Outcome:
        return await drive(self.guard, self.scope(path, headers=headers, **more))

    async def post(
        self, path: str, body: bytes | list[bytes], headers: dict[str, str] | None = None, **more: str
    ) -> Outcome:
        return await drive(self.guard, self.scope(path, method="POST", headers=headers, **more), body=body)

    async def post_json(self, path: str, body: str, headers: dict[str, str] | None = None) -> Outcome:
        return await self.post(path, body.encode(), headers, content_type="application/json")

    async def hand_over(self, ticket: object, **more: str) -> Outcome:
        """Post a ticket as the portal's launch page does."""
        headers = {
            "host": self.host,
            "origin": PORTAL,
            "content-type": FORM,
            "sec-fetch-site": "same-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "iframe",
        }
        body = urlencode({"ticket": str(ticket)}, errors="replace").encode("ascii")
        return await self.post(f"{self.settings.path}/.portal/session", body, headers, **more)

    async def push(self, token: object) -> Outcome:
        body = urlencode({"logout_token": str(token)}, errors="replace").encode("ascii")
        headers = {"host": self.host, "content-type": FORM}
        return await self.post(f"{self.settings.path}/.portal/backchannel-logout", body, headers)

    def ticket(self, **changes: Any) -> str:
        return sign_ticket(a_ticket(**changes), key=KEY)

    def logout_token(self, sid: str = "app-session-1", **changes: Any) -> str:
        now = int(self.clock())
        token = LogoutToken(
            id="logout-1", issuer=PORTAL, audience="forecast", session=sid, issued_at=now, expires_at=now + 120
        )
        return sign_logout_token(replace(token, **changes), key=KEY)


@asynccontextmanager
async def a_deployment(
    app: ASGIApp = hello, *, settings: GuardSettings | None = None, **more: Any
) -> AsyncIterator[Deployment]:
    """A guarded app; what runs beside its requests is gone at the end of the block."""
    portal, clock, recorder = FakePortal(), Clock(), Recorder(app)
    settings = settings or guard_settings()
    guard = Guard(recorder, settings=settings, clock=clock, transport=httpx.MockTransport(portal), **more)
    try:
        yield Deployment(guard=guard, app=recorder, portal=portal, clock=clock, settings=settings)
    finally:
        await guard.aclose()


__all__ = [
    "APP",
    "FORM",
    "HOST",
    "Connection",
    "a_deployment",
    "connected",
    "guard_settings",
    "http_scope",
    "websocket_scope",
]
