"""The probe token: whoever holds the portal's keys may see how requests arrive, for two minutes.

``portal doctor`` presents one with each of its requests, to portal and guards.  It opens no session,
names no person and ends nothing; without one, the addresses it opens are not there.
"""

from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import claim_values, jws
from portal.contract.rejection import Rejected, Rejection
from portal.contract.tickets import LEEWAY

PROBE_TYPE: Final = "portal-probe+jwt"
PROBE_HEADER: Final = "X-Portal-Probe"
"""Where it is presented: a header of its own, because web servers may want ``Authorization`` for themselves."""
PROBE_PATH: Final = "/.portal/probe/"
"""Where portal and guards take it."""
MAX_LIFETIME: Final = 120
"""Longest life of a probe token, in seconds."""
WRONG_TIME: Final = frozenset({Rejection.EXPIRED, Rejection.NOT_YET_VALID})
"""Rejections of a token that is genuine, by a clock that is off: whoever presents it may be told the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeToken:
    """Leave to look at one app, or at the portal."""

    id: str
    issuer: str
    """The portal's public URL."""
    audience: str
    """The app, by its slug; the portal, by its public URL."""
    issued_at: int
    expires_at: int


def sign_probe_token(token: ProbeToken, *, key: OKPKey) -> str:
    """Return *token* as a compact JWS under *key*."""
    claims: dict[str, object] = {
        "iss": token.issuer,
        "aud": token.audience,
        "jti": token.id,
        "iat": token.issued_at,
        "exp": token.expires_at,
    }
    return jws.sign(claims, token_type=PROBE_TYPE, key=key)


def verify_probe_token(
    token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY
) -> ProbeToken:
    """Return the probe token in *token*.

    Times are looked at last, so that :data:`WRONG_TIME` is only ever said of a genuine one.

    Raises:
        Rejected: with the first reason found, and only ever this.
    """
    claims = jws.read(token, token_type=PROBE_TYPE, keys=keys)
    parsed = ProbeToken(
        id=claim_values.text(claims, "jti"),
        issuer=claim_values.text(claims, "iss"),
        audience=claim_values.text(claims, "aud"),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp"),
    )
    if parsed.issuer != issuer:
        raise Rejected(Rejection.WRONG_ISSUER)
    if parsed.audience != audience:
        raise Rejected(Rejection.WRONG_AUDIENCE)
    if not 0 < parsed.expires_at - parsed.issued_at <= MAX_LIFETIME:
        raise Rejected(Rejection.TOO_LONG_LIVED)
    if now >= parsed.expires_at + leeway:
        raise Rejected(Rejection.EXPIRED)
    if parsed.issued_at > now + leeway:
        raise Rejected(Rejection.NOT_YET_VALID)
    return parsed
