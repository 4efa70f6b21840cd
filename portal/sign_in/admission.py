"""Sign-in admission: the rules of the configuration, then the company's own hook.

Pure except for the hook.  A condition that cannot be checked refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from portal.errors import NotAdmitted
from portal.rules.identity import Identity
from portal.rules.policy import RoleRule
from portal.settings import ProviderSpec
from portal.sign_in.claims.storing import identity_to_store
from portal.sign_in.provider_types import type_of
from portal.sign_in.providers.base import CompletedSignIn


class AdmissionRefusal(StrEnum):
    """Why a person was not admitted.  Values are logged and documented; keep alphabetized."""

    DOMAIN_NOT_ALLOWED = "domain-not-allowed"
    GROUP_NOT_ALLOWED = "group-not-allowed"
    GROUPS_UNKNOWN = "groups-unknown"
    """Not all groups are known, so a missing one might have admitted the person."""
    HOOK_FAILED = "hook-failed"
    """It raised, took too long, or did not return this person."""
    ORGANISATION_NOT_ALLOWED = "organisation-not-allowed"
    REFUSED_BY_HOOK = "refused-by-hook"
    TENANT_NOT_ALLOWED = "tenant-not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A person who has proved who they are, with tokens for the hook."""

    identity: Identity
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Verified claims and API answers, as the provider wrote them."""
    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)


Hook: TypeAlias = Callable[[Arrival], Identity | None]
"""Returns the identity, perhaps with roles it gave; ``None`` refuses, and so does any exception."""


def admit_completed(
    completed: CompletedSignIn, *, spec: ProviderSpec, hook: Hook | None, rules: tuple[RoleRule, ...]
) -> Identity:
    """Return the identity to store after a sign-in or a refresh at the provider.

    Raises:
        NotAdmitted: with the first reason found.
        ClaimsTooLarge: it has more claims than are stored.
    """
    arrival = Arrival(
        identity=completed.identity,
        claims=completed.claims,
        access_token=completed.access_token,
        id_token=completed.id_token,
    )
    return identity_to_store(admit(arrival, spec=spec, hook=hook), rules=rules)


def admit(arrival: Arrival, *, spec: ProviderSpec, hook: Hook | None) -> Identity:
    """Return the identity to sign in.

    Raises:
        NotAdmitted: with the first reason found, and the names of the claims that came.
    """
    try:
        return _admitted(arrival, spec=spec, hook=hook)
    except NotAdmitted as error:
        error.claims = arrival.identity.sent or tuple(sorted(arrival.claims))
        raise


def _admitted(arrival: Arrival, *, spec: ProviderSpec, hook: Hook | None) -> Identity:
    identity = apply_admission_rules(arrival.identity, spec=spec)
    if hook is None:
        return identity
    try:
        chosen = hook(replace(arrival, identity=identity))
    except Exception as error:  # the company's code may raise anything; that refuses
        raise NotAdmitted(AdmissionRefusal.HOOK_FAILED) from error
    if chosen is None:
        raise NotAdmitted(AdmissionRefusal.REFUSED_BY_HOOK)
    # It may give roles, and change nothing else.
    if not isinstance(chosen, Identity) or _without_hook_roles(chosen) != _without_hook_roles(identity):
        raise NotAdmitted(AdmissionRefusal.HOOK_FAILED)
    return chosen


def _without_hook_roles(identity: Identity) -> Identity:
    plain = tuple(replace(one, hook_roles=frozenset()) for one in identity.affiliations)
    return replace(identity, affiliations=plain)


def apply_admission_rules(identity: Identity, *, spec: ProviderSpec) -> Identity:
    """Return *identity*, narrowed to the tenants that are allowed, if it meets every condition of *spec*.

    Raises:
        NotAdmitted: it does not.
    """
    rules, provider_type = spec.admission, type_of(spec)
    if rules.domains and (provider_type.domain is None or provider_type.domain(identity) not in rules.domains):
        raise NotAdmitted(AdmissionRefusal.DOMAIN_NOT_ALLOWED)
    actual = frozenset[str]() if provider_type.organisations is None else provider_type.organisations(identity)
    allowed = rules.organisations
    if provider_type.organisations_ignore_case:
        allowed, actual = frozenset(map(_lower_ascii, allowed)), frozenset(map(_lower_ascii, actual))
    if allowed and allowed.isdisjoint(actual):
        unknown = provider_type.organisations_are_groups and _omits_groups(identity)
        raise NotAdmitted(AdmissionRefusal.GROUPS_UNKNOWN if unknown else AdmissionRefusal.ORGANISATION_NOT_ALLOWED)
    if rules.tenants:
        # Roles in a tenant that is not allowed must have no effect.
        within = tuple(one for one in identity.affiliations if one.tenant in rules.tenants)
        if not within:
            raise NotAdmitted(AdmissionRefusal.TENANT_NOT_ALLOWED)
        identity = replace(identity, affiliations=within)
    if rules.groups and all(rules.groups.isdisjoint(one.groups) for one in identity.affiliations):
        unknown = _omits_groups(identity)
        raise NotAdmitted(AdmissionRefusal.GROUPS_UNKNOWN if unknown else AdmissionRefusal.GROUP_NOT_ALLOWED)
    return identity


def _lower_ascii(name: str) -> str:
    """Return *name* in lower case if it is ASCII; elsewhere, different letters could become one."""
    return name.lower() if name.isascii() else name


def _omits_groups(identity: Identity) -> bool:
    return any(one.groups_left_out for one in identity.affiliations)
