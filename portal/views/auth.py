"""Signing in and out: the way to the provider, the way back, and the way out.

Which provider says what is ``portal.providers``; what a sign-in is, ``portal.sign_ins``.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, after_this_request, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as BaseResponse

from portal.attempts import (
    ATTEMPT_LIFETIME,
    Attempt,
    cookie_name,
    find_attempt,
    seal_attempt,
    surplus_cookies,
)
from portal.audit import AuditEvent
from portal.endings import EndReason
from portal.errors import AttemptUnknown, CallbackRejected, SignInFailed, StoreUnavailable
from portal.policy import first_tenant, landing_app
from portal.providers.base import Completed
from portal.redirects import HOME, safe_next
from portal.sealing import Sealer
from portal.services import services
from portal.sessions import csrf_token, current_sign_in_id, end_session, start_session
from portal.sign_ins import SignIn
from portal.views.current import (
    current_sign_in,
    current_standing,
    forget_current_sign_in,
    sign_in_path,
    standing_of,
)
from portal.views.origin import sign_in_may_begin
from portal.views.pages import LeavingPage, ProviderButton, SignedOutPage, SignInPage, SignOutPage, render

blueprint = Blueprint("auth", __name__)

_MAX_STATE: Final = 256
_MAX_BROWSER: Final = 200
_SEAL_PURPOSE: Final = "sign-in attempt"
_SIGN_OUT_PURPOSE: Final = "sign-out at the provider"


@blueprint.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Show one button per provider, and where the way leads."""
    target = safe_next(request.args.get("next"))
    if current_standing() is not None:  # not the sign-in alone: a page that needs a standing sends people here
        return redirect(target, 303)
    following: dict[str, Any] = {} if target == HOME else {"next": target}
    buttons = tuple(
        ProviderButton(label=provider.spec.label, href=url_for("auth.begin", provider=provider_id, **following))
        for provider_id, provider in services().providers.items()
    )
    # The path only: an app's title would tell a stranger that the app exists.
    going_to = None if target == HOME else target.partition("?")[0].partition("#")[0]
    return render(SignInPage(going_to=going_to, buttons=buttons))


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
    settings = services().settings
    url, attempt = known.begin(
        redirect_uri=known.spec.redirect_uri or f"{settings.url}/auth/oauth/{provider}/callback",
        return_to=safe_next(request.args.get("next")),
        now=services().clock(),
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


blueprint.add_url_rule("/auth/callback", "auth_callback", registered_callback, methods=["GET"])
blueprint.add_url_rule("/login/callback", "login_callback", registered_callback, methods=["GET"])


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
    _end(known.id, reason=EndReason.SIGNED_OUT)
    end_session()
    forget_current_sign_in()
    return _leave(known, id_token=id_token)


@blueprint.get("/signed-out")
def signed_out() -> ResponseReturnValue:
    """Say that nobody is signed in any more, and whether the provider knows it too."""
    if current_sign_in() is not None:
        return redirect(HOME, 303)
    at_provider = _sealer(_SIGN_OUT_PURPOSE).open(request.args.get("state", ""))
    provider_id = request.args.get("provider", "") if at_provider is None else at_provider.decode()
    spec = services().settings.provider(provider_id)
    return render(
        SignedOutPage(provider_label=None if spec is None else spec.label, at_provider=at_provider is not None)
    )


def _remember(attempt: Attempt, response: BaseResponse) -> None:
    """Put *attempt* into a cookie of *response*, and drop the ones it has no room for."""
    secure = services().settings.secure_cookies
    sealer = _sealer(_SEAL_PURPOSE)
    sealed = seal_attempt(attempt, seal=sealer)
    for name in surplus_cookies(request.cookies, room_for=sealed, secure=secure, seal=sealer):
        _drop(name, response)
    response.set_cookie(
        cookie_name(attempt.state, secure=secure),
        sealed,
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
    try:
        provider = services().providers.get(attempt.provider)
        # Each provider has its own redirect URI, so that one cannot answer for another (RFC 9700, section 4.4.2).
        if provider is None or provider_id not in {None, attempt.provider}:
            raise CallbackRejected("the callback came in at another provider's address")
        if not urlsplit(attempt.redirect_uri).path.endswith(request.path):
            raise CallbackRejected("the callback came in at another address than was asked for")
        completed = provider.complete(attempt, parameters, now=services().clock())
    except SignInFailed as error:
        _record_refusal(f"{attempt.provider}: {error.code}")
        raise
    return redirect(_begun(completed, return_to=attempt.return_to), 303)


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
    name = cookie_name(state, secure=settings.secure_cookies)
    if name in request.cookies:

        @after_this_request
        def drop(response: Response) -> Response:
            _drop(name, response)
            return response

    return find_attempt(
        request.cookies,
        state=state,
        secure=settings.secure_cookies,
        seal=_sealer(_SEAL_PURPOSE),
        now=services().clock(),
    )


def _begun(completed: Completed, *, return_to: str) -> str:
    """Sign this browser in and return the path that follows."""
    settings, now = services().settings, services().clock()
    former = current_sign_in_id()
    begun = services().sign_ins.begin(
        completed.identity,
        tenant=first_tenant(completed.identity, wanted=None, rules=settings.roles),
        browser=request.user_agent.string[:_MAX_BROWSER],
        now=now,
        id_token=completed.id_token,
    )
    if former is not None:  # before its id is lost with the old session: no sign-in may outlive its browser
        _end(former, reason=EndReason.SIGNED_OUT)
    start_session(begun.id)
    services().metrics.signed_in(completed.identity.provider)
    forget_current_sign_in()
    target = safe_next(return_to)  # sealed by us, and checked again all the same
    if target != HOME:
        return target
    standing = standing_of(begun)
    app = None if standing is None else landing_app(settings.catalogue, landing=settings.landing, standing=standing)
    return HOME if app is None else f"/apps/{app.slug}/"


def _end(sign_in_id: str, *, reason: EndReason) -> None:
    """End a sign-in, and tell the apps at once."""
    now = services().clock()
    pushes = services().sign_ins.end(sign_in_id, reason=reason, now=now)
    services().outbox.deliver(pushes, now=now)


def _leave(ended: SignIn, *, id_token: str | None) -> ResponseReturnValue:
    """Send the browser on to the provider's sign-out, where it has one."""
    provider = services().providers.get(ended.identity.provider)
    here = url_for("auth.signed_out", provider=ended.identity.provider)
    if provider is None:
        return redirect(here, 303)
    url = provider.end_session_url(
        id_token_hint=id_token,
        post_logout_redirect_uri=f"{services().settings.url}/signed-out",
        state=_sealer(_SIGN_OUT_PURPOSE).seal(provider.spec.id.encode()),
    )
    if url is None:
        return redirect(here, 303)
    return render(LeavingPage(href=url, provider_label=provider.spec.label))


def _sealer(purpose: str) -> Sealer:
    return Sealer(services().settings.secret_keys, purpose=purpose)
