"""Signs and reads tickets; ``portal.access.app_sessions`` issues them, and makes sure that each is used once."""

import secrets
from typing import Final

from portal.access.signing_keys import SigningKeys
from portal.contract import Person, Rejected, Rejection, Ticket, is_local_path, sign_ticket, verify_ticket
from portal.contract.claim_values import MAX_TEXT, optional_text
from portal.contract.tickets import MAX_LIFETIME, MAX_PICTURE
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, roles_in_ticket

_UNGUESSABLE: Final = 24
"""Random bytes of a ticket's and of a session's id."""


class Tickets:
    """Signs tickets with the portal's keys and reads them back, by the portal's clock."""

    def __init__(self, keys: SigningKeys, *, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer

    def make(self, allowed: Allowed, *, next: str, expires_at: int, now: int) -> tuple[Ticket, str]:  # noqa: A002 - the claim's name
        """Return a ticket to the allowed app, and its signed form.

        Raises:
            ValueError: *next* is not a local path.
            StoreUnavailable: there is no key to sign with.
        """
        if not is_local_path(next):
            raise ValueError("the path leaves the app")
        person = person_of(allowed, expires_at=expires_at)
        ticket = Ticket(
            id=secrets.token_urlsafe(_UNGUESSABLE),
            issuer=self._issuer,
            audience=allowed.app.slug,
            subject=person.subject,
            session=secrets.token_urlsafe(_UNGUESSABLE),
            issued_at=now,
            expires_at=now + MAX_LIFETIME,
            next=next,
            name=person.name,
            email=person.email,
            picture=person.picture,
            tenant=person.tenant,
            roles=person.roles,
        )
        return ticket, sign_ticket(ticket, key=self._keys.signing_key(now))

    def read(self, token: object, *, app: AppSpec, now: int) -> Ticket:
        """Return the ticket that *app* presents.

        Raises:
            Rejected: it is not valid.
        """
        try:
            return self._verify(token, app=app, now=now)
        except Rejected as rejected:
            if rejected.reason is not Rejection.UNKNOWN_KEY:
                raise
        # Another process may have made its first key within the last minute.
        self._keys.refresh(now)
        return self._verify(token, app=app, now=now)

    def _verify(self, token: object, *, app: AppSpec, now: int) -> Ticket:
        keys = self._keys.key_set(now)
        # No leeway: the portal signed it by the same clock.
        return verify_ticket(token, keys=keys, issuer=self._issuer, audience=app.slug, now=now, leeway=0)


def person_of(allowed: Allowed, *, expires_at: int) -> Person:
    """Return what the app learns about the person, whose sign-in ends at *expires_at* at the latest."""
    identity, standing = allowed.standing.identity, allowed.standing
    picture = _text_that_fits(identity.picture, longest=MAX_PICTURE)
    email = _text_that_fits(identity.verified_email)
    return Person(
        subject=identity.id,
        username=email or identity.id,
        preferred_username=_text_that_fits(identity.preferred_username),
        name=_text_that_fits(identity.name),
        email=email,
        picture=picture if picture is not None and picture.startswith("https://") else None,
        # The id of a tenant is never trimmed or dropped to fit: the guard refuses one that is too long.
        tenant=standing.tenant or None,
        tenant_name=_text_that_fits(standing.tenant_name),
        roles=roles_in_ticket(allowed.app, standing=standing),
        signed_in_until=expires_at,
    )


def _text_that_fits(value: str | None, *, longest: int = MAX_TEXT) -> str | None:
    """Return *value* if the contract allows it: a name from a provider must not make a ticket unreadable."""
    try:
        return optional_text({"value": value}, "value", longest=longest)
    except Rejected:
        return None
