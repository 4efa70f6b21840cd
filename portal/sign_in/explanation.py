"""Explains a person's access: every role with the rule that gave it, every app with the reason.

The same functions decide here and in the portal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.errors import CallbackRejected, ClaimsTooLarge, NotAdmitted
from portal.rules.catalogue import AppSpec
from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.rules.policy import (
    Allowed,
    Grant,
    RoleRule,
    Standing,
    absent_claims,
    api_rights,
    first_tenant,
    format_claims_read,
    landing_app,
    may_open,
    standing_in,
)
from portal.settings import ProviderSpec, Settings
from portal.sign_in.admission import apply_admission_rules
from portal.sign_in.claims.storing import identity_to_store
from portal.sign_in.provider_types import names_provider, read_identity, type_of
from portal.sign_in.provider_types.evidence import Evidence, claims_in, gaps_in


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVerdict:
    """One app, and whether it opens."""

    slug: str
    title: str
    allowed: bool
    reason: str
    """Why it opens, or the code of the denial."""
    missing: tuple[str, ...] = ()
    """Roles of which any one would have opened it."""
    rights: tuple[str, ...] = ()
    """What the app may do at the portal's API for this person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """The person within one tenant."""

    tenant: str
    name: str | None
    grants: tuple[Grant, ...]
    apps: tuple[AppVerdict, ...]
    landing: str | None
    """The app they land on after sign-in; ``None``: the catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What one set of claims means to the portal."""

    identity: Identity | None
    """``None`` if the sign-in is refused, see :attr:`refused`."""
    refused: str | None = None
    begins_in: str = NO_TENANT
    """The tenant the sign-in begins in."""
    tenants: tuple[TenantView, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return this as JSON values."""
        if self.identity is None:
            return {"signed_in": False, "refused": self.refused, "notes": list(self.notes)}
        person = self.identity
        return {
            "signed_in": True,
            "identity": {
                "id": person.id,
                "provider": person.provider,
                "issuer": person.issuer,
                "subject": person.subject,
                "username": person.username,
                "name": person.name,
                "email": person.email,
                "email_verified": person.email_verified,
                "picture": person.picture,
            },
            "begins_in": self.begins_in or None,
            "tenants": [_tenant_json(view) for view in self.tenants],
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        """Return this as lines for a terminal."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.identity is None:
            yield f"Refused: {self.refused}."
        else:
            yield from _identity_lines(self.identity)
            for view in self.tenants:
                yield ""
                yield from _tenant_lines(view, begins=view.tenant == self.begins_in)
        for note in self.notes:
            yield ""
            yield f"Note: {note}"


def explain(
    settings: Settings,
    claims: Mapping[str, object],
    *,
    userinfo: Mapping[str, object] | None = None,
    answers: Mapping[str, object] | None = None,
    provider_id: str | None = None,
    tenant: str | None = None,
) -> Explanation:
    """Explain *claims*, which are taken as verified; of *tenant* only, if one is named.

    *userinfo* and *answers* are as in ``portal.sign_in.provider_types.evidence``.  Without *provider_id*, the
    provider is the one whose issuer is ``iss``, or the only configured one.
    """
    spec = _provider(settings, claims, provider_id)
    if spec is None:
        known = ", ".join(one.id for one in settings.providers) or "none"
        return Explanation(identity=None, refused=f"it is not clear which provider is meant; configured are: {known}")
    provider_type = type_of(spec)
    evidence = Evidence(claims=claims, userinfo=userinfo, answers=answers or {})
    gaps: tuple[str, ...] = ()
    try:
        whole = claims_in(evidence, provider_type)
        gaps = tuple(gaps_in(whole, evidence, provider_type))
        identity = apply_admission_rules(read_identity(VerifiedClaims(whole), spec=spec), spec=spec)
        identity = identity_to_store(identity, rules=settings.roles)
    except (CallbackRejected, ClaimsTooLarge) as error:
        return Explanation(identity=None, refused=str(error), notes=gaps)
    except NotAdmitted as error:
        refused = f"{error}: the rules of {spec.id} do not admit this person"
        return Explanation(identity=None, refused=refused, notes=gaps)
    views = [
        _view(settings, standing)
        for one in identity.tenants
        if tenant in {None, one} and (standing := standing_in(identity, tenant=one, rules=settings.roles)) is not None
    ]
    return Explanation(
        identity=identity,
        begins_in=first_tenant(identity, wanted=tenant, rules=settings.roles),
        tenants=tuple(views),
        notes=(*gaps, *_notes(identity, spec, tenant, rules=settings.roles), *_note_of_hook(settings)),
    )


def _provider(settings: Settings, claims: Mapping[str, object], provider_id: str | None) -> ProviderSpec | None:
    if provider_id is not None:
        return settings.provider(provider_id)
    of_issuer = [
        spec
        for spec in settings.providers
        if "iss" in claims and type_of(spec).is_issuer(claims["iss"], claims, spec.with_issuer(claims["iss"]))
    ]
    candidates = of_issuer or settings.providers
    return candidates[0] if len(candidates) == 1 else None


def _note_of_hook(settings: Settings) -> Iterator[str]:
    if settings.sign_in_hook is not None:
        yield f"{settings.sign_in_hook} was not called: at a sign-in it may refuse this person, or add roles."


def _notes(identity: Identity, spec: ProviderSpec, tenant: str | None, *, rules: Sequence[RoleRule]) -> Iterator[str]:
    named, provider_type = spec.with_issuer(identity.issuer), type_of(spec)
    if provider_type.flow == "openid" and not names_provider(identity.issuer, identity.claims, named):
        yield f"iss is {identity.issuer!r}, but {spec.id} is {spec.issuer!r}: a sign-in with these claims is refused."
    if identity.email is not None and not identity.email_verified:
        yield "the provider does not confirm the e-mail address, so it gives no access."
        if provider_type.may_assume_email and identity.claims.get("email_verified") is None:
            yield (
                "it does not say whether the address is verified; if people cannot change theirs there, write "
                'email_verified = "assume" in its [[providers]].'
            )
    standings = [standing_in(identity, tenant=one, rules=rules) for one in identity.tenants]
    roles = frozenset[str]().union(*(one.roles for one in standings if one is not None))
    without = frozenset(rule.role for rule in rules) - roles
    why = format_claims_read(rules, identity=identity, roles=without)
    absent = absent_claims(rules, identity=identity, roles=without)
    if any(frozenset(identity.sent).isdisjoint(provider_type.source_claims.get(claim, ())) for claim in absent):
        yield f"nothing gave {', '.join(sorted(without))}: {why}."
    yield from (f"{one}." for one in identity.unread)
    missing = sum(one.groups_left_out for one in identity.affiliations)
    if missing:
        yield f"at least {missing} of their groups are not known, so the access they give is missing."
    if tenant is not None and identity.affiliation(tenant) is None:
        yield f"they do not belong to the tenant {tenant!r}."


def _view(settings: Settings, standing: Standing) -> TenantView:
    landing = landing_app(settings.catalogue, landing=settings.landing, standing=standing)
    return TenantView(
        tenant=standing.tenant,
        name=standing.tenant_name,
        grants=standing.grants,
        apps=tuple(_verdict(settings, standing, app) for app in settings.catalogue),
        landing=None if landing is None else landing.slug,
    )


def _verdict(settings: Settings, standing: Standing, app: AppSpec) -> AppVerdict:
    decision = may_open(app, standing=standing)
    if isinstance(decision, Allowed):
        rights = api_rights(app, standing=standing, rights_of_roles=settings.rights_of_roles)
        return AppVerdict(
            slug=app.slug, title=app.title, allowed=True, reason=decision.reason, rights=tuple(sorted(rights))
        )
    return AppVerdict(
        slug=app.slug,
        title=app.title,
        allowed=False,
        reason=decision.denial.value,
        missing=tuple(sorted(decision.missing)),
    )


def _tenant_json(view: TenantView) -> dict[str, object]:
    return {
        "tenant": view.tenant or None,
        "name": view.name,
        "roles": [{"role": grant.role, "reason": grant.reason} for grant in view.grants],
        "landing": view.landing,
        "apps": [
            {
                "app": app.slug,
                "allowed": app.allowed,
                "reason": app.reason,
                "missing_roles": list(app.missing),
                "portal_api": list(app.rights),
            }
            for app in view.apps
        ],
    }


def _identity_lines(person: Identity) -> Iterator[str]:
    yield f"{person.name or '(no name)'} · {person.username}"
    yield f"  subject   {person.subject} at {person.issuer} ({person.provider})"
    if person.email is not None:
        yield f"  e-mail    {person.email}{'' if person.email_verified else ' (not verified)'}"


def _tenant_lines(view: TenantView, *, begins: bool) -> Iterator[str]:
    title = " · ".join(part for part in (view.tenant, view.name) if part) or "(no tenant)"
    yield f"In {title}{', where the sign-in begins' if begins else ''}:"
    for grant in view.grants:
        yield f"  role      {grant.role}: {grant.reason}"
    if not view.grants:
        yield "  role      none"
    yield f"  lands on  {view.landing or 'the catalogue'}"
    for app in view.apps:
        yield f"  {'allowed' if app.allowed else 'denied '}   {app.slug}: {_because(app)}"


def _because(app: AppVerdict) -> str:
    if app.missing:
        return f"{app.reason} (one of: {', '.join(app.missing)})"
    return app.reason + (f" (portal API: {', '.join(app.rights)})" if app.rights else "")
