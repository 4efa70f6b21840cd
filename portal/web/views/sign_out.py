"""Signing out: here, in every app, and at the provider."""

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection, SignIn
from portal.rules.redirects import HOME
from portal.sign_in.provider_types import type_of
from portal.sign_in.providers.base import Provider
from portal.web.browser_sessions import csrf_token, end_session
from portal.web.current_sign_in import current_sign_in, forget_current_sign_in
from portal.web.pages import ForwardPage, SignedOutPage, SignOutPage, render
from portal.web.services import sealer, services

blueprint = Blueprint("sign_out", __name__)

_SEAL_PURPOSE: Final = "sign-out at the provider"


@blueprint.get("/sign-out")
def index() -> ResponseReturnValue:
    """Ask whether to sign out; a link alone must not do it."""
    sign_in = current_sign_in()
    if sign_in is None:
        return redirect(url_for("sign_out.signed_out"), 303)
    return render(SignOutPage(csrf=csrf_token(), identity=sign_in.identity))


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the sign-in here and in every app, or all of the person's sign-ins, then the one at the provider."""
    sign_in, now = current_sign_in(), services().clock()
    if sign_in is None:
        return redirect(url_for("sign_out.signed_out"), 303)
    id_token = services().sign_ins.id_token_of(sign_in.id)
    if "everywhere" in request.form:  # first: if it fails, the person can repeat it
        others = Selection(person=sign_in.identity.id, other_than=sign_in.id)
        services().sign_ins.revoke_selected(others, reason=RevocationReason.SIGNED_OUT, now=now)
    services().sign_ins.revoke(sign_in.id, reason=RevocationReason.SIGNED_OUT, now=now)
    end_session()
    forget_current_sign_in()
    return _sign_out_at_provider(sign_in, id_token=id_token)


@blueprint.get("/signed-out")
def signed_out() -> ResponseReturnValue:
    """Show that the person is signed out, and whether the provider has said that they are signed out there too."""
    if current_sign_in() is not None:
        return redirect(HOME, 303)
    state = request.args.get("state", "")
    opened = sealer(_SEAL_PURPOSE).open(state)
    provider_id, _, ended = ("", "", "") if opened is None else opened.decode().partition(" ")
    spec = services().settings.provider(provider_id or request.args.get("provider", ""))
    label = None if spec is None else spec.label
    # That the browser came back proves nothing: a person may decline there.
    confirms = spec is not None and type_of(spec).logout.confirms
    if not ended or (confirms and services().provider_logouts.has_ended(ended)):
        return render(SignedOutPage(provider_label=label, at_provider=bool(ended)))
    # Without the ID token: this page is in the history of a browser that others may use.
    href = _end_session_url(services().providers.get(provider_id), id_token=None, state=state)
    return render(SignedOutPage(provider_label=label, at_provider=False, provider_href=href))


def _sign_out_at_provider(ended: SignIn, *, id_token: str | None) -> ResponseReturnValue:
    """Send the browser to the provider's end-session endpoint, where it has one, else to ``/signed-out``."""
    provider = services().providers.get(ended.identity.provider)
    state = sealer(_SEAL_PURPOSE).seal(f"{ended.identity.provider} {ended.id}".encode())
    url = _end_session_url(provider, id_token=id_token, state=state)
    if provider is None or url is None:
        return redirect(url_for("sign_out.signed_out", provider=ended.identity.provider), 303)
    label = provider.spec.label
    return render(ForwardPage(heading=f"Signing you out of {label}", link="Continue", href=url))


def _end_session_url(provider: Provider | None, *, id_token: str | None, state: str) -> str | None:
    if provider is None:
        return None
    back = f"{services().settings.url}/signed-out"
    return provider.end_session_url(id_token_hint=id_token, post_logout_redirect_uri=back, state=state)
