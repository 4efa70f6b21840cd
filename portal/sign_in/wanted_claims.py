"""Which claims the configuration reads of the people of one provider, and where.  Pure."""

from collections.abc import Iterator, Mapping

from portal.rules.catalogue import EVERY_PROVIDER
from portal.rules.expressions import claims_read
from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.base import domain_of_verified_email


def claims_read_by_settings(settings: Settings, spec: ProviderSpec) -> Mapping[str, tuple[str, ...]]:
    """Return, by claim, the dotted keys of *settings* that read it of the people of *spec*."""
    found: dict[str, dict[str, None]] = {}
    for claim, key in _read(settings, spec):
        for one in _under(claim, spec):
            found.setdefault(one, {})[key] = None
    return {claim: tuple(keys) for claim, keys in found.items()}


def _read(settings: Settings, spec: ProviderSpec) -> Iterator[tuple[str, str]]:
    anybody = {None, EVERY_PROVIDER, spec.id}
    for rule in settings.roles:
        if rule.provider in anybody:
            yield from ((claim, f"roles.{rule.role}") for claim in sorted(rule.reads or ()))
    if spec.admission.groups:
        yield "groups", f"providers.{spec.id}.allowed_groups"
    if spec.admission.organisations:
        yield "organisations", f"providers.{spec.id}.allowed_organisations"
    if spec.admission.domains and type_of(spec).domain is domain_of_verified_email:
        yield "email", f"providers.{spec.id}.allowed_domains"
    for app in settings.catalogue:
        if app.people and app.provider in anybody:
            yield "email", f"apps.{app.slug}.people"


def _under(claim: str, spec: ProviderSpec) -> frozenset[str]:
    """Return the claims that *claim* is made of at *spec*, where its own settings say so."""
    expression = spec.options.get(f"{claim}_claim")
    return frozenset({claim}) if expression is None else claims_read(expression) or frozenset()
