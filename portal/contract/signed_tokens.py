"""What every token of the portal has in common: its registered claims (RFC 7519, section 4.1) and their checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.contract import claim_values
from portal.contract.rejection import Rejected, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedToken:
    """A token that the portal signs for one audience; each kind adds its own claims."""

    id: str
    """``jti``, unguessable."""
    issuer: str
    """The portal's public URL."""
    audience: str
    """The app, by its slug; the portal, by its public URL."""
    issued_at: int
    expires_at: int

    def claims(self, about: Mapping[str, object]) -> dict[str, object]:
        """Return the registered claims, with those of *about*, the subject of the token."""
        return {
            "iss": self.issuer,
            "aud": self.audience,
            **about,
            "jti": self.id,
            "iat": self.issued_at,
            "exp": self.expires_at,
        }

    def check_parties(self, *, issuer: str, audience: str) -> None:
        """Check the issuer and the audience of the token.

        Raises:
            Rejected: it has another issuer or audience.
        """
        if self.issuer != issuer:
            raise Rejected(Rejection.WRONG_ISSUER)
        if self.audience != audience:  # one string and equality; never "any of a list"
            raise Rejected(Rejection.WRONG_AUDIENCE)

    def check_times(self, *, now: int, leeway: int) -> None:
        """Check that the token is valid at *now*.

        Raises:
            Rejected: it has expired, or was issued in the future.
        """
        if now >= self.expires_at + leeway:  # RFC 7519, section 4.1.4: "on or after" is too late
            raise Rejected(Rejection.EXPIRED)
        if self.issued_at > now + leeway:
            raise Rejected(Rejection.NOT_YET_VALID)

    def check_lifetime(self, longest: int) -> None:
        """Check that the token is valid for *longest* seconds at most.

        Raises:
            Rejected: it is valid for longer, or for no time at all.
        """
        if not 0 < self.expires_at - self.issued_at <= longest:
            raise Rejected(Rejection.TOO_LONG_LIVED)


def read_registered_claims(claims: Mapping[str, object]) -> dict[str, Any]:
    """Return the registered claims of a token, as arguments for :class:`SignedToken`.

    Raises:
        Rejected: one is missing or has the wrong type.
    """
    return {
        "id": claim_values.text(claims, "jti"),
        "issuer": claim_values.text(claims, "iss"),
        "audience": claim_values.text(claims, "aud"),
        "issued_at": claim_values.moment(claims, "iat"),
        "expires_at": claim_values.moment(claims, "exp"),
    }
