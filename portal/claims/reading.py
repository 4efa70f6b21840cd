"""What every reading has in common: from verified claims and affiliations to an identity."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from portal.claims import values
from portal.errors import CallbackRejected
from portal.identity import Affiliation, Identity
from portal.settings import ProviderSpec

MAX_CLAIMS: Final = 64 * 1024
"""Most bytes of JSON kept with a sign-in."""
_OF_THE_TOKEN: Final = frozenset({"at_hash", "c_hash", "nonce", "s_hash"})
"""Claims about one exchange, of no use to a rule."""
_OF_THE_EXCHANGE: Final = frozenset({"aud", "auth_time", "azp", "exp", "iat", "iss", "jti", "nbf", "portal:cut", "sid"})
"""Claims that say who speaks to whom and when, and nothing of the person."""
MAX_SHOWN_NAMES: Final = 100
"""Names of claims kept with a sign-in, for admins."""
MAX_SHOWN_NAME: Final = 120
"""Characters of one of them."""
_IN_AFFILIATIONS: Final = frozenset({"groups", "permissions", "roles"})
"""Lists that rules read from the affiliation in any case; long ones are no reason to refuse somebody."""


def identity_of(claims: Mapping[str, object], *, spec: ProviderSpec, affiliations: Sequence[Affiliation]) -> Identity:
    """Return the identity that *claims*, verified ones or a view of such, describe, belonging to *affiliations*.

    Raises:
        CallbackRejected: ``sub`` is unusable, or the claims are too large to keep.
    """
    return Identity(
        provider=spec.id,
        issuer=values.issuer(claims, configured=spec.issuer),
        subject=values.subject(claims),
        name=values.shown_name(claims),
        email=values.email(claims),
        email_verified=values.email_verified(claims, assumed=spec.assumes_email),
        picture=values.picture(claims),
        affiliations=tuple(affiliations),
        claims=_kept(claims),
    )


def affiliation_in(tenant: str, claims: Mapping[str, object], *, name: str | None = None) -> Affiliation:
    """Return what *claims*, of the whole token or of one tenant within it, say about *tenant*."""
    return Affiliation(
        tenant=tenant,
        tenant_name=name,
        roles=values.names(claims.get("roles")),
        groups=values.names(claims.get("groups")),
        permissions=values.names(claims.get("permissions")),
        groups_left_out=values.left_out(claims.get("groups")),
    )


def names_sent(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of *claims*, sorted, without those about the exchange: for people who look for one.

    What is too long, or too much, is said as a number and never left out in silence.
    """
    names = sorted(name for name in claims if name not in _OF_THE_TOKEN | _OF_THE_EXCHANGE and values.is_plain(name))
    shown = [name if len(name) <= MAX_SHOWN_NAME else f"{name[: MAX_SHOWN_NAME - 1]}…" for name in names]
    beyond = len(shown) - MAX_SHOWN_NAMES
    return tuple(shown) if beyond <= 0 else (*shown[:MAX_SHOWN_NAMES], f"… and {beyond} more")


def _kept(claims: Mapping[str, object]) -> Mapping[str, object]:
    kept = {name: value for name, value in claims.items() if name not in _OF_THE_TOKEN | _IN_AFFILIATIONS}
    try:
        size = len(json.dumps(kept, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CallbackRejected("the claims are no JSON") from error
    if size > MAX_CLAIMS:
        raise CallbackRejected(f"the claims take {size} bytes, more than are kept")
    return MappingProxyType(kept)
