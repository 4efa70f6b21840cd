"""The guard's own routes under ``/.portal/``; their requests never reach the app."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from gradio_apps.runtime.guard.asgi import Gone, Send, TooLarge, read_body
from gradio_apps.runtime.guard.connections import AtOnce, limit_key
from gradio_apps.runtime.guard.cookies import CookieSeal
from gradio_apps.runtime.guard.handover import MAX_FORM, Handover, NotOpened, single_field
from gradio_apps.runtime.guard.headers import client_of
from gradio_apps.runtime.guard.portal_client import PortalAway
from gradio_apps.runtime.guard.probes import Probes
from gradio_apps.runtime.guard.request import Request
from gradio_apps.runtime.guard.responses import Responses
from gradio_apps.runtime.guard.sessions import AppSession, Sessions
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Rejected, in_query, local_path
from portal.contract.guard_paths import LOGOUT_PATH, PREFIX, RENEWED_PATH, SESSION_PATH, SIGN_OUT_PATH
from portal.contract.probe_tokens import PROBE_PATH

PROBE: Final = PROBE_PATH.removeprefix(PREFIX)
"""Prefix of the probes of ``portal doctor``, below :data:`PREFIX`."""
FORM_TIME: Final = 10.0
"""Seconds that the body of a ticket or logout token may take; see also :mod:`gradio_apps.runtime.guard.connections`."""
FORMS_AT_ONCE: Final = 64
"""Most such bodies of one client that arrive at once."""
_FORM: Final = b"application/x-www-form-urlencoded"
_STATIC: Final = Path(__file__).parent / "static"


Handler = Callable[[Request], Awaitable[None]]


class OwnRoutes:
    """Answers everything under ``/.portal/``."""

    def __init__(
        self,
        settings: GuardSettings,
        *,
        answering: Responses,
        handover: Handover,
        probes: Probes,
        sessions: Sessions,
        seal: CookieSeal,
        state: Callable[[], str],
        hold: Callable[[AppSession, Request], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._answer = answering
        self._handover = handover
        self._probes = probes
        self._sessions = sessions
        self._forms = AtOnce(FORMS_AT_ONCE)
        self._seal = seal
        self._state = state
        self._hold = hold
        self._portal_origin = settings.portal_origin.encode("ascii")
        self._table: dict[str, dict[str, Handler]] = {
            SESSION_PATH.removeprefix(PREFIX): {"POST": self._open, "GET": self._look},
            "arrived": {"GET": self._arrived},
            RENEWED_PATH.removeprefix(PREFIX): {"GET": self._renewed},
            "watch": {"GET": self._watch},
            SIGN_OUT_PATH.removeprefix(PREFIX): {"GET": self._sign_out},
            LOGOUT_PATH.removeprefix(PREFIX): {"POST": self._end},
            "frame.js": {"GET": _Static("frame.js", "text/javascript; charset=utf-8", answering)},
            "guard.css": {"GET": _Static("guard.css", "text/css; charset=utf-8", answering)},
        }

    async def health(self, send: Send) -> None:
        """Answer whether the app runs, and nothing else; for load balancers and the supervisor, for any ``Host``."""
        state = self._state()
        await self._answer.json(send, 200 if state == "running" else 503, {"state": state})

    async def __call__(self, name: str, request: Request) -> None:
        """Answer the route called *name*."""
        if name.startswith(PROBE):
            await self._probes(name[len(PROBE) :], request)
            return
        handlers = self._table.get(name)
        if handlers is None:
            await self._answer.json(request.send, 404, {"detail": "There is nothing here."})
            return
        handler = handlers.get("GET" if request.scope["method"] == "HEAD" else request.scope["method"])
        if handler is None:
            allow = ", ".join(sorted(handlers)).encode("ascii")
            await self._answer.json(
                request.send, 405, {"detail": "This address does not accept that method."}, headers=[(b"allow", allow)]
            )
            return
        await handler(request)

    async def _open(self, request: Request) -> None:
        """Take a ticket from the portal's launch page."""
        # Exactly the portal, and never "null": a ticket posted by another site must open nothing.
        if request.presented.origin != self._portal_origin:
            await self._answer.page(request.send, 403, self._answer.pages.used())
            return
        ticket = await self._field(request, "ticket")
        if ticket is None:
            return
        try:
            opened = await self._handover.redeem(ticket)
        except PortalAway:
            await self._answer.page(request.send, 503, self._answer.pages.away())
            return
        if isinstance(opened, NotOpened):
            await self._answer.page(request.send, 403, self._answer.pages.used())
            return
        session, path = opened
        target = f"{self._settings.path}{PREFIX}arrived?to={in_query(path)}"
        cookie = (b"set-cookie", self._seal.set_cookie(session.sid).encode("ascii"))
        await self._answer.redirect(request.send, target, headers=[cookie])

    async def _arrived(self, request: Request) -> None:
        """Check once whether the cookie came back, so that a browser that blocks it does not loop."""
        query = parse_qsl(request.scope.get("query_string", b"").decode("latin-1"))
        path = local_path(next((value for name, value in query if name == "to"), "/"))
        sid = request.presented.sid
        if sid is None:
            in_tab = request.presented.fetch_dest == b"document"
            pages = self._answer.pages
            await self._answer.page(request.send, 403, pages.no_cookie_at_all() if in_tab else pages.no_cookie())
            return
        try:
            session = await self._sessions.find(sid)
        except PortalAway:
            await self._answer.page(request.send, 503, self._answer.pages.away())
            return
        if session is None:
            await self._answer.page(request.send, 401, self._answer.pages.ended())
            return
        await self._answer.redirect(request.send, self._settings.path + path)

    async def _renewed(self, request: Request) -> None:
        """Show the page whose script lets the app's open pages go on in the new session."""
        await self._answer.page(request.send, 200, self._answer.pages.renewed())

    async def _sign_out(self, request: Request) -> None:
        """Lead to the portal's sign-out page; the host redirects Gradio's own ``/logout`` here."""
        await self._answer.known(request.send, "sign-out", request.presented)

    async def _look(self, request: Request) -> None:
        """Tell the page's script whether its session is active; open pages ask, so this does not count as use."""
        session = await self._session_of(request)
        if session is None:
            return
        person = session.person
        # A page goes on in a new session only if its owner is the same.
        owner = {"subject": person.subject, "tenant": person.tenant}
        await self._answer.json(request.send, 200, {"active": True, "until": person.signed_in_until, **owner})

    async def _watch(self, request: Request) -> None:
        """Keep the answer open until the session ends, which tells the page so at once."""
        session = await self._session_of(request)
        if session is not None:
            await self._hold(session, request)

    async def _session_of(self, request: Request) -> AppSession | None:
        """Return the session of the page that asks, or answer that there is none and return ``None``."""
        sid = request.presented.sid
        try:
            session = None if sid is None else await self._sessions.find(sid, in_use=False)
        except PortalAway:
            await self._answer.json(request.send, 503, {"detail": "The portal is not available at the moment."})
            return None
        if session is None:
            await self._answer.json(request.send, 401, {"detail": "Your session has ended."})
        return session

    async def _end(self, request: Request) -> None:
        """Take a logout token from the portal (OpenID Connect Back-Channel Logout 1.0, section 2.5)."""
        token = await self._field(request, "logout_token", as_call=True)
        if token is None:
            return
        try:
            await self._handover.end(token)
        except Rejected:
            await self._answer.json(request.send, 400, {"error": "invalid_request"})
        except PortalAway:
            await self._answer.json(request.send, 503, {"error": "temporarily_unavailable"})
        else:
            await self._answer.json(request.send, 200, {})

    async def _field(self, request: Request, name: str, *, as_call: bool = False) -> str | None:
        """Return one field of a posted form, or answer with the error and return ``None``."""
        types = [value for header, value in request.scope["headers"] if header == b"content-type"]
        value = None
        if len(types) == 1 and types[0].partition(b";")[0].strip().lower() == _FORM:
            trusted = self._settings.trusted_proxies
            client = limit_key(client_of(request.scope, trusted), trusted)
            with self._forms.one(None if client is None else (name, client)) as free:
                if not free:
                    await self._answer_and_close(request, 429, "Too many open requests from your address.")
                    return None
                try:
                    async with asyncio.timeout(FORM_TIME):
                        body = await read_body(request.receive, limit=MAX_FORM)
                except TimeoutError:
                    await self._answer_and_close(request, 408, "The request took too long.")
                    return None
                except (TooLarge, Gone):
                    body = b""
            value = single_field(body, name)
        if value is None and as_call:
            await self._answer.json(request.send, 400, {"error": "invalid_request"})
        elif value is None:
            await self._answer.page(request.send, 400, self._answer.pages.used())
        return value

    async def _answer_and_close(self, request: Request, status: int, detail: str) -> None:
        """Answer without reading the rest of the body, and close the connection."""
        await self._answer.json(request.send, status, {"detail": detail}, headers=[(b"connection", b"close")])


class _Static:
    """A static file of the guard, read once and revalidated by its hash."""

    def __init__(self, name: str, content_type: str, answering: Responses) -> None:
        self._body = (_STATIC / name).read_bytes()
        self._type = content_type
        self._answer = answering
        self._etag = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'.encode("ascii")

    async def __call__(self, request: Request) -> None:
        same = any(name == b"if-none-match" and value == self._etag for name, value in request.scope["headers"])
        headers = [
            (b"etag", self._etag),
            (b"cache-control", b"no-cache"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        await self._answer.bytes(
            request.send, 304 if same else 200, b"" if same else self._body, content_type=self._type, headers=headers
        )
