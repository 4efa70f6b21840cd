"""Who of a provider's people may come in, as ``[[providers]]`` says it without code."""

import re
from dataclasses import replace
from typing import Final

from portal.configuration.tables import Table
from portal.presets.base import Place, Preset
from portal.settings import Admission

_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def read_admission(table: Table, preset: Preset) -> Admission:
    """Return what *table* asks of somebody who comes in by a provider of *preset*."""
    domains = read_domains(table, "allowed_domains")
    if domains and preset.domain is None:
        table.problem(
            "allowed_domains",
            f"cannot be held: {preset.label} vouches for no domain.",
            "Write allowed_tenants or allowed_groups.",
        )
    organisations = _names(table, "allowed_organisations")
    if organisations and preset.organisations is None:
        table.problem(
            "allowed_organisations",
            f"cannot be held: {preset.label} knows no organisations.",
            "Write allowed_tenants or allowed_groups.",
        )
    return Admission(
        domains=domains,
        organisations=organisations,
        tenants=_names(table, "allowed_tenants"),
        groups=_names(table, "allowed_groups"),
    )


def within_tenants(admission: Admission, place: Place, table: Table) -> Admission:
    """Return *admission* held to the tenants of *place*, if it names any."""
    if not place.tenants:
        return admission
    for one in sorted(admission.tenants - place.tenants):
        table.problem(
            "allowed_tenants",
            f"names {one!r}, which the provider's own settings do not.",
            f"Write one of {', '.join(sorted(place.tenants))}, or leave it out.",
        )
    return replace(admission, tenants=admission.tenants or place.tenants)


def read_domains(table: Table, key: str) -> frozenset[str]:
    """Return the domains *key*, in lower case."""
    domains = [one.lower() for one in sorted(_names(table, key))]
    for one in domains:
        if not _DOMAIN.fullmatch(one):
            table.problem(key, f"holds {one!r}, which is no domain.", 'Write what stands after the @: ["example.com"].')
    return frozenset(domains)


def _names(table: Table, key: str) -> frozenset[str]:
    names = table.texts(key)
    if table.is_empty(key):
        # An empty list would read as "nobody", and mean "no condition".
        table.problem(key, "lists nobody.", "List who may come in, or leave it out.")
    return frozenset(names or ())
