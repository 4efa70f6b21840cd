"""The probe token: its bearer may see how requests arrive, for two minutes.

``portal doctor`` sends one with each of its requests to portal and guards.  It opens no session,
names no person and ends nothing.  Without one, the addresses below :data:`PROBE_PATH` do not exist.
"""

from dataclasses import dataclass
from typing import Final

from joserfc.jwk import KeySet, OKPKey

from portal.contract import jws
from portal.contract.rejection import Rejection
from portal.contract.signed_tokens import SignedToken, read_registered_claims
from portal.contract.tickets import LEEWAY

PROBE_TYPE: Final = "portal-probe+jwt"
PROBE_HEADER: Final = "X-Portal-Probe"
"""Request header with the token; not ``Authorization``, which a reverse proxy may use itself."""
PROBE_PATH: Final = "/.portal/probe/"
"""Addresses of portal and guards that take it."""
MAX_LIFETIME: Final = 120
"""Longest life of a probe token, in seconds."""
WRONG_TIME: Final = frozenset({Rejection.EXPIRED, Rejection.NOT_YET_VALID})
"""Rejections of a genuine token where the clocks differ: its bearer may learn the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeToken(SignedToken):
    """Permission to probe one app, or the portal."""


def sign_probe_token(token: ProbeToken, *, key: OKPKey) -> str:
    """Return *token* as a compact JWS under *key*."""
    return jws.sign(token.claims({}), token_type=PROBE_TYPE, key=key)


def verify_probe_token(
    token: object, *, keys: KeySet, issuer: str, audience: str, now: int, leeway: int = LEEWAY
) -> ProbeToken:
    """Return the probe token in *token*.

    The times are checked last, so that only a genuine token is rejected for :data:`WRONG_TIME`.

    Raises:
        Rejected: whatever is wrong with it, with the first reason.
    """
    probe = ProbeToken(**read_registered_claims(jws.read(token, token_type=PROBE_TYPE, keys=keys)))
    probe.check_parties(issuer=issuer, audience=audience)
    probe.check_lifetime(MAX_LIFETIME)
    probe.check_times(now=now, leeway=leeway)
    return probe
