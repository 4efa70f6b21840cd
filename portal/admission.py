"""Who may come in, once they have proved who they are: the rules of the configuration, then the company's own hook.

Pure but for the hook, and closed by default: what is asked for and not known refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from portal.errors import NotAdmitted
from portal.identity import Identity
from portal.presets import preset_of
from portal.settings import ProviderSpec


class AdmissionRefusal(StrEnum):
    """Why somebody was not admitted.  Values are logged and documented; keep alphabetized."""

    DOMAIN_NOT_ALLOWED = "domain-not-allowed"
    GROUP_NOT_ALLOWED = "group-not-allowed"
    HOOK_FAILED = "hook-failed"
    """It raised, or returned what is nobody, or somebody else."""
    ORGANISATION_NOT_ALLOWED = "organisation-not-allowed"
    REFUSED_BY_HOOK = "refused-by-hook"
    TENANT_NOT_ALLOWED = "tenant-not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Somebody at the door, and what the hook may ask their provider with."""

    identity: Identity
    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)


Hook: TypeAlias = Callable[[Arrival], Identity | None]
"""Returns whom to admit, perhaps with more roles; ``None`` refuses, and so does whatever it raises."""


def admit(arrival: Arrival, *, spec: ProviderSpec, hook: Hook | None) -> Identity:
    """Return who comes in.

    Raises:
        NotAdmitted: with the first reason found.
    """
    identity = admitted_by_rules(arrival.identity, spec=spec)
    if hook is None:
        return identity
    try:
        chosen = hook(replace(arrival, identity=identity))
    except Exception as error:  # it is the company's code, and whatever goes wrong in it admits nobody
        raise NotAdmitted(AdmissionRefusal.HOOK_FAILED) from error
    if chosen is None:
        raise NotAdmitted(AdmissionRefusal.REFUSED_BY_HOOK)
    # It may say more of somebody; it cannot make them somebody else.
    if not isinstance(chosen, Identity) or (chosen.provider, chosen.id) != (identity.provider, identity.id):
        raise NotAdmitted(AdmissionRefusal.HOOK_FAILED)
    return chosen


def admitted_by_rules(identity: Identity, *, spec: ProviderSpec) -> Identity:
    """Return *identity*, narrowed to the tenants that are allowed, if it meets every condition of *spec*.

    Raises:
        NotAdmitted: it does not.
    """
    rules, preset = spec.admission, preset_of(spec)
    if rules.domains and (preset.domain is None or preset.domain(identity) not in rules.domains):
        raise NotAdmitted(AdmissionRefusal.DOMAIN_NOT_ALLOWED)
    known = frozenset[str]() if preset.organisations is None else preset.organisations(identity)
    if rules.organisations and rules.organisations.isdisjoint(known):
        raise NotAdmitted(AdmissionRefusal.ORGANISATION_NOT_ALLOWED)
    if rules.tenants:
        # Roles in a tenant that is not allowed must be of no force either.
        within = tuple(one for one in identity.affiliations if one.tenant in rules.tenants)
        if not within:
            raise NotAdmitted(AdmissionRefusal.TENANT_NOT_ALLOWED)
        identity = replace(identity, affiliations=within)
    if rules.groups and all(rules.groups.isdisjoint(one.groups) for one in identity.affiliations):
        raise NotAdmitted(AdmissionRefusal.GROUP_NOT_ALLOWED)
    return identity
