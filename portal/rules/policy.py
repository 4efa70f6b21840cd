"""The rules: from claims to roles, and from roles to apps.

Pure functions.  Every decision carries its reason, and what no rule grants is denied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from portal.rules.catalogue import EVERY_PROVIDER, EVERYONE, AppSpec, Catalogue
from portal.rules.expressions import RAW, claims_read, evaluate
from portal.rules.identity import NO_TENANT, Affiliation, Identity

API_RIGHTS: Final[Mapping[str, str]] = {
    "audit:read": "read recent sign-ins and refusals",
    "sign-ins:end": "end a person's sign-in",
    "sign-ins:read": "read who is signed in",
}
"""Every right an app may be given at the portal's API; anything else is refused."""


class Denial(StrEnum):
    """Why a person may not open an app.  Values are logged and documented; keep alphabetized."""

    GROUPS_UNKNOWN = "groups-unknown"
    """A role is missing that a group might give, and not all groups are known."""
    MISSING_ROLE = "missing-role"
    NOT_IN_TENANT = "not-in-tenant"
    NOT_SIGNED_IN = "not-signed-in"
    OPEN_TO_NOBODY = "open-to-nobody"
    OTHER_PROVIDER = "other-provider"
    """It is open only to people of another provider."""
    UNKNOWN_APP = "unknown-app"


