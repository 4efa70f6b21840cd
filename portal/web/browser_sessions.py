"""The browser session: a cookie, a row in a small SQLite file, and two values in it.

The only module that touches ``flask.session``.  A session holds the id of the sign-in and the CSRF
token; whether somebody is signed in is the sign-in's row to say, so that no session that outlives
or outruns a sign-out is worth anything.
"""

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from flask import Flask, current_app, session

from portal.clock import Clock, system_clock
from portal.settings import Settings
from portal.storage.session_store import BrowserSession, SessionStore

FILE: Final = "sessions.db"
"""Name of the store in the data folder."""
_SIGN_IN: Final = "sign-in"
_CSRF: Final = "csrf"


def install_sessions(app: Flask, settings: Settings, *, clock: Clock = system_clock) -> None:
    """Have *app* keep its sessions in ``sessions.db`` of the data folder."""
    secure = settings.secure_cookies
    app.config.update(
        SESSION_COOKIE_NAME="__Host-portal" if secure else "portal",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN=None,
        # On, every request would write the store: static files and refused ones too.
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=settings.absolute_lifetime,
    )
    app.session_interface = SessionStore(app, settings.data_dir / FILE, clock=clock)


@contextmanager
def new_session(sign_in_id: str) -> Iterator[None]:
    """Start a fresh session for a sign-in that is begun inside the block.

    Neither id, CSRF token nor anything else of the old session survives.  It is written before the block, and where
    the block fails the browser keeps the session that it had.

    Raises:
        StoreUnavailable: the session was not written; the block was not entered.
    """
    session.clear()
    session[_SIGN_IN] = sign_in_id
    session[_CSRF] = secrets.token_urlsafe(32)
    # Write first, then rotate: Flask-Session's own rotation passes over a session that holds nothing.
    store = cast("SessionStore", current_app.session_interface)
    with store.rotate(cast("BrowserSession", session._get_current_object())):  # type: ignore[attr-defined] # noqa: SLF001 - the object behind Flask's proxy
        yield


def check_store() -> None:
    """Check that sessions can be written.

    Raises:
        StoreUnavailable: they cannot.
    """
    cast("SessionStore", current_app.session_interface).ping()


def end_session() -> None:
    """Forget the session: its row goes and the browser drops the cookie."""
    session.clear()


def current_sign_in_id() -> str | None:
    """Return the id of the sign-in this browser claims; whether it lives is to be looked up.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    value = session.get(_SIGN_IN)
    return value if type(value) is str else None


def csrf_token() -> str:
    """Return the token that forms of this session carry, made now if there is none; call it for forms only.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    value = session.get(_CSRF)
    if type(value) is not str:
        value = session[_CSRF] = secrets.token_urlsafe(32)
    return value


def csrf_expected() -> bool:
    """Say whether this session has a token, so that a form may carry it; without one no form need be read.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    return type(session.get(_CSRF)) is str


def csrf_ok(presented: object) -> bool:
    """Say whether *presented* is this session's token; a session without one agrees to nothing."""
    value = session.get(_CSRF)
    if type(value) is not str or type(presented) is not str:
        return False
    return hmac.compare_digest(value.encode(), presented.encode("utf-8", "replace"))
