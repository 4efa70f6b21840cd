"""The person in the app, in Gradio's own terms.

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
"""Scope key of the person, set by the guard."""
SIGN_IN: Final = "gradio_apps.sign-in"
"""Scope key of the session as the guard made it; an author's middleware may replace ``session`` itself."""
OWN_CALL: Final = "gradio_apps.own-call"
"""Scope key of a call of the app to itself."""

AuthDependency: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]


def person_in(scope: Scope) -> Person | None:
    """Return the person that the guard let in."""
    person: Person | None = scope.get(VISITOR)
    return person


def username_for(theirs: AuthDependency | None, *, awaited: bool = True) -> AuthDependency:
    """Return an auth dependency that returns the username of the portal's person.

    The author's own dependency *theirs* may still refuse, by returning ``None``; the name that it returns is replaced.

    Unless *awaited*, as in Gradio 5, the result of an ``async`` dependency is unknown, and nobody is let in.
    """

    def username(request: Request) -> str | Awaitable[str | None] | None:
        if theirs is None:
            # The app calls itself: an empty name, because None would be refused.
            return _named(request.scope, otherwise="" if scope_is_own(request.scope) else None)
        answer = theirs(request)
        if inspect.isawaitable(answer):
            if awaited:
                return later(request, answer)
            if inspect.iscoroutine(answer):
                answer.close()
            logger.error("The app's auth_dependency is async, and this Gradio does not await it: nobody is let in.")
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
    """ASGI middleware inside Gradio's app that puts the person into the session that handlers read.

    It works on a copy: a session middleware of the author around it would replace the guard's session, and must not
    write the person into its own cookie.  Only the guard sets ``oauth_info``; a ``user`` in the author's own session
    stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] in {"http", "websocket"}:
            session, own = dict(scope.get("session") or {}), scope.get(SIGN_IN) or {}
            # Without a person, as in the app's own calls, it must be missing: Gradio 5 only checks its presence.
            session.pop("oauth_info", None)
            if "oauth_info" in own:
                session["oauth_info"] = own["oauth_info"]
            if "user" in own:
                session.setdefault("user", own["user"])
            scope = {**scope, "session": session}
        await self._app(scope, receive, send)
