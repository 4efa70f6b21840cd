"""The account page: roles, tenants and the person's sign-ins."""

from typing import Final

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import SignIn
from portal.rules.identity import Identity
from portal.rules.policy import Standing
from portal.rules.redirects import safe_next
from portal.web.browser_names import browser_name
from portal.web.browser_sessions import csrf_token
from portal.web.current_sign_in import require_sign_in, require_standing
from portal.web.labels import provider_label, tenant_label, tenant_name_of
from portal.web.pages import AccountPage, OtherSignIn, TenantChoice, render
from portal.web.services import services

blueprint = Blueprint("account", __name__)

_HOUR: Final = 3600


@blueprint.get("/account")
def index() -> ResponseReturnValue:
    """Show the person's sign-in, roles, tenants and other sign-ins."""
    standing, sign_in = require_standing(), require_sign_in()
    return render(
        AccountPage(
            identity=sign_in.identity,
            provider_label=provider_label(sign_in.identity.provider),
            tenant_name=tenant_label(standing),
            tenants=tenant_choices(standing),
            grants=standing.grants,
            signed_in_at=sign_in.created_at,
            ends_at=sign_in.expires_at,
            idle_hours=in_words(services().settings.idle_lifetime),
            browser=browser_name(sign_in.browser),
            refreshed_every=in_words(services().settings.refresh_interval) if sign_in.is_refreshed else None,
            other_sign_ins=_other_sign_ins(sign_in),
            csrf=csrf_token(),
        )
    )


@blueprint.post("/account/sign-ins/<sign_in_id>/end")
def end_other_sign_in(sign_in_id: str) -> ResponseReturnValue:
    """End another sign-in of the same person."""
    sign_in, now = require_sign_in(), services().clock()
    if all(other.id != sign_in_id for other in _others(sign_in)):  # other people's sign-ins do not exist here
        abort(404)
    services().sign_ins.revoke(sign_in_id, reason=RevocationReason.SIGNED_OUT, now=now, by=sign_in.identity.id)
    return redirect("/account", 303)


@blueprint.post("/tenant")
def switch_tenant() -> ResponseReturnValue:
    """Switch the sign-in to another of the person's tenants; this ends its app sessions."""
    sign_in, now = require_sign_in(), services().clock()
    tenant = request.form.get("tenant", "")
    if sign_in.identity.affiliation(tenant) is None:
        abort(400)
    if tenant != sign_in.tenant:
        services().sign_ins.switch_tenant(sign_in.id, tenant=tenant, now=now)
    return redirect(safe_next(request.form.get("next")), 303)


def tenant_choices(standing: Standing) -> tuple[TenantChoice, ...]:
    """Return the tenants to choose from; empty for people with a single one."""
    identity = standing.identity
    if len(identity.tenants) == 1:
        return ()
    return tuple(
        TenantChoice(tenant=tenant, label=_label(identity, tenant), current=tenant == standing.tenant)
        for tenant in identity.tenants
    )


def in_words(seconds: int) -> str:
    """Return a duration as text: whole hours, or minutes below two hours."""
    if seconds >= 2 * _HOUR:
        return f"{seconds // _HOUR} hours"
    minutes = max(1, seconds // 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _other_sign_ins(sign_in: SignIn) -> tuple[OtherSignIn, ...]:
    return tuple(
        OtherSignIn(
            id=other.id,
            browser=browser_name(other.browser),
            provider_label=provider_label(other.identity.provider),
            tenant_name=tenant_name_of(other.identity, other.tenant),
            created_at=other.created_at,
            last_seen_at=other.last_seen_at,
        )
        for other in _others(sign_in)
    )


def _others(sign_in: SignIn) -> list[SignIn]:
    sign_ins = services().sign_ins.of_identity(sign_in.identity.id, now=services().clock())
    return [other for other in sign_ins if other.id != sign_in.id]


def _label(identity: Identity, tenant: str) -> str:
    return tenant_name_of(identity, tenant) or "No tenant"
