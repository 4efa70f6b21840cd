"""Who is in the app, told to Gradio in its own terms.

``gr.Request.username`` is the result of an auth dependency; ``gr.OAuthProfile`` and
``gr.OAuthToken`` are read from the session's ``oauth_info``.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.contract import Person

VISITOR: Final = "portal.visitor"
"""Scope key under which the guard puts the person."""
SIGN_IN: Final = "gradio_apps.oauth-info"
"""Scope key that keeps what the guard put into the session under ``oauth_info``."""
OWN_CALL: Final = "gradio_apps.own-call"
"""Scope key that marks a call of the app to itself."""

AuthDependency: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]


def person_in(scope: Scope) -> Person | None:
    """Return who the guard let in."""
    person: Person | None = scope.get(VISITOR)
    return person


def username_for(theirs: AuthDependency | None) -> Callable[[Request], Awaitable[str | None]]:
    """Return an auth dependency that names the portal's person.

    Where the author's own dependency *theirs* is kept, it may still refuse: whoever it does not
    name is not let in, and whoever it names is the portal's person.
    """

    async def username(request: Request) -> str | None:
        person = person_in(request.scope)
        if theirs is not None:
            answer = theirs(request)
            named = await answer if inspect.isawaitable(answer) else answer
            if named is None or person is None:
                return named
        if person is not None:
            return person.username
        # The app calls itself: nobody in particular, and yet not turned away as None would be.
        return "" if scope_is_own(request.scope) else None

    return username


def scope_is_own(scope: Scope) -> bool:
    """Say whether the app calls itself."""
    return scope.get(OWN_CALL) is True


class PersonSession:
    """ASGI middleware inside Gradio's app that puts the guard's ``oauth_info`` into the session handlers read.

    It stands inside, on a copy: a session middleware of the author's around it would replace the
    guard's session, and must not write the person into its own cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] in {"http", "websocket"}:
            session = {**(scope.get("session") or {}), "oauth_info": scope.get(SIGN_IN)}
            scope = {**scope, "session": session}
        await self._app(scope, receive, send)
