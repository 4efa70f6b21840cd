"""Who is asking: the sign-in behind the current request, looked up at most once.

Anything that is not a living sign-in counts as a stranger.
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
    """Return the living sign-in of this browser, or ``None`` for a stranger.

    Raises:
        StoreUnavailable: nobody can be recognised at the moment.
    """
    if "sign_in" not in g:
        sign_in_id = current_sign_in_id()
        found = None
        if sign_in_id is not None:
            found = services().sign_ins.find(sign_in_id, now=services().clock())
        if found is not None and found.identity.affiliation(found.tenant) is None:
            found = None  # the tenant they were in is no longer theirs: sign in again
        g.sign_in = found
    return known_sign_in()


def known_sign_in() -> SignIn | None:
    """Return what :func:`current_sign_in` found earlier in this request, without looking anything up.

    Error pages use it: they must be shown also when the database cannot be asked.
    """
    found: SignIn | None = g.get("sign_in")
    return found


def forget_current_sign_in() -> None:
    """Have the next question looked up afresh; for views that begin, change or end the sign-in."""
    g.pop("sign_in", None)


def current_standing() -> Standing | None:
    """Return who is asking, in their current tenant, with the roles they have there."""
    sign_in = current_sign_in()
    return None if sign_in is None else standing_of(sign_in)


def standing_of(sign_in: SignIn) -> Standing:
    """Return the standing of *sign_in* in its tenant.

    Raises:
        LookupError: the tenant is none of the person's; :func:`current_sign_in` returns no such sign-in.
    """
    standing = standing_in(sign_in.identity, tenant=sign_in.tenant, rules=services().settings.roles)
    if standing is None:
        raise LookupError("the sign-in is in a tenant that is not the person's")
    return standing


def require_sign_in(*, otherwise: str = HOME) -> SignIn:
    """Return the living sign-in, or leave the view with a 303 to the sign-in page that leads back here.

    Where the address of this page cannot be carried through a sign-in, it leads to *otherwise*.
    """
    sign_in = current_sign_in()
    if sign_in is None:
        # A form that is answered with a way to another site is stopped by form-action: the page comes first.
        is_form = request.method not in {"GET", "HEAD"}
        abort(redirect(sign_in_path(HOME if is_form else here(), ask=is_form, otherwise=otherwise), 303))
    return sign_in


def require_standing() -> Standing:
    """Return the standing of the person asking; strangers are sent to the sign-in page."""
    return standing_of(require_sign_in())


def here() -> str:
    """Return the path and query of this request, as a browser would write them."""
    query = quote(request.query_string, safe=_PRINTABLE)  # clients other than browsers send other bytes bare
    path = quote(request.path, safe=_PATH_SAFE)
    return f"{path}?{query}" if query else path


def sign_in_path(target: str, *, ask: bool = False, otherwise: str = HOME) -> str:
    """Return the address of the sign-in page that leads to *target* afterwards; with *ask*, it is shown in any case.

    Where *target* cannot be returned to, or its address is too long, the way leads to *otherwise*.
    """
    wanted = safe_next(target, default=otherwise)
    query = ([] if wanted == HOME else [f"next={in_query(wanted)}"]) + (["ask=1"] if ask else [])
    return f"/sign-in?{'&'.join(query)}" if query else "/sign-in"
