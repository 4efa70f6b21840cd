"""Why a token is rejected: a fixed set of stable codes."""

from enum import StrEnum


class Rejection(StrEnum):
    """Why a token was rejected.

    Values are logged and documented; never reuse one.  Keep the list alphabetized.
    """

    BAD_SHAPE = "bad-shape"
    """A claim is missing, has the wrong type, or is not one the contract allows."""
    BAD_SIGNATURE = "bad-signature"
    """The signature does not verify under the named key, or the algorithm is not Ed25519."""
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    TOO_LARGE = "too-large"
    TOO_LONG_LIVED = "too-long-lived"
    UNKNOWN_KEY = "unknown-key"
    """The header names a key that is not in the set; the only rejection that fetching the keys again may fix."""
    UNREADABLE = "unreadable"
    """Not a compact JWS."""
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_TYPE = "wrong-type"


class Rejected(Exception):
    """The token is not valid and has no effect."""

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason
