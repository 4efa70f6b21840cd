"""A person's identity, as their identity provider states it.

An identity is keyed on issuer and subject, never on an e-mail address: addresses are
reassigned, re-registered and, at some providers, chosen freely.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NewType

VerifiedClaims = NewType("VerifiedClaims", Mapping[str, object])
"""Claims whose signature, issuer, audience, expiry and nonce were checked; JSON values only."""

NO_TENANT: Final = ""
"""The tenant of people whose provider has no tenants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affiliation:
    """What the provider says of a person within one tenant: its own names, not yet roles of the portal."""

    tenant: str = NO_TENANT
    tenant_name: str | None = None
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    groups_left_out: int = 0
    """At least this many groups are missing in :attr:`groups`: unreadable, or withheld by the provider."""
    hook_roles: frozenset[str] = frozenset()
    """Roles of the portal that the company's own sign-in hook gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One person at one provider."""

    provider: str
    """Id of the provider in the configuration."""
    issuer: str
    subject: str
    name: str | None = None
    email: str | None = None
    email_verified: bool = False
    picture: str | None = None
    """An https URL."""
    handle: str | None = None
    """The account's name at the provider; for display, never a key: at most providers people choose it themselves."""
    handle_is_unique: bool = False
    """Whether no two accounts of the provider have the same handle at a time."""
    affiliations: tuple[Affiliation, ...] = (Affiliation(),)
    """At least one; in the order the provider gave, sorted by tenant where it gave none."""
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """The verified claims that role rules are evaluated over."""
    sent: tuple[str, ...] = ()
    """Names of the claims that the provider sent at this sign-in, for admins; no values."""
    unread: tuple[str, ...] = ()
    """Which claims could not be read or were not stored, each in a few words for admins; no values."""

    @property
    def id(self) -> str:
        """Stable, opaque identifier: a hash over issuer and subject, 32 characters of base64url."""
        return identity_id(issuer=self.issuer, subject=self.subject)

    @property
    def verified_email(self) -> str | None:
        """The address, if the provider vouches for it; only this one may give access."""
        return self.email if self.email_verified else None

    @property
    def username(self) -> str:
        """``gr.Request.username``: the verified address, else the id."""
        return self.verified_email or self.id

    @property
    def preferred_username(self) -> str:
        """``gr.OAuthProfile.username``: a unique handle, else the verified address, else any handle, else the id.

        It never equals another person's :attr:`username`: a handle has no ``@`` and does not look like an id.
        """
        unique = self.handle if self.handle_is_unique else None
        return unique or self.verified_email or self.handle or self.id

    @property
    def tenants(self) -> tuple[str, ...]:
        """Ids of the tenants the person belongs to."""
        return tuple(affiliation.tenant for affiliation in self.affiliations)

    def affiliation(self, tenant: str) -> Affiliation | None:
        """Return the person's affiliation with *tenant*, or ``None`` if they do not belong to it."""
        return next((one for one in self.affiliations if one.tenant == tenant), None)


IDENTITY_ID: Final = re.compile(r"[A-Za-z0-9_-]{32}")
"""The shape of :func:`identity_id`."""


def identity_id(*, issuer: str, subject: str) -> str:
    """Return the :attr:`Identity.id` of *subject* at *issuer*."""
    digest = hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).digest()
    return urlsafe_b64encode(digest[:24]).decode("ascii")
