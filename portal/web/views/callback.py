"""The callback from the provider: it finishes an attempt and signs the browser in."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from flask import Blueprint, abort, g, redirect, request
from flask.typing import ResponseReturnValue

from portal.access.audit_events import AuditEvent, claim_fields, refusal_fields
from portal.access.sign_ins import new_id
from portal.errors import CallbackRejected, NotAdmitted, ProviderMisconfigured, SignInFailed, StoreUnavailable
from portal.rules.identity import Identity
from portal.rules.policy import first_tenant, format_claims_read, landing_app, standing_in
from portal.rules.provider_paths import CALLBACK, provider_path
from portal.rules.redirects import HOME, safe_next
from portal.settings import REGISTERED_CALLBACKS
from portal.sign_in.admission import admit_completed
from portal.sign_in.attempts import Attempt
from portal.sign_in.providers.base import CompletedSignIn
from portal.web.attempt_cookies import take_attempt
from portal.web.browser_sessions import current_sign_in_id, new_session
from portal.web.current_sign_in import forget_current_sign_in, standing_of
from portal.web.provider_redirect import redirect_to_provider
from portal.web.rate_limits import client_address
from portal.web.services import services
from portal.web.sign_in_page import remember_last_used

blueprint = Blueprint("callback", __name__)

_log: Final = logging.getLogger("portal.providers")
_MAX_BROWSER: Final = 200


def callback(provider: str | None = None) -> ResponseReturnValue:
    """Sign in the person who returns from *provider*; ``None`` on paths that name no provider."""
    if request.method == "HEAD":  # a link checker must not use up an attempt
        abort(405)
    parameters = _parameters()
    attempt = take_attempt(parameters)
    g.going_to = attempt.return_to
    try:
        completed, identity = _complete(attempt, parameters, provider_id=provider)
    except SignInFailed as error:
        if attempt.asks_refresh and isinstance(error, ProviderMisconfigured) and "error" in parameters:
            _log.warning("%s: signing in without a refresh token: %s", attempt.provider, error)
            again = services().providers[attempt.provider]
            return redirect_to_provider(again, target=attempt.return_to, asks_refresh=False)
        _record_refusal(error, provider=attempt.provider)
        raise
    response = redirect(_sign_in(identity, completed, return_to=attempt.return_to), 303)
    remember_last_used(attempt.provider, response)
    return response


for _path in (provider_path("<provider>", CALLBACK), *REGISTERED_CALLBACKS):
    blueprint.add_url_rule(_path, "callback", callback, methods=["GET"])


def _complete(
    attempt: Attempt, parameters: Mapping[str, str], *, provider_id: str | None
) -> tuple[CompletedSignIn, Identity]:
    """Return what the provider says about the person, and the identity that admission lets in.

    Raises:
        SignInFailed: the callback, the provider or admission does not allow the sign-in.
    """
    provider = services().providers.get(attempt.provider)
    # Each provider has its own redirect URI, so that one cannot answer for another (RFC 9700, section 4.4.2).
    if provider is None or provider_id not in {None, attempt.provider, provider.spec.chainlit_id}:
        raise CallbackRejected("the callback came in at another provider's address")
    if not unquote(urlsplit(attempt.redirect_uri).path).endswith(request.path):
        raise CallbackRejected("the callback came in at another address than the redirect URI")
    completed = provider.complete(attempt, parameters, now=services().clock())
    rules = services().settings.roles
    return completed, admit_completed(completed, spec=provider.spec, hook=services().hook, rules=rules)


def _record_refusal(error: SignInFailed, *, provider: str) -> None:
    fields: dict[str, object] = {"provider": provider, "code": error.code}
    detail = f"{provider}: {error.code}"
    if isinstance(error, NotAdmitted):
        fields |= refusal_fields(error)
        detail = f"{detail} ({error})"
    with suppress(StoreUnavailable):  # the log has it, and the page gives the reason
        services().audit.record(
            AuditEvent.SIGN_IN_REFUSED,
            now=services().clock(),
            detail=detail,
            fields=fields,
            reference=g.get("reference", ""),
            address=client_address(services().settings.trusted_proxies),
        )


def _parameters() -> Mapping[str, str]:
    """Return the parameters of the callback.

    Raises:
        CallbackRejected: one is there twice (RFC 6749, section 3.1), so that two readers could differ.
    """
    if any(len(values) > 1 for values in request.args.listvalues()):
        raise CallbackRejected("a parameter of the callback is repeated")
    return request.args.to_dict()


def _sign_in(identity: Identity, completed: CompletedSignIn, *, return_to: str) -> str:
    """Sign this browser in and return the path of the next page.

    Sessions and sign-ins are in two stores.  The new session is written first, then the new sign-in together with the
    end of the former one: if either fails, the browser keeps what it had.
    """
    settings, now = services().settings, services().clock()
    former, sign_in_id = current_sign_in_id(), new_id()
    with new_session(sign_in_id):
        sign_in = services().sign_ins.begin(
            identity,
            former=former,
            sign_in_id=sign_in_id,
            tenant=first_tenant(identity, wanted=None, rules=settings.roles),
            browser=request.user_agent.string[:_MAX_BROWSER],
            now=now,
            id_token=completed.id_token,
            provider_session=completed.claims.get("sid"),
            renewal=completed.renewal,
            **_missing_roles(identity),
        )
    services().metrics.count_sign_in(identity.provider)
    forget_current_sign_in()
    target = safe_next(return_to)  # it comes from a sealed cookie, and is checked again all the same
    if target != HOME:
        return target
    app = landing_app(settings.catalogue, landing=settings.landing, standing=standing_of(sign_in))
    return HOME if app is None else f"/apps/{app.slug}/"


def _missing_roles(identity: Identity) -> dict[str, Any]:
    """Return, for the audit, why a person has no role in any tenant, and the fields; empty if they have one."""
    rules = services().settings.roles
    standings = (standing_in(identity, tenant=tenant, rules=rules) for tenant in identity.tenants)
    if any(standing is not None and standing.grants for standing in standings):
        return {}
    why = format_claims_read(rules, identity=identity)
    return {"detail": f"no role ({why})", "fields": claim_fields(rules, identity=identity)} if why else {}
