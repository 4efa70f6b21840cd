"""The guard itself: ASGI middleware that connects request authorization, sessions and Gradio ownership.

It refuses everything it does not know: unknown scopes, unknown hosts, requests without a session, and
messages it cannot read.
"""

import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import httpx

from gradio_apps.runtime.guard import gradio_calls
from gradio_apps.runtime.guard.api import ScopedPortalApi, TokenExchange
from gradio_apps.runtime.guard.asgi import ASGIApp, Gone, Message, Receive, Scope, Send, stay_open
from gradio_apps.runtime.guard.bindings import Bindings, owner_of
from gradio_apps.runtime.guard.cache_files import CacheFiles
from gradio_apps.runtime.guard.connections import CONNECTION, PER_PERSON, AtOnce, serving
from gradio_apps.runtime.guard.cookies import CookieSeal
from gradio_apps.runtime.guard.draining import RunningWork
from gradio_apps.runtime.guard.gradio_ownership import GradioOwnership, NotTheirs, Stopped
from gradio_apps.runtime.guard.handover import Handover
from gradio_apps.runtime.guard.headers import AnswerHeaders, RawHeaders, client_of, read_request
from gradio_apps.runtime.guard.injection import Injector, script_tag
from gradio_apps.runtime.guard.keys import PortalKeys
from gradio_apps.runtime.guard.named_files import PageFiles
from gradio_apps.runtime.guard.own_routes import PROBE, OwnRoutes
from gradio_apps.runtime.guard.person import entries
from gradio_apps.runtime.guard.portal_client import PortalAway, PortalClient
from gradio_apps.runtime.guard.probes import Probes
from gradio_apps.runtime.guard.request import Request
from gradio_apps.runtime.guard.request_authorization import Challenge, Enter, Presented, Refuse, authorize, misdirected
from gradio_apps.runtime.guard.responses import Responses
from gradio_apps.runtime.guard.running_requests import CLOSE_SIGNED_OUT, STOPPED, RunningRequest
from gradio_apps.runtime.guard.sessions import AppSession, Sessions
from gradio_apps.runtime.guard.settings import GuardSettings
from gradio_apps.runtime.guard.substitute_pages import (
    blocks_pdf_in_frames,
    is_displayed_pdf,
    is_missing,
    is_not_a_page,
    substituting,
)
from gradio_apps.runtime.progress import Progress
from portal.contract import local_path, read_address
from portal.contract.guard_paths import HEALTH_PATH, PREFIX
from portal.contract.known_addresses import known_address

log = logging.getLogger("gradio_portal.guard")

_LOGIN_ROUTES: Final = frozenset({"/login/huggingface", "/login/callback"})
_CONFIG: Final = "/config"
"""End of the path of a Gradio page's configuration, which names the files that the page shows to everybody."""
_STOPPED: Final = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
CLOSE_FORBIDDEN: Final = 4403
CLOSE_TRY_AGAIN: Final = 1013
Crowded: TypeAlias = Literal["too-many-connections", "too-many-of-one-person"]
_CROWDED: Final[Mapping[Crowded, tuple[int, str]]] = {
    "too-many-connections": (503, "The app has too many connections. Try again later."),
    "too-many-of-one-person": (429, "You have too many requests open. Try again later."),
}
"""Status and sentence where too much runs at once: in this process, or for this person."""


