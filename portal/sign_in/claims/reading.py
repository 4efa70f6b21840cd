"""Builds an identity from verified claims and affiliations, for every provider type.  Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from portal.contract.truncation import shorten
from portal.errors import CallbackRejected, ClaimsTooLarge
from portal.rules.expressions import NAME_LISTS, RAW, evaluate
from portal.rules.identity import Affiliation, Identity
from portal.settings import ProviderSpec
from portal.sign_in.claims import values

_TOKEN_CLAIMS: Final = frozenset({"at_hash", "c_hash", "nonce", "s_hash"})
"""Claims that bind the token to one sign-in, of no use to a rule."""
_EXCHANGE_CLAIMS: Final = frozenset({"aud", "auth_time", "azp", "exp", "iat", "iss", "jti", "nbf", "portal:cut", "sid"})
"""Claims about the token or the sign-in, not about the person."""
MAX_SHOWN_NAMES: Final = 100
"""Most names of claims stored with a sign-in, for admins."""
MAX_SHOWN_NAME: Final = 120
"""Most characters of one of them."""
MAX_TENANTS: Final = 1000
"""Most tenants of one person."""


def identity_of(claims: Mapping[str, object], *, spec: ProviderSpec, affiliations: Sequence[Affiliation]) -> Identity:
    """Return the identity that *claims*, verified or derived from verified ones, describe, with *affiliations*.

    Raises:
        CallbackRejected: ``sub`` is unusable, or the claims are not JSON.
        ClaimsTooLarge: there are too many affiliations.
    """
    if len(affiliations) > MAX_TENANTS:
        raise ClaimsTooLarge(f"{len(affiliations)} tenants, more than the {MAX_TENANTS} that are read")
    return Identity(
        provider=spec.id,
        issuer=values.issuer(claims, configured=spec.issuer),
        subject=values.subject(claims),
        name=values.shown_name(claims),
        email=values.email(claims),
        email_verified=values.email_verified(claims, assumed=spec.assumes_email),
        picture=values.picture(claims),
        affiliations=tuple(affiliations),
        claims=_claims_for_rules(claims),
        unread=tuple(_unread(claims, spec)),
    )


def named_claims(claims: Mapping[str, object], spec: ProviderSpec) -> Mapping[str, object]:
    """Return *claims* with groups and roles taken from where the provider's settings say.

    ``groups_claim`` and ``roles_claim`` are expressions over the claims; what they yield replaces the list.
    """
    expressions = {name: spec.options[f"{name}_claim"] for name in NAME_LISTS if f"{name}_claim" in spec.options}
    document = {**claims, RAW: claims}
    return {**claims, **{name: evaluate(expression, document) for name, expression in expressions.items()}}


def affiliation_in(tenant: str, claims: Mapping[str, object], *, name: str | None = None) -> Affiliation:
    """Return the affiliation with *tenant* in *claims*, of the whole token or of that tenant within it."""
    return Affiliation(
        tenant=tenant,
        tenant_name=name,
        roles=values.names(claims.get("roles")),
        groups=values.names(claims.get("groups")),
        permissions=values.names(claims.get("permissions")),
        groups_left_out=values.unread(claims.get("groups")),
    )


def names_sent(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of *claims* about the person, sorted; more than fit are given as a number."""
    names = sorted(name for name in claims if name not in _TOKEN_CLAIMS | _EXCHANGE_CLAIMS and values.is_plain(name))
    shown = [shorten(name, longest=MAX_SHOWN_NAME) for name in names]
    beyond = len(shown) - MAX_SHOWN_NAMES
    return tuple(shown) if beyond <= 0 else (*shown[:MAX_SHOWN_NAMES], f"… and {beyond} more")


def _claims_for_rules(claims: Mapping[str, object]) -> Mapping[str, object]:
    omitted = _TOKEN_CLAIMS | {name for name in NAME_LISTS if not values.unread(claims.get(name))}
    rest = {name: value for name, value in claims.items() if name not in omitted}
    try:
        json.dumps(rest, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CallbackRejected("the claims are not JSON") from error
    return MappingProxyType(rest)


def _unread(claims: Mapping[str, object], spec: ProviderSpec) -> Iterator[str]:
    """Yield sentences for admins on what in *claims* cannot be read; no values."""
    for name in NAME_LISTS:
        number = values.unread(claims.get(name))
        if number and f"{name}_claim" not in spec.options:
            are = f"entry of {name} is not a name" if number == 1 else f"entries of {name} are not names"
            yield f"{number} {are}; rules can read what was sent under {RAW}.{name}"
    tenants = claims.get("tenants")
    unusable = [one for one in tenants if values.identifier(one) is None] if type(tenants) is dict else []
    if unusable:
        yield f"{len(unusable)} of tenants without a usable id"
    readings: tuple[tuple[str, object], ...] = (("email", values.email(claims)), ("picture", values.picture(claims)))
    for name, read in readings:
        if claims.get(name) and read is None:
            yield f"{name} is not usable"
