"""The logout token: the portal tells an app that one app session has ended.

The shape of OpenID Connect Back-Channel Logout 1.0, section 2.4, with the portal as the
provider and the app session as ``sid``.
"""

from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import claim_values, jws
from portal.contract.rejection import Rejected, Rejection
from portal.contract.signed_tokens import SignedToken, read_registered_claims
from portal.contract.tickets import LEEWAY

LOGOUT_TYPE: Final = "logout+jwt"
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_LIFETIME: Final = 120
"""Longest life of a logout token, in seconds (section 2.4 recommends two minutes at most)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken(SignedToken):
    """One app session has ended."""

    session: str
    """``sid``: the app session that ended."""


def sign_logout_token(token: LogoutToken, *, key: OKPKey) -> str:
    """Return *token* as a compact JWS under *key*."""
    claims = token.claims({"sid": token.session})
    return jws.sign(claims | {"events": {LOGOUT_EVENT: {}}}, token_type=LOGOUT_TYPE, key=key)


def verify_logout_token(
    token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY
) -> LogoutToken:
    """Return the logout token in *token*.

    Raises:
        Rejected: whatever is wrong with it, with the first reason.
    """
    claims = jws.read(token, token_type=LOGOUT_TYPE, keys=keys)
    events = claims.get("events")
    # Section 2.6: a logout token has no nonce, so that an ID token never passes for one.
    if "nonce" in claims or type(events) is not dict or events.get(LOGOUT_EVENT) != {}:
        raise Rejected(Rejection.BAD_SHAPE)
    logout = LogoutToken(**read_registered_claims(claims), session=claim_values.text(claims, "sid"))
    logout.check_parties(issuer=issuer, audience=audience)
    logout.check_times(now=now, leeway=leeway)
    logout.check_lifetime(MAX_LIFETIME)
    return logout
