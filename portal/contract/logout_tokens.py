"""The logout token: the portal tells an app that one app session has ended.

The shape of OpenID Connect Back-Channel Logout 1.0, section 2.4, with the portal as the
provider and the app session as ``sid``.
"""

from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import claim_values, jws
from portal.contract.rejection import Rejected, Rejection
from portal.contract.tickets import LEEWAY

LOGOUT_TYPE: Final = "logout+jwt"
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_LIFETIME: Final = 120
"""Longest life of a logout token, in seconds (section 2.4 recommends two minutes at most)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """One app session has ended."""

    id: str
    issuer: str
    audience: str
    """The app, by its slug."""
    session: str
    """``sid``: the app session that ended."""
    issued_at: int
    expires_at: int


def sign_logout_token(token: LogoutToken, *, key: OKPKey) -> str:
    """Return *token* as a compact JWS under *key*."""
    claims: dict[str, object] = {
        "iss": token.issuer,
        "aud": token.audience,
        "sid": token.session,
        "jti": token.id,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "events": {LOGOUT_EVENT: {}},
    }
    return jws.sign(claims, token_type=LOGOUT_TYPE, key=key)


def verify_logout_token(
    token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY
) -> LogoutToken:
    """Return the logout token in *token*.

    Raises:
        Rejected: with the first reason found, and only ever this.
    """
    claims = jws.read(token, token_type=LOGOUT_TYPE, keys=keys)
    events = claims.get("events")
    # Section 2.6: a nonce must not be there, so that an ID token never passes for a logout token.
    if "nonce" in claims or type(events) is not dict or events.get(LOGOUT_EVENT) != {}:
        raise Rejected(Rejection.BAD_SHAPE)
    parsed = LogoutToken(
        id=claim_values.text(claims, "jti"),
        issuer=claim_values.text(claims, "iss"),
        audience=claim_values.text(claims, "aud"),
        session=claim_values.text(claims, "sid"),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp"),
    )
    if parsed.issuer != issuer:
        raise Rejected(Rejection.WRONG_ISSUER)
    if parsed.audience != audience:
        raise Rejected(Rejection.WRONG_AUDIENCE)
    if now >= parsed.expires_at + leeway:
        raise Rejected(Rejection.EXPIRED)
    if parsed.issued_at > now + leeway:
        raise Rejected(Rejection.NOT_YET_VALID)
    if not 0 < parsed.expires_at - parsed.issued_at <= MAX_LIFETIME:
        raise Rejected(Rejection.TOO_LONG_LIVED)
    return parsed
