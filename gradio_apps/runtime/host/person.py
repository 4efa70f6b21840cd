"""Who is in the app, told to Gradio in its own terms.

``gr.Request.username`` is the result of an auth dependency; ``gr.OAuthProfile`` and
``gr.OAuthToken`` are read from the session's ``oauth_info``.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.contract import Person

logger = logging.getLogger("gradio_portal.host")

VISITOR: Final = "portal.visitor"
"""Scope key under which the guard puts the person."""
SIGN_IN: Final = "gradio_apps.sign-in"
"""Scope key that keeps the session as the guard made it; one of the author's own may stand in its place further in."""
OWN_CALL: Final = "gradio_apps.own-call"
"""Scope key that marks a call of the app to itself."""

AuthDependency: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]


def person_in(scope: Scope) -> Person | None:
    """Return who the guard let in."""
    person: Person | None = scope.get(VISITOR)
    return person


def username_for(theirs: AuthDependency | None, *, awaited: bool = True) -> AuthDependency:
    """Return an auth dependency that names the portal's person.

    Where the author's own dependency *theirs* is kept, it may still refuse: whoever it does not
    name is not let in, and whoever it names is the portal's person.

    It is a plain function and answers at once unless *theirs* does not.  Where nothing is *awaited*, as in
    Gradio 5, what an ``async`` one would say is not known, and nobody is let in.
    """

    def username(request: Request) -> str | Awaitable[str | None] | None:
        if theirs is None:
            # The app calls itself: nobody in particular, and yet not turned away as None would be.
            return _named(request.scope, otherwise="" if scope_is_own(request.scope) else None)
        answer = theirs(request)
        if inspect.isawaitable(answer):
            if awaited:
                return later(request, answer)
            if inspect.iscoroutine(answer):
                answer.close()
            logger.error("The app's auth_dependency is async, and this Gradio awaits none: nobody is let in.")
            return None
        return None if answer is None else _named(request.scope, otherwise=answer)

    async def later(request: Request, waiting: Awaitable[str | None]) -> str | None:
        answer = await waiting
        return None if answer is None else _named(request.scope, otherwise=answer)

    return username


def _named(scope: Scope, *, otherwise: str | None) -> str | None:
    person = person_in(scope)
    return otherwise if person is None else person.username


def scope_is_own(scope: Scope) -> bool:
    """Say whether the app calls itself."""
    return scope.get(OWN_CALL) is True


class PersonSession:
    """ASGI middleware inside Gradio's app that puts who is there into the session handlers read.

    It stands inside, on a copy: a session middleware of the author's around it would replace the
    guard's session, and must not write the person into its own cookie.  ``oauth_info`` is the guard's to say;
    a ``user`` that the author's own session holds stays the author's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] in {"http", "websocket"}:
            session, said = dict(scope.get("session") or {}), scope.get(SIGN_IN) or {}
            # Without a person, as in the app's own calls, it must be missing: Gradio 5 asks only whether it is there.
            session.pop("oauth_info", None)
            if "oauth_info" in said:
                session["oauth_info"] = said["oauth_info"]
            if "user" in said:
                session.setdefault("user", said["user"])
            scope = {**scope, "session": session}
        await self._app(scope, receive, send)
