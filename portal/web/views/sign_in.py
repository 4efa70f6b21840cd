"""Signing in, up to the provider: the sign-in page and the redirect to the provider."""

from typing import Final

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue

from portal.rules.provider_paths import provider_path
from portal.rules.redirects import safe_next
from portal.sign_in.attempts import has_attempt
from portal.sign_in.claims import values
from portal.sign_in.providers.base import Provider
from portal.web.current_sign_in import current_standing, require_sign_in, sign_in_path
from portal.web.pages import SignedInPage, render
from portal.web.provider_redirect import redirect_to_provider
from portal.web.request_origin import PURPOSES, is_prefetch, sign_in_may_begin
from portal.web.services import services
from portal.web.sign_in_page import ASK, provider_of_address, sign_in_page

blueprint = Blueprint("sign_in", __name__)

_MAX_ADDRESS: Final = 320


@blueprint.get("/sign-in")
def index() -> ResponseReturnValue:
    """Show one button per provider, or go straight to the only one."""
    target = safe_next(request.args.get("next"))
    if current_standing() is not None:  # a sign-in alone is not enough: pages that need a standing redirect here
        return redirect(target, 303)
    provider = _direct_provider()
    return render(sign_in_page(target=target)) if provider is None else redirect_to_provider(provider, target=target)


@blueprint.post("/sign-in")
def by_address() -> ResponseReturnValue:
    """Lead to the provider of an e-mail address, without putting the address into a URL of the portal."""
    target, address = safe_next(request.form.get("next")), request.form.get("address", "").strip()[:_MAX_ADDRESS]
    if current_standing() is not None:
        return redirect(target, 303)
    providers = services().providers
    spec = provider_of_address(address, (one.spec for one in providers.values()))
    if spec is None:
        return render(sign_in_page(target=target, address=address, address_unknown=True))
    # A redirect to another site in answer to a form is stopped by form-action.
    return redirect_to_provider(providers[spec.id], target=target, login_hint=address, by_page=True)


@blueprint.get("/signed-in")
def signed_in() -> ResponseReturnValue:
    """Sign in, and show the page that tells the portal's open pages and closes its window."""
    require_sign_in()
    return render(SignedInPage())


@blueprint.get(provider_path("<provider>"))
def begin(provider: str) -> ResponseReturnValue:
    """Redirect to *provider*; a request that another origin caused gets the sign-in page first."""
    known = services().providers.get(provider)
    if known is None:
        abort(404)
    target = safe_next(request.args.get("next"))
    if not sign_in_may_begin(request.headers.get("Sec-Fetch-Site")):
        return redirect(sign_in_path(target), 303)
    return redirect_to_provider(
        known, target=target, login_hint=values.email({"email": request.args.get("login_hint")})
    )


def _direct_provider() -> Provider | None:
    """Return the provider to go to without showing the page, if that is configured and possible.

    Nobody is signed in yet, so a link from another site cannot replace a sign-in.  An attempt that has not come back
    means that the person has, by the browser's back button or because the provider failed: they see the page.
    """
    settings, providers = services().settings, tuple(services().providers.values())
    is_direct = settings.sign_in == "direct" and len(providers) == 1 and ASK not in request.args
    if not is_direct or request.method != "GET" or has_attempt(request.cookies, secure=settings.secure_cookies):
        return None
    return None if is_prefetch(map(request.headers.get, PURPOSES)) else providers[0]
