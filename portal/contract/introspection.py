"""The portal's answer when an app redeems a ticket or asks whether a session still lives.

RFC 7662, section 2.2, with additional members for the person.  ``active: false`` comes with a
stable ``code``, which the specification leaves to the two parties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from portal.contract import claim_values
from portal.contract.paths import local_path
from portal.contract.rejection import Rejected, Rejection

HINT_TICKET: Final = "urn:gradio-portal:token-type:ticket"
"""``token_type_hint``: the token is a ticket, redeem it."""
HINT_APP_SESSION: Final = "urn:gradio-portal:token-type:app-session"
"""``token_type_hint``: the token is the ``sid`` of an app session, renew it."""

NOT_IN_USE: Final = "not_in_use"
"""Form member, ``true``: the session is only open, as in a forgotten tab; its sign-in may go idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The person in an app session, as the portal knows them now."""

    subject: str
    """The identity's id: stable, opaque, never reused."""
    username: str
    """The verified e-mail address; where there is none, the subject."""
    preferred_username: str | None = None
    """The account's name at the provider, for display; never a key, since people may choose it themselves."""
    name: str | None = None
    email: str | None = None
    """Verified."""
    picture: str | None = None
    tenant: str | None = None
    tenant_name: str | None = None
    roles: frozenset[str] = frozenset()
    """Of the person's roles, those that the app's rule names."""
    signed_in_until: int = 0
    """When the sign-in ends at the latest, in Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """The session lives and belongs to this person."""

    session: str
    person: Person
    next: str = "/"
    """Path to open; only in the answer to a redemption."""

    def __bool__(self) -> Literal[True]:
        return True

    def to_json(self, *, issuer: str, audience: str) -> dict[str, object]:
        """Return the response's members."""
        person = self.person
        return {
            "active": True,
            "iss": issuer,
            "aud": audience,
            "sub": person.subject,
            "sid": self.session,
            "username": person.username,
            "preferred_username": person.preferred_username,
            "name": person.name,
            "email": person.email,
            "picture": person.picture,
            "tenant": person.tenant,
            "tenant_name": person.tenant_name,
            "roles": sorted(person.roles),
            "exp": person.signed_in_until,
            "next": self.next,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """The ticket or session is not valid."""

    code: str
    """The reason, as a stable code."""

    def __bool__(self) -> Literal[False]:
        return False

    def to_json(self) -> dict[str, object]:
        """Return the response's members."""
        return {"active": False, "code": self.code}


Introspection: TypeAlias = Active | Inactive


def read_introspection(body: Mapping[str, object], *, issuer: str, audience: str) -> Introspection:
    """Return the answer in *body*, which is parsed JSON.

    Raises:
        Rejected: the answer is not the portal's, or is for another app.
    """
    if body.get("active") is not True:
        code = body.get("code")
        return Inactive(code=code if type(code) is str else "unknown")
    if body.get("iss") != issuer:
        raise Rejected(Rejection.WRONG_ISSUER)
    if body.get("aud") != audience:
        raise Rejected(Rejection.WRONG_AUDIENCE)
    person = Person(
        subject=claim_values.text(body, "sub"),
        username=claim_values.text(body, "username"),
        preferred_username=claim_values.optional_text(body, "preferred_username"),
        name=claim_values.optional_text(body, "name"),
        email=claim_values.optional_text(body, "email"),
        picture=claim_values.optional_text(body, "picture", longest=1024),
        tenant=claim_values.optional_text(body, "tenant"),
        tenant_name=claim_values.optional_text(body, "tenant_name"),
        roles=claim_values.texts(body, "roles"),
        signed_in_until=claim_values.moment(body, "exp"),
    )
    return Active(session=claim_values.text(body, "sid"), person=person, next=local_path(body.get("next")))
