"""Which claims of one provider's people the configuration reads, and where.  Pure."""

from collections.abc import Iterator, Mapping

from portal.rules.catalogue import EVERY_PROVIDER
from portal.rules.expressions import claims_read
from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.base import domain_of_verified_email


def claims_read_by_settings(settings: Settings, spec: ProviderSpec) -> Mapping[str, tuple[str, ...]]:
    """Return, by claim of the provider *spec*, the dotted keys of *settings* that read it."""
    keys_by_claim: dict[str, dict[str, None]] = {}
    for claim, key in _read(settings, spec):
        for one in _under(claim, spec):
            keys_by_claim.setdefault(one, {})[key] = None
    return {claim: tuple(keys) for claim, keys in keys_by_claim.items()}


def _read(settings: Settings, spec: ProviderSpec) -> Iterator[tuple[str, str]]:
    applicable = {None, EVERY_PROVIDER, spec.id}
    for rule in settings.roles:
        if rule.provider in applicable:
            yield from ((claim, f"roles.{rule.role}") for claim in sorted(rule.reads or ()))
    if spec.admission.groups:
        yield "groups", f"providers.{spec.id}.allowed_groups"
    if spec.admission.organisations:
        yield "organisations", f"providers.{spec.id}.allowed_organisations"
    if spec.admission.domains and type_of(spec).domain is domain_of_verified_email:
        yield "email", f"providers.{spec.id}.allowed_domains"
    for app in settings.catalogue:
        if app.people and app.provider in applicable:
            yield "email", f"apps.{app.slug}.people"


def _under(claim: str, spec: ProviderSpec) -> frozenset[str]:
    """Return the claims that *claim* is read from at *spec*, according to its own settings."""
    expression = spec.options.get(f"{claim}_claim")
    return frozenset({claim}) if expression is None else claims_read(expression) or frozenset()
