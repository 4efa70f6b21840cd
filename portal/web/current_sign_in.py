"""The sign-in of the current request, looked up at most once.

Without a valid sign-in, a request is anonymous.
"""

from typing import Final
from urllib.parse import quote

from flask import abort, g, redirect, request

from portal.access.sign_ins import SignIn
from portal.contract import in_query
from portal.rules.policy import Standing, standing_in
from portal.rules.redirects import HOME, safe_next
from portal.web.browser_sessions import current_sign_in_id
from portal.web.services import services

_PATH_SAFE: Final = "/!$&()*+,;=:@-._~"
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


def current_sign_in() -> SignIn | None:
    """Return the valid sign-in of this browser, or ``None``.

    Raises:
        StoreUnavailable: the sign-in cannot be looked up.
    """
    if "sign_in" not in g:
        sign_in_id = current_sign_in_id()
        sign_in = None if sign_in_id is None else services().sign_ins.find(sign_in_id, now=services().clock())
        if sign_in is not None and sign_in.identity.affiliation(sign_in.tenant) is None:
            sign_in = None  # the person no longer belongs to the tenant: sign in again
        g.sign_in = sign_in
    return known_sign_in()


def known_sign_in() -> SignIn | None:
    """Return the result of :func:`current_sign_in` earlier in this request, without a look-up.

    For error pages, which must work without the database.
    """
    sign_in: SignIn | None = g.get("sign_in")
    return sign_in


def forget_current_sign_in() -> None:
    """Drop the cached sign-in; for views that begin, change or end it."""
    g.pop("sign_in", None)


def current_standing() -> Standing | None:
    """Return the person's roles in their current tenant; ``None`` for anonymous requests."""
    sign_in = current_sign_in()
    return None if sign_in is None else standing_of(sign_in)


def standing_of(sign_in: SignIn) -> Standing:
    """Return the standing of *sign_in* in its tenant.

    Raises:
        LookupError: the person does not belong to the tenant; :func:`current_sign_in` returns no such sign-in.
    """
    standing = standing_in(sign_in.identity, tenant=sign_in.tenant, rules=services().settings.roles)
    if standing is None:
        raise LookupError("the sign-in is in a tenant that is not the person's")
    return standing


def require_sign_in(*, otherwise: str = HOME) -> SignIn:
    """Return the valid sign-in, or abort with a 303 to the sign-in page that leads back to this page.

    If this page's address cannot be carried through a sign-in, it leads to *otherwise*.
    """
    sign_in = current_sign_in()
    if sign_in is None:
        # form-action stops a form whose answer redirects to another site: show the page first.
        is_form = request.method not in {"GET", "HEAD"}
        abort(redirect(sign_in_path(HOME if is_form else request_target(), ask=is_form, otherwise=otherwise), 303))
    return sign_in


def require_standing() -> Standing:
    """Return the person's standing, or abort with a 303 to the sign-in page."""
    return standing_of(require_sign_in())


def request_target() -> str:
    """Return path and query of this request, encoded as a browser would (RFC 9112, section 3.2.1)."""
    query = quote(request.query_string, safe=_PRINTABLE)  # clients other than browsers may send raw bytes
    path = quote(request.path, safe=_PATH_SAFE)
    return f"{path}?{query}" if query else path


def sign_in_path(target: str, *, ask: bool = False, otherwise: str = HOME) -> str:
    """Return the path of the sign-in page that leads to *target* afterwards; with *ask*, the page is always shown.

    If *target* is not a local path or too long, it leads to *otherwise*.
    """
    target = safe_next(target, default=otherwise)
    query = ([] if target == HOME else [f"next={in_query(target)}"]) + (["ask=1"] if ask else [])
    return f"/sign-in?{'&'.join(query)}" if query else "/sign-in"