class Guard:
    """ASGI middleware that lets only requests with an app session reach *app*."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: GuardSettings,
        state: Callable[[], str] = lambda: "running",
        progress: Callable[[], Progress] = Progress,
        login_button: Callable[[], bool] = lambda: False,
        interface: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
        api_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._state = state
        self._progress = progress
        self._login_button = login_button
        self._interface = interface
        self._path = settings.path
        self._hosts = settings.hosts
        self._origin = settings.app_origin.encode("ascii")
        self._tag = script_tag(settings)
        self._seal = CookieSeal(settings)
        self._headers = AnswerHeaders(settings)
        self._answer = Responses(settings, answers=self._headers)
        self._client = PortalClient(settings, transport=transport)
        self._exchange = TokenExchange(settings, clock=clock, transport=api_transport)
        self._sessions = Sessions(self._client, clock=clock, on_end=self._on_session_end)
        self._report_ended: Callable[[str], None] = lambda _sid: None
        self.work = RunningWork()
        self._people = AtOnce(PER_PERSON)
        self._ownership = GradioOwnership(Bindings(), CacheFiles(shared=settings.shared_files))
        secure = "s" if settings.scheme == "https" else ""
        self._schemes = {"http": f"http{secure}", "websocket": f"ws{secure}"}
        keys = PortalKeys(settings, client=self._client, clock=clock)
        self._probes = Probes(
            settings,
            answering=self._answer,
            answers=self._headers,
            client=self._client,
            keys=keys,
            seal=self._seal,
            clock=clock,
        )
        self._own = OwnRoutes(
            settings,
            answering=self._answer,
            handover=Handover(client=self._client, keys=keys, sessions=self._sessions, clock=clock),
            probes=self._probes,
            sessions=self._sessions,
            seal=self._seal,
            state=state,
            hold=self._hold,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one connection."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            raise RuntimeError(f"The guard lets no {kind!r} connection through.")

    def report_ended(self, report: Callable[[str], None]) -> None:
        """Call *report* with each app session that ends here: other processes of the app may have it too."""
        self._report_ended = report

    def end_session(self, sid: str) -> None:
        """End the app session *sid*, which ended in another process of this app."""
        self._sessions.end(sid)

    def _on_session_end(self, sid: str) -> None:
        self._exchange.forget(sid)
        self._report_ended(sid)

    async def aclose(self) -> None:
        """Stop background tasks and close the connections to the portal."""
        await self._sessions.aclose()
        await self._client.aclose()
        self._exchange.close()
        self._ownership.close()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_after_closing(message: Message) -> None:
            # After this message, servers cancel what still runs.
            if message["type"] in _STOPPED:
                await self.aclose()
            await send(message)

        try:
            await self._app(scope, receive, send_after_closing)
        finally:
            await self.aclose()

    # --- HTTP ---------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        prefix = self._path
        if prefix and path == prefix:
            await self._answer.redirect(send, prefix + "/")
            return
        if prefix and not path.startswith(prefix + "/"):
            await self._answer.json(send, 404, {"detail": "There is nothing here."})
            return
        local = path[len(prefix) :]
        if local == HEALTH_PATH:
            await self._own.health(send)
            return
        presented, headers = read_request(scope["method"], scope["headers"], seal=self._seal)
        request = Request(scope, receive, send, presented, headers)
        if local.startswith(PREFIX) or local == PREFIX.rstrip("/"):
            wrong = misdirected(presented, hosts=self._hosts)
            if wrong is not None:
                await self._refuse(send, wrong)
                return
            await self._own(local[len(PREFIX) :], request)
            return
        authorization = authorize(presented, hosts=self._hosts, origin=self._origin)
        if isinstance(authorization, Enter):
            await self._enter(authorization.sid, request)
        elif isinstance(authorization, Refuse):
            await self._refuse(send, authorization)
        else:
            await self._answer.challenge(scope, send, presented)

    async def _refuse(self, send: Send, refusal: Refuse) -> None:
        log.info("request-refused code=%s", refusal.reason.value)
        await self._answer.refuse(send, refusal.reason)

    async def _enter(self, sid: str, request: Request) -> None:
        session = self._sessions.fresh(sid)
        if session is None:
            try:
                session = await self._sessions.find(sid)
            except PortalAway:
                await self._answer.either(
                    request.send,
                    503,
                    presented=request.presented,
                    page=self._answer.pages.away(),
                    detail="The portal is not available at the moment. Try again in a minute.",
                )
                return
        if session is None:
            await self._answer.challenge(request.scope, request.send, request.presented)
            return
        state = self._state()
        if state != "running":
            await self._not_running(state, request)
        elif not (self._login_button() and await self._login(request)):
            with self._counted(session, request.scope) as crowded:
                if crowded is None:
                    await self._run(session, request)
                    return
                await self._defer(request.send, crowded)

    async def _hold(self, session: AppSession, request: Request) -> None:
        """Answer with an empty event stream that lasts as long as *session*, and is no use of it."""
        authorization = authorize(request.presented, hosts=self._hosts, origin=self._origin)
        if isinstance(authorization, Refuse):  # another site's page must not use up the person's requests
            await self._refuse(request.send, authorization)
            return
        with self._counted(session, request.scope) as crowded:
            if crowded is not None:
                await self._defer(request.send, crowded)
                return
            running = RunningRequest(
                request.send, answers=self._headers, idle=True, stopping=lambda: self.work.stopping
            )
            await self._tracked(session, running, stay_open(request.receive, running.send), is_work=False)

    async def _defer(self, send: Send, crowded: Crowded) -> None:
        status, detail = _CROWDED[crowded]
        await self._answer.json(send, status, {"detail": detail}, headers=[(b"retry-after", b"5")])

    @contextmanager
    def _counted(self, session: AppSession, scope: Scope) -> Iterator[Crowded | None]:
        """Count a request of *session* while the block runs; yield why it may not run, if it is one too many."""
        with self._people.one(session.person.subject) as own, serving(scope) as stays:
            crowded: Crowded | None = None
            if not (own and stays):
                crowded = "too-many-connections" if own else "too-many-of-one-person"
                log.info("request-deferred code=%s", crowded)
            yield crowded

    async def _not_running(self, state: str, request: Request) -> None:
        failed = state == "failed"
        pages, progress = self._answer.pages, self._progress()
        await self._answer.either(
            request.send,
            503,
            presented=request.presented,
            page=pages.failed(progress) if failed else pages.starting(progress),
            detail="The app did not start." if failed else "The app is starting. Try again in a moment.",
        )

    async def _login(self, request: Request) -> bool:
        """Answer the addresses of ``gr.LoginButton``; say whether this was one."""
        path = request.scope["path"][len(self._path) :]
        if path in _LOGIN_ROUTES:  # signed in already: back to where the button was
            query = dict(parse_qsl(request.scope.get("query_string", b"").decode("latin-1")))
            await self._answer.redirect(request.send, self._path + local_path(query.get("_target_url")))
            return True
        return False

    async def _run(self, session: AppSession, request: Request) -> None:
        scope, presented = request.scope, request.presented
        owner = owner_of(session.person)
        call = self._ownership.address(
            presented.method, scope["path"], scope.get("query_string", b""), owner, mcp_session=presented.mcp_session
        )
        if isinstance(call, Stopped):
            await self._answer.json(request.send, call.status, {"detail": call.detail})
            return
        headers = request.headers
        known: list[str] = []
        """Gradio sessions that the body names."""
        is_page = presented.navigation is not None and presented.method == "GET"
        is_config = presented.method == "GET" and scope["path"].endswith(_CONFIG)
        watch = self._ownership.watcher(
            call,
            owner,
            issued=lambda event: self.work.issued(event, known),
            page="html" if is_page else "json" if is_config else None,
        )
        injector = Injector(self._tag) if is_page else None
        if is_page or watch is not None:  # a compressed answer cannot be read
            headers = [pair for pair in headers if pair[0] != b"accept-encoding"]
        running = RunningRequest(
            request.send,
            answers=self._headers,
            path=scope["path"],
            if_none_match=None if is_page or watch is not None else presented.if_none_match,
            injector=injector,
            watch=watch,
            watched_type=b"text/html" if isinstance(watch, PageFiles) else b"",
            client=self._ownership.client_issued(owner),
            idle=call.idle,
            stopping=lambda: self.work.stopping,
            last_message=gradio_calls.last_message(call, STOPPED),
        )
        inner = self._scope_for(session, scope, headers)
        send = self._substituting(request, running)

        async def work() -> None:
            receive = request.receive
            if self._ownership.reads(call, presented.method, scope["path"], headers):
                checked = await self._ownership.body(call, headers, request.receive, owner)
                if isinstance(checked, Stopped):
                    await self._answer.json(running.send, checked.status, {"detail": checked.detail})
                    return
                receive = checked[0]
                known.extend(checked[1].hashes)
            if call.issues_event and not await self._starts_here(request, running.send, known):
                return
            with ExitStack() as stack:
                if call.issues_event:
                    stack.enter_context(self.work.joining())
                if call.is_event_stream:
                    stack.enter_context(self.work.hearing((*call.events, *call.hashes)))
                await self._app(inner, running.receiving(receive), send)

        await self._tracked(session, running, work())

    def _substituting(self, request: Request, running: RunningRequest) -> Send:
        """Return a ``send`` for the app's answer, which puts a page in the place of one that people cannot use."""
        presented = request.presented
        send: Send = running.send
        if presented.navigation is None or presented.method != "GET":
            return send
        if blocks_pdf_in_frames(presented, request.headers):
            send = substituting(send, is_displayed_pdf, partial(self._answer.document, running.own, request.scope))
        path = request.scope["path"][len(self._path) :]
        known = known_address(path)
        if known is not None:
            return substituting(send, is_missing, partial(self._answer.known, running.own, known, presented))
        interface = self._interface() if path == "/" else None
        if interface is None:
            return send
        query = request.scope.get("query_string", b"").decode("latin-1")
        target = self._path + local_path(f"{interface}?{query}" if query else interface, default=interface)
        return substituting(send, is_not_a_page, partial(self._answer.redirect, running.own, target))

    async def _starts_here(self, request: Request, send: Send, sessions: Sequence[str]) -> bool:
        """Say whether this process starts an event of these Gradio *sessions*; otherwise answer the request."""
        process = self.work.process_for(sessions)
        if process == "next":
            await self._answer.repeat(send, request.scope)
        elif process == "before":
            detail = "The app has just been restarted, and your earlier request still runs. Wait until it has ended."
            await self._answer.json(send, 503, {"detail": detail}, headers=[(b"retry-after", b"5")])
        return process == "here"

    async def _tracked(
        self, session: AppSession, running: RunningRequest, work: Coroutine[Any, Any, None], *, is_work: bool = True
    ) -> None:
        """Run *work* so that it is cancelled when *session* ends; *is_work*: whether the app's open work counts it."""
        self._sessions.begin(session, running)
        try:
            with self.work.running(running) if is_work else nullcontext():
                await work
        except Gone:
            pass
        except BaseException as error:
            if not running.caused(error):
                raise
            # An error of a task that the guard or the server cancelled; the server logs its own.
        finally:
            session.running.discard(running)
            await running.conclude()

    def _scope_for(self, session: AppSession, scope: Scope, headers: RawHeaders) -> Scope:
        inner = dict(scope)
        inner.pop(CONNECTION, None)
        inner["headers"] = headers
        # The guard knows the app's address; a server behind a reverse proxy that terminates TLS does not.
        inner["scheme"] = self._schemes[scope["type"]]
        inner["client"] = self._client_as_asgi(scope)
        inner["extensions"] = {}  # they could bypass the guard
        if self._path:
            inner["root_path"] = self._path
        inner.update(entries(session.person, ScopedPortalApi(self._exchange, session.sid), self._settings))
        return inner

    def _client_as_asgi(self, scope: Scope) -> tuple[str, int] | None:
        """Return the client behind trusted reverse proxies, in the form of ASGI."""
        peer: tuple[str, int] | None = scope.get("client")
        client = client_of(scope, self._settings.trusted_proxies)
        if client is None or (peer and read_address(peer[0]) == client):
            return peer
        return str(client), 0  # its port is not known

    # --- WebSocket ----------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        presented, headers = read_request("WEBSOCKET", scope["headers"], seal=self._seal)
        if (
            scope["path"] == f"{self._path}{PREFIX}{PROBE}socket"
            and misdirected(presented, hosts=self._hosts) is None
            and await self._probes.socket(scope, receive, send)
        ):
            return
        code, session = await self._socket_session(scope["path"], presented)
        if session is None:
            await receive()  # the handshake; closing it before it is accepted answers 403
            await send({"type": "websocket.close", "code": code, "reason": ""})
            return
        with self._counted(session, scope) as crowded:
            if crowded is None:
                await self._run_socket(session, scope, headers, receive, send)
                return
        await receive()
        await send({"type": "websocket.close", "code": CLOSE_TRY_AGAIN, "reason": ""})

    async def _run_socket(
        self, session: AppSession, scope: Scope, headers: RawHeaders, receive: Receive, send: Send
    ) -> None:
        owner = owner_of(session.person)
        call = self._ownership.address("WEBSOCKET", scope["path"], scope.get("query_string", b""), owner)
        if isinstance(call, Stopped):
            await receive()
            await send({"type": "websocket.close", "code": CLOSE_FORBIDDEN, "reason": ""})
            return
        running = RunningRequest(send, answers=self._headers, socket=True, stopping=lambda: self.work.stopping)
        inner = self._scope_for(session, scope, headers)
        checked = self._ownership.messages(call, receive, owner) if call.reads_body else receive

        async def work() -> None:
            try:
                await self._app(inner, running.receiving(checked), running.send)
            except NotTheirs:
                await running.send({"type": "websocket.close", "code": CLOSE_FORBIDDEN, "reason": ""})

        await self._tracked(session, running, work())

    async def _socket_session(self, path: str, presented: Presented) -> tuple[int, AppSession | None]:
        if not path.startswith(self._path + "/") or path[len(self._path) :].startswith(PREFIX):
            return CLOSE_FORBIDDEN, None
        authorization = authorize(presented, hosts=self._hosts, origin=self._origin)
        if not isinstance(authorization, Enter):
            return (CLOSE_SIGNED_OUT if isinstance(authorization, Challenge) else CLOSE_FORBIDDEN), None
        try:
            session = self._sessions.fresh(authorization.sid) or await self._sessions.find(authorization.sid)
        except PortalAway:
            return CLOSE_TRY_AGAIN, None
        if session is not None and self._state() != "running":
            return CLOSE_TRY_AGAIN, None
        return CLOSE_SIGNED_OUT, session
