"""Signing out: here, in every app, and at the provider."""

from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import SignIn
from portal.rules.redirects import HOME
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
    """End the sign-in here and in every app, then at the provider."""
    sign_in, now = current_sign_in(), services().clock()
    if sign_in is None:
        return redirect(url_for("sign_out.signed_out"), 303)
    id_token = services().sign_ins.id_token_of(sign_in.id)
    services().sign_ins.revoke(sign_in.id, reason=RevocationReason.SIGNED_OUT, now=now)
    end_session()
    forget_current_sign_in()
    return _sign_out_at_provider(sign_in, id_token=id_token)


@blueprint.get("/signed-out")
def signed_out() -> ResponseReturnValue:
    """Show that the person is signed out, and whether they are signed out at the provider too."""
    if current_sign_in() is not None:
        return redirect(HOME, 303)
    state = sealer(_SEAL_PURPOSE).open(request.args.get("state", ""))
    provider_id = request.args.get("provider", "") if state is None else state.decode()
    spec = services().settings.provider(provider_id)
    return render(SignedOutPage(provider_label=None if spec is None else spec.label, at_provider=state is not None))


def _sign_out_at_provider(ended: SignIn, *, id_token: str | None) -> ResponseReturnValue:
    """Send the browser to the provider's end-session endpoint, where it has one, else to ``/signed-out``."""
    provider = services().providers.get(ended.identity.provider)
    url = (
        None
        if provider is None
        else provider.end_session_url(
            id_token_hint=id_token,
            post_logout_redirect_uri=f"{services().settings.url}/signed-out",
            state=sealer(_SEAL_PURPOSE).seal(provider.spec.id.encode()),
        )
    )
    if provider is None or url is None:
        return redirect(url_for("sign_out.signed_out", provider=ended.identity.provider), 303)
    label = provider.spec.label
    return render(ForwardPage(heading=f"Signing you out of {label}", link="Continue", href=url))
