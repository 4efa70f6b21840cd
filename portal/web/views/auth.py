"""Signing in and out: the way to the provider, the way back, and the way out.

Which provider says what is ``portal.sign_in.providers``; what a sign-in is, ``portal.access.sign_ins``.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import unquote, urlsplit

from flask import Blueprint, Response, abort, after_this_request, g, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as BaseResponse

from portal.access.audit import AuditEvent
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import SignIn, new_id
from portal.errors import AttemptUnknown, CallbackRejected, NotAdmitted, SignInFailed, StoreUnavailable
from portal.rules.identity import Identity
from portal.rules.policy import first_tenant, format_claims_read, landing_app, standing_in
from portal.rules.redirects import HOME, safe_next
from portal.settings import REGISTERED_CALLBACKS
from portal.sign_in.admission import Arrival, admit
from portal.sign_in.attempts import (
    ATTEMPT_LIFETIME,
    Attempt,
    cookies_of,
    find_attempt,
    has_attempt,
    seal_attempt,
    surplus_cookies,
)
from portal.sign_in.claims import values
from portal.sign_in.claims.storing import identity_to_store
from portal.sign_in.providers.base import Provider
from portal.web.browser_sessions import csrf_token, current_sign_in_id, end_session, new_session
from portal.web.current_sign_in import (
    current_sign_in,
    current_standing,
    forget_current_sign_in,
    sign_in_path,
    standing_of,
)
from portal.web.pages import GoingPage, LeavingPage, SignedOutPage, SignOutPage, render
from portal.web.request_origin import PURPOSES, is_prefetch, sign_in_may_begin
from portal.web.services import sealer, services
from portal.web.sign_in_page import ASK, provider_of_address, remember_last_used, sign_in_page

blueprint = Blueprint("auth", __name__)

_MAX_STATE: Final = 256
_MAX_BROWSER: Final = 200
_MAX_ADDRESS: Final = 320
_SEAL_PURPOSE: Final = "sign-in attempt"
_SIGN_OUT_PURPOSE: Final = "sign-out at the provider"


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Show one button per provider, and where the way leads; or go straight to the only one."""
    target = safe_next(request.args.get("next"))
    if current_standing() is not None:  # not the sign-in alone: a page that needs a standing sends people here
        return redirect(target, 303)
    only = _only_way()
    if only is not None:
        url, attempt = _begun_at(only, target=target)
        response = redirect(url, 303)
        _remember(attempt, response)
        return response
    return render(sign_in_page(target=target))


@blueprint.post("/sign-in")
def sign_in_by_address() -> ResponseReturnValue:
    """Lead to the provider that an e-mail address belongs to, without writing the address into a URL of ours."""
    target, address = safe_next(request.form.get("next")), request.form.get("address", "").strip()[:_MAX_ADDRESS]
    if current_standing() is not None:
        return redirect(target, 303)
    providers = services().providers
    spec = provider_of_address(address, (one.spec for one in providers.values()))
    if spec is None:
        return render(sign_in_page(target=target, address=address, address_unknown=True))
    url, attempt = _begun_at(providers[spec.id], target=target, login_hint=address)
    response = make_response(render(GoingPage(href=url, provider_label=spec.label)))
    _remember(attempt, response)
    return response


@blueprint.get("/auth/oauth/<provider>")
def begin(provider: str) -> ResponseReturnValue:
    """Send the browser to *provider*, with what must be remembered in a cookie of its own.

    Where another origin led here, the sign-in page comes first: its button is the person's own doing.
    """
    known = services().providers.get(provider)
    if known is None:
        abort(404)
    if not sign_in_may_begin(request.headers.get("Sec-Fetch-Site")):
        return redirect(sign_in_path(safe_next(request.args.get("next"))), 303)
    url, attempt = _begun_at(
        known,
        target=safe_next(request.args.get("next")),
        login_hint=values.email({"email": request.args.get("login_hint")}),
    )
    response = redirect(url, 303)
    _remember(attempt, response)
    return response


@blueprint.get("/auth/oauth/<provider>/callback")
def callback(provider: str) -> ResponseReturnValue:
    """Sign in whoever comes back from *provider*."""
    return _finish(provider)


def registered_callback() -> ResponseReturnValue:
    """Sign in whoever comes back on a path that was registered before there were several providers."""
    return _finish(None)


