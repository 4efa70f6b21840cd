"""The ticket: signed, it brings one person into one app, once and within seconds.

Everything but reuse is checked here, offline.  The portal checks reuse when the guard redeems the ticket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import claim_values, jws
from portal.contract.paths import is_local_path
from portal.contract.rejection import Rejected, Rejection
from portal.contract.signed_tokens import SignedToken, read_registered_claims

TICKET_TYPE: Final = "portal-ticket+jwt"
MAX_LIFETIME: Final = 30
"""Longest life of a ticket, in seconds."""
LEEWAY: Final = 90
"""How far the app's clock may be off, in seconds; at redemption the portal's clock decides."""
MAX_PICTURE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket(SignedToken):
    """One person, one app, one use."""

    subject: str
    """The identity, by its id."""
    session: str
    """``sid``: the app session that redeeming this ticket opens."""
    next: str
    """Path to open in the app."""
    name: str | None = None
    email: str | None = None
    picture: str | None = None
    """An https URL."""
    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    """Of the person's roles, those that the app's rule names."""


def sign_ticket(ticket: Ticket, *, key: OKPKey) -> str:
    """Return *ticket* as a compact JWS under *key*."""
    claims = ticket.claims({"sub": ticket.subject, "sid": ticket.session})
    claims |= {"next": ticket.next, "roles": sorted(ticket.roles)}
    optional = {"name": ticket.name, "email": ticket.email, "picture": ticket.picture, "tenant": ticket.tenant}
    claims |= {name: value for name, value in optional.items() if value is not None}
    return jws.sign(claims, token_type=TICKET_TYPE, key=key)


def verify_ticket(token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY) -> Ticket:
    """Return the ticket in *token*.

    Raises:
        Rejected: whatever is wrong with it, with the first reason.
    """
    ticket = _parse(jws.read(token, token_type=TICKET_TYPE, keys=keys))
    ticket.check_parties(issuer=issuer, audience=audience)
    ticket.check_times(now=now, leeway=leeway)
    ticket.check_lifetime(MAX_LIFETIME)
    return ticket


def _parse(claims: Mapping[str, object]) -> Ticket:
    picture = claim_values.optional_text(claims, "picture", longest=MAX_PICTURE)
    path = claims.get("next")
    if picture is not None and not picture.startswith("https://"):
        raise Rejected(Rejection.BAD_SHAPE)
    if type(path) is not str or not is_local_path(path):
        raise Rejected(Rejection.BAD_SHAPE)
    return Ticket(
        **read_registered_claims(claims),
        subject=claim_values.text(claims, "sub"),
        session=claim_values.text(claims, "sid"),
        next=path,
        name=claim_values.optional_text(claims, "name"),
        email=claim_values.optional_text(claims, "email"),
        picture=picture,
        tenant=claim_values.optional_text(claims, "tenant"),
        roles=claim_values.texts(claims, "roles"),
    )
