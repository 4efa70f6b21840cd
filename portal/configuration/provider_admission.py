"""Who of a provider's people may come in: the ``allowed_…`` keys of ``[[providers]]``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from portal.configuration.tables import Table
from portal.settings import Admission
from portal.sign_in.claims.values import compared
from portal.sign_in.provider_types.base import ProviderLocation, ProviderType

_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def admission_of(
    keys: Mapping[str, Any], provider_type: ProviderType | None, table: Table, *, options: Mapping[str, str] | None
) -> Admission:
    """Return who may come in by a provider of *provider_type* with *options*, from the *keys* read from *table*.

    Note conditions that nobody there could meet, as far as that is known: *options* are ``None`` if they are wrong.
    """
    admission = Admission(
        domains=keys["allowed_domains"],
        organisations=keys["allowed_organisations"],
        tenants=keys["allowed_tenants"],
        groups=keys["allowed_groups"],
    )
    if provider_type is not None:
        _check_held(admission, provider_type, table, options=options)
    return admission


def _check_held(
    admission: Admission, provider_type: ProviderType, table: Table, *, options: Mapping[str, str] | None
) -> None:
    """Note each condition on a claim that providers of *provider_type* never give: it would keep everybody out."""
    has_tenants = provider_type.tenants is not False if options is None else provider_type.has_tenants(options)
    conditions = (
        ("allowed_domains", admission.domains, provider_type.domain is not None, "does not vouch for domains"),
        (
            "allowed_organisations",
            admission.organisations,
            provider_type.organisations is not None,
            "does not report organisations",
        ),
        ("allowed_tenants", admission.tenants, has_tenants, "does not report tenants"),
        ("allowed_groups", admission.groups, provider_type.groups, "does not report groups"),
    )
    instead = [key for key, _, can, _ in conditions if can]
    for key, names, can, why in conditions:
        if names and not can:
            ways = [*instead, *(_switch(provider_type) if key == "allowed_tenants" else ())]
            table.problem(key, f"keeps everybody out: {provider_type.label} {why}.", _one_of(ways))


def _switch(provider_type: ProviderType) -> Iterator[str]:
    """Yield the setting with which providers of *provider_type* report tenants."""
    if isinstance(provider_type.tenants, tuple):
        option, value = provider_type.tenants
        yield f'beside it {option} = "{value}"'


def _one_of(ways: Sequence[str]) -> str:
    *others, last = ways or ["nothing of the kind"]
    return f"Write {', '.join(others)} or {last}." if others else f"Write {last}."


def within_tenants(admission: Admission, place: ProviderLocation, table: Table) -> Admission:
    """Return *admission* limited to the tenants of *place*, if it names any."""
    if not place.tenants:
        return admission
    for one in sorted(admission.tenants - place.tenants):
        table.problem(
            "allowed_tenants",
            f"names {one!r}, which the provider's other settings do not name.",
            f"Write one of {', '.join(sorted(place.tenants))}, or leave it out.",
        )
    return replace(admission, tenants=admission.tenants or place.tenants)


def read_domains(table: Table, key: str) -> frozenset[str]:
    """Return the domains *key*, in lower case."""
    domains = [one.lower() for one in table.texts(key) or ()]
    for one in domains:
        if not _DOMAIN.fullmatch(one):
            table.problem(key, f"lists {one!r}, which is not a domain.", 'Write the part after the @: ["example.com"].')
    return frozenset(domains)


def read_names(table: Table, key: str) -> frozenset[str]:
    """Return the names *key*; an empty list is a problem: it would read as "nobody", and mean "no condition"."""
    if table.value(key) == []:
        table.problem(key, "lists nobody.", "List who may come in, or leave it out.")
    return table.names(key) or frozenset()


def read_compared_names(table: Table, key: str) -> frozenset[str]:
    """Return the names *key*, as claims are compared."""
    return frozenset(map(compared, read_names(table, key)))


def read_allowed_domains(table: Table, key: str) -> frozenset[str]:
    """Return the domains *key*, in lower case; an empty list is a problem."""
    read_names(table, key)
    return read_domains(table, key)
