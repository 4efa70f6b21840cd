"""Ready-made values for tests: each builder gives a sensible one, changed by keyword."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from portal.contract import Ticket
from portal.rules.catalogue import AppSpec, Catalogue
from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import RoleRule, Standing, standing_in
from portal.settings import ProviderSpec, Secret, Settings

NOW = 1_800_000_000
PORTAL = "https://portal.example.com"
ISSUER = "https://id.example.com"


def an_identity(**changes: Any) -> Identity:
    """Ana, an analyst of Acme."""
    identity = Identity(
        provider="company",
        issuer=ISSUER,
        subject="ana",
        name="Ana Analyst",
        email="ana@example.com",
        email_verified=True,
        affiliations=(Affiliation(tenant="acme", tenant_name="Acme", groups=frozenset({"AI-Analysts"})),),
        claims={"sub": "ana", "groups": ["AI-Analysts"]},
    )
    return replace(identity, **changes)


def an_app(**changes: Any) -> AppSpec:
    """Forecast, open to analysts."""
    app = AppSpec(
        slug="forecast",
        title="Forecast",
        url="https://forecast.apps.example.com",
        open_to=frozenset({"analyst"}),
    )
    return replace(app, **changes)


RULES = (
    RoleRule(role="admin", when="contains(roles, 'Tenant Admin')"),
    RoleRule(role="analyst", groups=frozenset({"AI-Analysts"})),
)


def a_standing(identity: Identity | None = None, *, tenant: str = "acme") -> Standing:
    """The standing of *identity* (Ana, if none is given) in *tenant* under RULES."""
    standing = standing_in(identity or an_identity(), tenant=tenant, rules=RULES)
    assert standing is not None
    return standing


def a_ticket(**changes: Any) -> Ticket:
    """Ana's ticket to Forecast, issued at NOW."""
    ticket = Ticket(
        id="ticket-1",
        issuer=PORTAL,
        audience="forecast",
        subject=an_identity().id,
        session="app-session-1",
        issued_at=NOW,
        expires_at=NOW + 30,
        next="/",
        name="Ana Analyst",
        email="ana@example.com",
        tenant="acme",
        roles=frozenset({"analyst"}),
    )
    return replace(ticket, **changes)


def a_provider(**changes: Any) -> ProviderSpec:
    """The company's OpenID Connect provider."""
    spec = ProviderSpec(
        id="company",
        label="Example Company",
        provider_type="oidc",
        issuer=ISSUER,
        client_id="portal",
        client_secret=Secret("client-secret"),
    )
    return replace(spec, **changes)


def settings_for(data_dir: Path, **changes: Any) -> Settings:
    """A portal with one provider and one app, its stores in *data_dir*."""
    settings = Settings(
        url=PORTAL,
        apps_url="https://{app}.apps.example.com",
        title="Example AI",
        secret_keys=(Secret("k" * 43),),
        data_dir=data_dir,
        database_url=Secret(f"sqlite:///{data_dir / 'portal.db'}"),
        providers=(a_provider(),),
        roles=RULES,
        rights_of_roles={"admin": frozenset({"audit:read", "sign-ins:read", "sign-ins:end"})},
        catalogue=Catalogue((an_app(),)),
    )
    return replace(settings, **changes)
