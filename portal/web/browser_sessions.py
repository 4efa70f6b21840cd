"""The browser session: a cookie, a row in a small SQLite file, and two values in it.

The only module that uses ``flask.session``.  A session holds the id of the sign-in and the CSRF
token.  Only the sign-in's row decides whether someone is signed in, so a session that outlives a
sign-out is worth nothing.
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
"""File name of the store in the data folder."""
_SIGN_IN: Final = "sign-in"
_CSRF: Final = "csrf"


def install_sessions(app: Flask, settings: Settings, *, clock: Clock = system_clock) -> None:
    """Store the sessions of *app* in ``sessions.db`` of the data folder."""
    secure = settings.secure_cookies
    app.config.update(
        SESSION_COOKIE_NAME="__Host-portal" if secure else "portal",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_DOMAIN=None,
        # If on, every request would write to the store: static files and refused requests too.
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=settings.absolute_lifetime,
    )
    app.session_interface = SessionStore(app, settings.data_dir / FILE, clock=clock)


@contextmanager
def new_session(sign_in_id: str) -> Iterator[None]:
    """Start a new session for a sign-in that begins inside the block.

    Nothing of the old session survives, neither its id nor its CSRF token.  The new one is written before the block; if
    the block fails, the browser keeps the old session.

    Raises:
        StoreUnavailable: the session was not written; the block was not entered.
    """
    session.clear()
    session[_SIGN_IN] = sign_in_id
    session[_CSRF] = secrets.token_urlsafe(32)
    # Write first, then rotate: Flask-Session does not rotate an empty session.
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
    """End the session: delete its row and the browser's cookie."""
    session.clear()


def current_sign_in_id() -> str | None:
    """Return the id of the sign-in of this browser; whether it is still valid is not checked.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    value = session.get(_SIGN_IN)
    return value if type(value) is str else None


def csrf_token() -> str:
    """Return the CSRF token of this session, made now if there is none; call it for forms only.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    value = session.get(_CSRF)
    if type(value) is not str:
        value = session[_CSRF] = secrets.token_urlsafe(32)
    return value


def csrf_expected() -> bool:
    """Return whether this session has a CSRF token; without one, no form need be read.

    Raises:
        StoreUnavailable: the session cannot be read.
    """
    return type(session.get(_CSRF)) is str


def csrf_ok(presented: object) -> bool:
    """Return whether *presented* is this session's CSRF token; false for a session without one."""
    value = session.get(_CSRF)
    if type(value) is not str or type(presented) is not str:
        return False
    return hmac.compare_digest(value.encode(), presented.encode("utf-8", "replace"))
