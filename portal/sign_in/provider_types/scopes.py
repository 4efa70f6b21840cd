"""Scopes: which are requested, and which claims need one more.  Pure.

OpenID Connect Core, section 5.4, says which claims come with which scope.  Provider types add their own; most that
have groups send them only with a scope of that name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from portal.settings import ProviderSpec
from portal.sign_in.provider_types import type_of

_PROFILE: Final = (
    *("birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "name", "nickname", "picture"),
    *("preferred_username", "profile", "updated_at", "website", "zoneinfo"),
)
STANDARD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(_PROFILE, ("profile",)),
        **dict.fromkeys(("email", "email_verified"), ("email",)),
        **dict.fromkeys(("phone_number", "phone_number_verified"), ("phone",)),
        "address": ("address",),
    }
)
"""By claim, the scopes of which any one brings it (section 5.4)."""
_OFTEN_SCOPED: Final = frozenset({"groups", "roles"})
"""Claims that many providers send only with a scope of that name."""
_BEFORE_NAME: Final = re.compile(r"[.:/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingScope:
    """A claim that the configuration reads, and the scope that it needs."""

    claim: str
    read_by: tuple[str, ...]
    """Dotted keys of the configuration."""
    scope: str
    certain: bool
    """Whether this provider is known to have that scope."""
    line: str
    """What to write to request it."""

    @property
    def what(self) -> str:
        """What is wrong, as a sentence."""
        reads = f"{_listed(self.read_by)} {'reads' if len(self.read_by) == 1 else 'read'} {self.claim}"
        if self.certain:
            return f"{reads}, which needs the scope {self.scope}. The portal does not request it."
        return f"{reads}, which many providers send only with the scope {self.scope}. The portal does not request it."

    @property
    def fix(self) -> str:
        """How to fix it, as a sentence."""
        return self.line if self.certain else f"If this provider has that scope: {self.line}"


def requested_scopes(spec: ProviderSpec) -> tuple[str, ...]:
    """Return the scopes of the authorization request: those of the configuration, and those that always are needed."""
    provider_type = type_of(spec)
    always = ("openid", *provider_type.always_scopes) if provider_type.flow == "openid" else ()
    return tuple(dict.fromkeys((*always, *spec.scopes)))


def refresh_scopes(spec: ProviderSpec, *, offered: frozenset[str] | None) -> tuple[str, ...]:
    """Return the scopes besides those for which the provider gives a refresh token.

    None that its metadata, if it lists scopes, does not list: a provider may refuse the whole request for one.
    """
    wanted = type_of(spec).refresh.scopes if spec.refresh else ()
    requested = requested_scopes(spec)
    return tuple(one for one in wanted if (offered is None or one in offered) and one not in requested)


def missing_scopes(
    spec: ProviderSpec, wanted: Mapping[str, tuple[str, ...]], *, offered: frozenset[str] | None
) -> Iterator[MissingScope]:
    """Yield, for each claim of *wanted* that the requested scopes do not bring, the scope that does.

    *wanted* lists by claim who reads it; *offered* are the scopes in the provider's metadata, ``None`` if not known.
    """
    requested = requested_scopes(spec)
    scopes = {
        claim: _scope_of(claim, spec, requested=frozenset(requested), offered=offered) for claim in sorted(wanted)
    }
    missing = {claim: one for claim, one in scopes.items() if one is not None}
    for claim, (scope, certain) in missing.items():
        alike = dict.fromkeys(other for other, known in missing.values() if known is certain)
        line = line_of_scopes(spec, (*requested, *alike))
        yield MissingScope(claim=claim, read_by=wanted[claim], scope=scope, certain=certain, line=line)


def unavailable_groups(spec: ProviderSpec, wanted: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a sentence if *wanted* reads groups of a provider type that has none."""
    provider_type, read_by = type_of(spec), wanted.get("groups", ())
    if read_by and not provider_type.groups:
        reads = "reads" if len(read_by) == 1 else "read"
        yield f"{_listed(read_by)} {reads} groups, and {provider_type.label} sends none."


def is_settled(spec: ProviderSpec, claim: str) -> bool:
    """Return whether the type of *spec* decides, without a request, which scope brings *claim*."""
    return claim in _known(spec) or type_of(spec).flow != "openid"


def _scope_of(
    claim: str, spec: ProviderSpec, *, requested: frozenset[str], offered: frozenset[str] | None
) -> tuple[str, bool] | None:
    known = _known(spec).get(claim)
    if known is not None:
        return (known[0], True) if known and requested.isdisjoint(known) else None
    if type_of(spec).flow != "openid":
        return None
    if offered is None:
        return (
            (claim, False)
            if claim in _OFTEN_SCOPED and spec.provider_type == "oidc" and claim not in requested
            else None
        )
    matching = sorted(one for one in offered if _BEFORE_NAME.split(one)[-1] == claim)
    return (matching[0], True) if matching and requested.isdisjoint(matching) else None


def _known(spec: ProviderSpec) -> Mapping[str, tuple[str, ...]]:
    provider_type = type_of(spec)
    return {**(STANDARD if provider_type.flow == "openid" else {}), **provider_type.claim_scopes}


def line_of_scopes(spec: ProviderSpec, scopes: tuple[str, ...]) -> str:
    """Return the sentence on where to write *scopes* for *spec*."""
    provider_type, of_section = type_of(spec), f"scopes = {json.dumps(scopes)}"
    if not spec.variables:
        return f'Write {of_section} in the [[providers]] with id = "{spec.id}".'
    variable = "OAUTH_SCOPES" if "OAUTH_CLIENT_ID" in spec.variables else provider_type.scopes_variable
    if variable is not None:
        return f'Set {variable}="{" ".join(scopes)}".'
    instead = f"in place of {spec.variables[0]} and the others"
    return f'Write {of_section} in a [[providers]] with type = "{spec.provider_type}", {instead}.'


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