_LONGEST_LIST: Final = 200
"""Most characters of a list of claim names in a line for admins."""
BY_HOOK: Final = "sign-in hook"
"""The reason of a role that the company's own hook gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRule:
    """One role and what gives it.  Without ``when`` and ``groups``, only the sign-in hook gives it."""

    role: str
    when: str | None = None
    """JMESPath over the verified claims of one tenant; gives the role if it yields exactly ``true``."""
    groups: frozenset[str] = frozenset()
    """Group names (or ids) that give it; exact and case-sensitive."""
    provider: str | None = None
    """The provider that this rule applies to; ``None`` and :data:`EVERY_PROVIDER` mean each."""

    @property
    def reads(self) -> frozenset[str] | None:
        """The claims that it depends on; ``None`` if it may read all of them."""
        by_groups = frozenset({"groups"}) if self.groups else frozenset[str]()
        by_expression = frozenset[str]() if self.when is None else claims_read(self.when)
        return None if by_expression is None else by_groups | by_expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role that a person has, and the rule that gave it."""

    role: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An identity within one tenant, with the roles it has there."""

    identity: Identity
    tenant: str
    tenant_name: str | None
    grants: tuple[Grant, ...]
    uncertain: frozenset[str] = frozenset()
    """Roles that nothing gave, but that a group unknown to the portal might give."""

    @property
    def roles(self) -> frozenset[str]:
        """The roles, without their reasons."""
        return frozenset(grant.role for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Allowed:
    """*standing* may open *app*.  Built only in this module."""

    standing: Standing
    app: AppSpec
    reason: str

    def __bool__(self) -> Literal[True]:
        return True


@dataclass(frozen=True, slots=True)
class Denied:
    """Access denied, with the reason."""

    denial: Denial
    missing: frozenset[str] = frozenset()
    """Roles any one of which would have opened the app."""

    def __bool__(self) -> Literal[False]:
        return False


Decision: TypeAlias = Allowed | Denied


def standing_in(identity: Identity, *, tenant: str, rules: Iterable[RoleRule]) -> Standing | None:
    """Return the roles *identity* has in *tenant*; ``None`` if they do not belong to it."""
    affiliation = identity.affiliation(tenant)
    if affiliation is None:
        return None
    document = claims_of_tenant(identity, affiliation)
    grants: list[Grant] = []
    known = tuple(rules)
    for rule in known:
        reason = _grant_reason(rule, identity, affiliation, document)
        if reason is not None and all(grant.role != rule.role for grant in grants):
            grants.append(Grant(role=rule.role, reason=reason))
    had = {grant.role for grant in grants}
    by_hook = sorted((affiliation.hook_roles & {rule.role for rule in known}) - had)
    grants += [Grant(role=role, reason=BY_HOOK) for role in by_hook]
    standing = Standing(identity=identity, tenant=tenant, tenant_name=affiliation.tenant_name, grants=tuple(grants))
    if not affiliation.groups_left_out:
        return standing
    by_groups = {rule.role for rule in known if is_about(rule.provider, identity) and _asks_for_groups(rule)}
    return replace(standing, uncertain=frozenset(by_groups) - standing.roles)


def claims_of_tenant(identity: Identity, affiliation: Affiliation) -> dict[str, object]:
    """Return the document that ``when`` is evaluated over: the claims, narrowed to one tenant.

    ``roles``, ``groups`` and ``permissions`` are the tenant's own, as names; ``tenant`` is its id, and the claim
    ``tenants`` holds this tenant alone, so that no rule can read another one.  ``claims`` holds the claims as the
    provider wrote them; if they have ``tenants``, it omits roles, groups and permissions beside them, which belong to
    no tenant and would count in each.
    """
    narrowed: dict[str, object] = dict(identity.claims)
    tenants = narrowed.get("tenants")
    if isinstance(tenants, Mapping):
        narrowed["tenants"] = {key: value for key, value in tenants.items() if key == affiliation.tenant}
    # An unverified address gives no access, not even through a rule that reads it.
    narrowed["email"] = identity.verified_email
    names = {
        "roles": sorted(affiliation.roles),
        "groups": sorted(affiliation.groups),
        "permissions": sorted(affiliation.permissions),
    }
    written = {name: value for name, value in narrowed.items() if tenants is None or name not in names}
    as_written = {**(names if tenants is None else {}), **written}
    return {**narrowed, **names, "tenant": affiliation.tenant or None, RAW: as_written}


def _grant_reason(
    rule: RoleRule, identity: Identity, affiliation: Affiliation, document: Mapping[str, object]
) -> str | None:
    if not is_about(rule.provider, identity):
        return None
    matching = sorted(rule.groups & affiliation.groups)
    if matching:
        return f"group {matching[0]!r}"
    if rule.when is None:
        return None
    # Exactly true: a rule that yields "false", [] or a stray object must not give access.
    return f"when {rule.when}" if evaluate(rule.when, document) is True else None


def format_claims_read(rules: Iterable[RoleRule], *, identity: Identity, roles: frozenset[str] | None = None) -> str:
    """Return, for logs and admins, which claims the rules of *roles* (default: all) read, and which the provider sent.

    Names of claims only, never a value.  Empty if no rule about *identity* reads a claim.
    """
    names = names_read(rules, identity=identity, roles=roles)
    if not names:
        return ""
    # Older sign-ins do not record what the provider sent.
    came = f"; the provider sent {names_in_line(identity.sent)}" if identity.sent else ""
    return f"roles look for {names_in_line(names)}{came}"


def names_read(
    rules: Iterable[RoleRule], *, identity: Identity, roles: frozenset[str] | None = None
) -> tuple[str, ...]:
    """Return the names of the claims that the rules of *roles* (default: all) about *identity* read."""
    about = [rule for rule in rules if is_about(rule.provider, identity) and (roles is None or rule.role in roles)]
    return tuple(sorted(frozenset[str]().union(*(rule.reads or () for rule in about))))


def reason_of(denied: Denied, *, rules: Iterable[RoleRule], identity: Identity) -> str:
    """Return, for logs and admins, the denial; for missing roles also what their rules look for and what was sent."""
    why = format_claims_read(rules, identity=identity, roles=denied.missing) if denied.missing else ""
    return f"{denied.denial} ({why})" if why else denied.denial.value


def absent_claims(rules: Iterable[RoleRule], *, identity: Identity, roles: frozenset[str]) -> frozenset[str]:
    """Return the claims that rules of *roles* read and that *identity* has no value for."""
    documents = [claims_of_tenant(identity, one) for one in identity.affiliations]
    about = [rule for rule in rules if rule.role in roles and is_about(rule.provider, identity)]
    read = frozenset[str]().union(*(rule.reads or () for rule in about))
    return frozenset(
        name for name in read - frozenset(identity.sent) if not any(document.get(name) for document in documents)
    )


def names_in_line(names: Sequence[str], *, longest: int = _LONGEST_LIST) -> str:
    """Return *names* in one line of about *longest* characters, with the number of omitted ones."""
    text = ""
    for number, name in enumerate(names):
        if len(text) + len(name) > longest:
            return f"{text} and {len(names) - number} more" if text else f"{len(names)} long names"
        text = f"{text}, {name}" if text else name
    return text


def _asks_for_groups(rule: RoleRule) -> bool:
    return rule.reads is None or "groups" in rule.reads


def is_about(provider: str | None, identity: Identity) -> bool:
    """Return whether a rule for *provider* (``None``: for each) applies to *identity*."""
    return provider in {None, EVERY_PROVIDER, identity.provider}


def may_open(app: AppSpec | None, *, standing: Standing | None) -> Decision:
    """Decide whether a person with *standing* may open *app*."""
    if standing is None:  # strangers first: they must not learn which apps exist
        return Denied(Denial.NOT_SIGNED_IN)
    if app is None:
        return Denied(Denial.UNKNOWN_APP)
    if not is_about(app.provider, standing.identity):
        return Denied(Denial.OTHER_PROVIDER)
    if app.tenants is not None and standing.tenant not in app.tenants:
        return Denied(Denial.NOT_IN_TENANT)
    if EVERYONE in app.open_to:
        return Allowed(standing, app, "open to everyone signed in")
    matching = sorted(app.open_to & standing.roles)
    if matching:
        return Allowed(standing, app, f"role {matching[0]!r}")
    email = standing.identity.verified_email
    if email is not None and email.casefold() in app.people:
        return Allowed(standing, app, "listed by address")
    if not app.open_to and not app.people:
        return Denied(Denial.OPEN_TO_NOBODY)
    uncertain = not app.open_to.isdisjoint(standing.uncertain)
    return Denied(Denial.GROUPS_UNKNOWN if uncertain else Denial.MISSING_ROLE, app.open_to)


def visible_apps(catalogue: Catalogue, *, standing: Standing | None) -> tuple[AppSpec, ...]:
    """Return the apps that a person with *standing* may open, in catalogue order."""
    return tuple(app for app in catalogue if may_open(app, standing=standing))


def landing_app(catalogue: Catalogue, *, landing: Iterable[str], standing: Standing) -> AppSpec | None:
    """Return the first of *landing* that may be opened, or ``None`` for the catalogue page."""
    for slug in landing:
        decision = may_open(catalogue.find(slug), standing=standing)
        if isinstance(decision, Allowed):
            return decision.app
    return None


def roles_in_ticket(app: AppSpec, *, standing: Standing) -> frozenset[str]:
    """Return the roles in a ticket for *app*: only those that ``open_to`` names."""
    return standing.roles & app.open_to


def api_rights(app: AppSpec, *, standing: Standing, rights_of_roles: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return what *app* may do at the portal's API for this person: the app's rights that their roles have too."""
    of_person: frozenset[str] = frozenset().union(*(rights_of_roles.get(role, frozenset()) for role in standing.roles))
    return app.portal_api & of_person & API_RIGHTS.keys()


def first_tenant(identity: Identity, *, wanted: str | None, rules: Iterable[RoleRule]) -> str:
    """Return the tenant to begin in: *wanted* if they belong there, else the one with most roles, else the first."""
    if wanted is not None and identity.affiliation(wanted) is not None:
        return wanted
    known = tuple(rules)

    def number_of_roles(tenant: str) -> int:
        standing = standing_in(identity, tenant=tenant, rules=known)
        return 0 if standing is None else len(standing.grants)

    return max(identity.tenants, key=number_of_roles, default=NO_TENANT)
