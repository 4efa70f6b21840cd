"""The ticket: a signed hand-over of one person to one app, for seconds, once.

Everything but reuse is checked here, offline; the portal checks reuse when the guard
redeems the ticket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import claim_values, jws
from portal.contract.paths import is_local_path
from portal.contract.rejection import Rejected, Rejection

TICKET_TYPE: Final = "portal-ticket+jwt"
MAX_LIFETIME: Final = 30
"""Longest life of a ticket, in seconds."""
LEEWAY: Final = 90
"""How far the app's clock may be off, in seconds; at redemption the portal's clock decides."""
MAX_PICTURE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One person, one app, one use."""

    id: str
    """``jti``, unguessable."""
    issuer: str
    """The portal's public URL."""
    audience: str
    """The one app, by its slug."""
    subject: str
    """The identity, by its id."""
    session: str
    """``sid``: the app session that redeeming this ticket opens."""
    issued_at: int
    expires_at: int
    next: str
    """Path to open in the app."""
    name: str | None = None
    email: str | None = None
    picture: str | None = None
    """An https URL, or nothing."""
    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    """Of the person's roles, those that the app's rule names."""


def sign_ticket(ticket: Ticket, *, key: OKPKey) -> str:
    """Return *ticket* as a compact JWS under *key*."""
    claims: dict[str, object] = {
        "iss": ticket.issuer,
        "aud": ticket.audience,
        "sub": ticket.subject,
        "sid": ticket.session,
        "jti": ticket.id,
        "iat": ticket.issued_at,
        "exp": ticket.expires_at,
        "next": ticket.next,
        "roles": sorted(ticket.roles),
    }
    optional = {"name": ticket.name, "email": ticket.email, "picture": ticket.picture, "tenant": ticket.tenant}
    claims.update({name: value for name, value in optional.items() if value is not None})
    return jws.sign(claims, token_type=TICKET_TYPE, key=key)


def verify_ticket(token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY) -> Ticket:
    """Return the ticket in *token*.

    Raises:
        Rejected: with the first reason found, and only ever this.
    """
    ticket = _parse(jws.read(token, token_type=TICKET_TYPE, keys=keys))
    if ticket.issuer != issuer:
        raise Rejected(Rejection.WRONG_ISSUER)
    if ticket.audience != audience:  # one string and equality; never "any of a list"
        raise Rejected(Rejection.WRONG_AUDIENCE)
    if now >= ticket.expires_at + leeway:  # RFC 7519, 4.1.4: "on or after" is too late
        raise Rejected(Rejection.EXPIRED)
    if ticket.issued_at > now + leeway:
        raise Rejected(Rejection.NOT_YET_VALID)
    if not 0 < ticket.expires_at - ticket.issued_at <= MAX_LIFETIME:
        raise Rejected(Rejection.TOO_LONG_LIVED)
    return ticket


def _parse(claims: Mapping[str, object]) -> Ticket:
    picture = claim_values.optional_text(claims, "picture", longest=MAX_PICTURE)
    path = claims.get("next")
    if picture is not None and not picture.startswith("https://"):
        raise Rejected(Rejection.BAD_SHAPE)
    if type(path) is not str or not is_local_path(path):
        raise Rejected(Rejection.BAD_SHAPE)
    return Ticket(
        id=claim_values.text(claims, "jti"),
        issuer=claim_values.text(claims, "iss"),
        audience=claim_values.text(claims, "aud"),
        subject=claim_values.text(claims, "sub"),
        session=claim_values.text(claims, "sid"),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp"),
        next=path,
        name=claim_values.optional_text(claims, "name"),
        email=claim_values.optional_text(claims, "email"),
        picture=picture,
        tenant=claim_values.optional_text(claims, "tenant"),
        roles=claim_values.texts(claims, "roles"),
    )