for _path in REGISTERED_CALLBACKS:
    blueprint.add_url_rule(_path, "registered_callback", registered_callback, methods=["GET"])


@blueprint.get("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Ask whether to sign out; a link alone must not do it."""
    known = current_sign_in()
    if known is None:
        return redirect(url_for("auth.signed_out"), 303)
    return render(SignOutPage(csrf=csrf_token(), identity=known.identity))


@blueprint.post("/sign-out")
def sign_out_now() -> ResponseReturnValue:
    """End the sign-in here and in every app, then at the provider."""
    known = current_sign_in()
    if known is None:
        return redirect(url_for("auth.signed_out"), 303)
    id_token = services().sign_ins.id_token_of(known.id)
    services().sign_ins.revoke(known.id, reason=RevocationReason.SIGNED_OUT, now=services().clock())
    end_session()
    forget_current_sign_in()
    return _leave(known, id_token=id_token)


@blueprint.get("/signed-out")
def signed_out() -> ResponseReturnValue:
    """Say that nobody is signed in any more, and whether the provider knows it too."""
    if current_sign_in() is not None:
        return redirect(HOME, 303)
    at_provider = sealer(_SIGN_OUT_PURPOSE).open(request.args.get("state", ""))
    provider_id = request.args.get("provider", "") if at_provider is None else at_provider.decode()
    spec = services().settings.provider(provider_id)
    return render(
        SignedOutPage(provider_label=None if spec is None else spec.label, at_provider=at_provider is not None)
    )


def _only_way() -> Provider | None:
    """Return the provider to go straight to, if that was configured and nothing speaks against it.

    Nobody is signed in yet, so whoever led here replaces no sign-in.  An attempt that has not come back means that
    the person has: by a step back, or because their way there leads nowhere.
    """
    settings, providers = services().settings, tuple(services().providers.values())
    wanted = settings.sign_in == "direct" and len(providers) == 1 and ASK not in request.args
    if not wanted or request.method != "GET" or has_attempt(request.cookies, secure=settings.secure_cookies):
        return None
    purposes = [request.headers.get(name) for name in PURPOSES]
    return None if any(is_prefetch(purpose) for purpose in purposes) else providers[0]


def _begun_at(provider: Provider, *, target: str, login_hint: str | None = None) -> tuple[str, Attempt]:
    """Return where *provider* wants the browser, and the attempt that leads to *target*."""
    g.going_to = target  # should it fail: where to begin again for
    settings = services().settings
    return provider.begin(
        redirect_uri=settings.callback_of(provider.spec),
        return_to=target,
        now=services().clock(),
        login_hint=login_hint,
    )


def _remember(attempt: Attempt, response: BaseResponse) -> None:
    """Put *attempt* into a cookie of *response*, and drop the ones it has no room for."""
    secure = services().settings.secure_cookies
    seal = sealer(_SEAL_PURPOSE)
    cookies = seal_attempt(attempt, secure=secure, seal=seal)
    for name in surplus_cookies(request.cookies, room_for=cookies, secure=secure, seal=seal):
        _drop(name, response)
    for name, value in cookies.items():
        response.set_cookie(
            name,
            value,
            max_age=ATTEMPT_LIFETIME,
            secure=secure,
            httponly=True,
            samesite="Lax",  # the provider's redirect back is a navigation from another site
        )


def _drop(name: str, response: BaseResponse) -> None:
    response.delete_cookie(name, secure=services().settings.secure_cookies, httponly=True, samesite="Lax")


def _finish(provider_id: str | None) -> ResponseReturnValue:
    """Match the callback with an attempt of this browser, and finish that."""
    if request.method == "HEAD":  # a link checker must not use up somebody's attempt
        abort(405)
    parameters = _parameters()
    attempt = _take_attempt(parameters)
    g.going_to = attempt.return_to
    try:
        provider = services().providers.get(attempt.provider)
        # Each provider has its own redirect URI, so that one cannot answer for another (RFC 9700, section 4.4.2).
        if provider is None or provider_id not in {None, attempt.provider, provider.spec.chainlit_id}:
            raise CallbackRejected("the callback came in at another provider's address")
        if not unquote(urlsplit(attempt.redirect_uri).path).endswith(request.path):
            raise CallbackRejected("the callback came in at another address than was asked for")
        completed = provider.complete(attempt, parameters, now=services().clock())
        arrival = Arrival(
            identity=completed.identity,
            claims=completed.claims,
            access_token=completed.access_token,
            id_token=completed.id_token,
        )
        identity = admit(arrival, spec=provider.spec, hook=services().hook)
        identity = identity_to_store(identity, rules=services().settings.roles)
    except SignInFailed as error:
        reason = f" ({error})" if isinstance(error, NotAdmitted) else ""
        _record_refusal(f"{attempt.provider}: {error.code}{reason}")
        raise
    response = redirect(_begun(identity, id_token=completed.id_token, return_to=attempt.return_to), 303)
    remember_last_used(attempt.provider, response)
    return response


def _record_refusal(detail: str) -> None:
    with suppress(StoreUnavailable):  # the log has it; the person is told why they are not signed in
        services().audit.record(
            AuditEvent.SIGN_IN_REFUSED, now=services().clock(), detail=detail, reference=g.get("reference", "")
        )


def _parameters() -> Mapping[str, str]:
    """Return the parameters of the callback.

    Raises:
        CallbackRejected: one stands there twice (RFC 6749, section 3.1), so that two readers could differ.
    """
    if any(len(values) > 1 for values in request.args.listvalues()):
        raise CallbackRejected("a parameter of the callback stands there twice")
    return request.args.to_dict()


def _take_attempt(parameters: Mapping[str, str]) -> Attempt:
    """Return the attempt that the callback belongs to, and have its cookie dropped whatever comes next.

    Raises:
        AttemptUnknown: it belongs to none of this browser.
        AttemptExpired: it comes too late.
    """
    state = parameters.get("state", "")
    if not 0 < len(state) <= _MAX_STATE:
        raise AttemptUnknown("the callback carries no usable state")
    settings = services().settings
    names = cookies_of(state, request.cookies, secure=settings.secure_cookies)

    @after_this_request
    def drop(response: Response) -> Response:
        for name in names:
            _drop(name, response)
        return response

    return find_attempt(
        request.cookies,
        state=state,
        secure=settings.secure_cookies,
        seal=sealer(_SEAL_PURPOSE),
        now=services().clock(),
    )


def _begun(identity: Identity, *, id_token: str | None, return_to: str) -> str:
    """Sign this browser in and return the path that follows.

    Sessions and sign-ins lie in two stores.  The new session comes first, then, at once, the new sign-in and the end
    of the former: whichever fails, the browser is left as it was.
    """
    settings, now = services().settings, services().clock()
    former, sign_in_id = current_sign_in_id(), new_id()
    with new_session(sign_in_id):
        begun = services().sign_ins.begin(
            identity,
            former=former,
            sign_in_id=sign_in_id,
            tenant=first_tenant(identity, wanted=None, rules=settings.roles),
            browser=request.user_agent.string[:_MAX_BROWSER],
            now=now,
            id_token=id_token,
            detail=_without_roles(identity),
        )
    services().metrics.signed_in(identity.provider)
    forget_current_sign_in()
    target = safe_next(return_to)  # sealed by us, and checked again all the same
    if target != HOME:
        return target
    standing = standing_of(begun)
    app = None if standing is None else landing_app(settings.catalogue, landing=settings.landing, standing=standing)
    return HOME if app is None else f"/apps/{app.slug}/"


def _without_roles(identity: Identity) -> str:
    """Return, for the audit, why a person has no role in any tenant; empty where they have one."""
    rules = services().settings.roles
    standings = (standing_in(identity, tenant=tenant, rules=rules) for tenant in identity.tenants)
    if any(standing is not None and standing.grants for standing in standings):
        return ""
    why = format_claims_read(rules, identity=identity)
    return f"no role ({why})" if why else ""


def _leave(ended: SignIn, *, id_token: str | None) -> ResponseReturnValue:
    """Send the browser on to the provider's sign-out, where it has one."""
    provider = services().providers.get(ended.identity.provider)
    here = url_for("auth.signed_out", provider=ended.identity.provider)
    if provider is None:
        return redirect(here, 303)
    url = provider.end_session_url(
        id_token_hint=id_token,
        post_logout_redirect_uri=f"{services().settings.url}/signed-out",
        state=sealer(_SIGN_OUT_PURPOSE).seal(provider.spec.id.encode()),
    )
    if url is None:
        return redirect(here, 303)
    return render(LeavingPage(href=url, provider_label=provider.spec.label))
