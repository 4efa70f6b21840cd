"""Verifies a provider's logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6).  Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from portal.contract import Rejected, claim_values
from portal.contract.logout_tokens import LOGOUT_EVENT
from portal.errors import LogoutTokenRejected
from portal.sign_in.claims.values import MAX_SUBJECT
from portal.sign_in.providers.id_token import (
    MAX_AGE,
    PLAIN_TYPES,
    SKEW,
    IdTokenProblem,
    IdTokenRejected,
    IssuerTest,
    verify_provider_token,
)
from portal.sign_in.providers.keys import VerificationKey

_TYPES: Final = PLAIN_TYPES | {"logout+jwt", "application/logout+jwt"}
LONGEST_LIFE: Final = MAX_AGE + 2 * SKEW
"""Seconds after which a repeated token is refused for its age alone."""
MAX_SESSION: Final = 1024
"""Longest ``sid``, in characters."""
_MAX_TOKEN_ID: Final = 1024
"""Longest ``jti``, in characters."""


class LogoutProblem(StrEnum):
    """Why a provider's logout was refused, besides what ID tokens are refused for.

    Values are logged, sent to the provider and documented; keep alphabetized.
    """

    ENDS_NOTHING = "ends-nothing"
    """It names neither a person nor a session."""
    HAS_NONCE = "has-nonce"
    """It may be an ID token: those have a nonce, and logout tokens must not."""
    NO_LOGOUT_EVENT = "no-logout-event"
    NO_SESSION = "no-session"
    """By the front channel: the address has no ``iss`` or no ``sid``."""
    NO_SINGLE_TOKEN = "no-single-token"  # noqa: S105 - a reason, not a secret
    """The form has no ``logout_token``, or several."""
    NO_TOKENS = "no-tokens"
    """The provider type has no signed tokens."""
    REPEATED = "repeated"
    """A token with this ``jti`` came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLogout:
    """What a provider says has ended: one of its sessions, or all of a person's.

    Raises:
        LogoutTokenRejected: it would name neither, and so all of the provider's sign-ins.
    """

    issuer: str
    subject: str | None
    session: str | None = field(repr=False)
    """The ``sid``; *subject* or this is always there."""
    token_id: str
    """The ``jti``: a second token with it is a repetition."""

    def __post_init__(self) -> None:
        """Refuse what is no name."""
        named = [one for one in (self.subject, self.session) if one is not None]
        if not named or not all(named) or len(self.session or "") > MAX_SESSION:
            raise LogoutTokenRejected(LogoutProblem.ENDS_NOTHING)


def verify_logout_token(
    token: object,
    *,
    keys: Sequence[VerificationKey],
    issuer: str | IssuerTest,
    key_issuer: IssuerTest | None = None,
    client_id: str,
    algorithms: Collection[str],
    now: int,
) -> ProviderLogout:
    """Return what *token* ends; the arguments are as for an ID token.

    Raises:
        LogoutTokenRejected: it ends nothing.
    """
    try:
        claims, _ = verify_provider_token(
            token,
            types=_TYPES,
            keys=keys,
            issuer=issuer,
            key_issuer=key_issuer,
            client_id=client_id,
            algorithms=algorithms,
            now=now,
            needs_party=False,
        )
    except IdTokenRejected as error:
        raise LogoutTokenRejected(error.problem) from error
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise LogoutTokenRejected(LogoutProblem.NO_LOGOUT_EVENT)
    if "nonce" in claims:  # an ID token has one; a logout token must not
        raise LogoutTokenRejected(LogoutProblem.HAS_NONCE)
    try:
        subject = claim_values.optional_text(claims, "sub", longest=MAX_SUBJECT)
        session = claim_values.optional_text(claims, "sid", longest=MAX_SESSION)
        token_id = claim_values.text(claims, "jti", longest=_MAX_TOKEN_ID)
    except Rejected as error:
        raise LogoutTokenRejected(IdTokenProblem.BAD_SHAPE) from error
    return ProviderLogout(issuer=str(claims["iss"]), subject=subject, session=session, token_id=token_id)
