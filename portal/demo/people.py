"""The four sample people and their claims.

The claims have the shape of Descope's: roles are inside ``tenants``, so a person can be an admin of one company and an
ordinary member of another.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A person's tenant and their roles there."""

    tenant: str
    tenant_name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePerson:
    """A sample person to sign in as."""

    subject: str
    given_name: str
    family_name: str
    email: str
    about: str
    """One line for the page on which a person is chosen."""
    memberships: tuple[Membership, ...]

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.given_name} {self.family_name}"

    @property
    def initials(self) -> str:
        """Two letters instead of a picture."""
        return self.given_name[0] + self.family_name[0]


def _acme(*roles: str) -> Membership:
    return Membership(tenant="acme", tenant_name="Acme", roles=roles)


PEOPLE: Final = (
    SamplePerson(
        subject="demo-ada",
        given_name="Ada",
        family_name="Admin",
        email="ada@acme.example",
        about="Administers Acme: sees who is signed in and can sign people out.",
        memberships=(_acme("Tenant Admin"),),
    ),
    SamplePerson(
        subject="demo-ana",
        given_name="Ana",
        family_name="Analyst",
        email="ana@acme.example",
        about="Analyses Acme's numbers: has the role Analyst.",
        memberships=(_acme("Analyst"),),
    ),
    SamplePerson(
        subject="demo-uwe",
        given_name="Uwe",
        family_name="User",
        email="uwe@acme.example",
        about="Works at Acme: an ordinary member without other roles.",
        memberships=(_acme("Member"),),
    ),
    SamplePerson(
        subject="demo-tess",
        given_name="Tess",
        family_name="Two-Tenants",
        email="tess@beta.example",
        about="Belongs to two companies: a member of Acme, an admin of Beta.",
        memberships=(
            _acme("Member"),
            Membership(tenant="beta", tenant_name="Beta", roles=("Tenant Admin",)),
        ),
    ),
)


def find_person(subject: str) -> SamplePerson | None:
    """Return the sample person with *subject*, or ``None``."""
    return next((person for person in PEOPLE if person.subject == subject), None)


def claims_of(person: SamplePerson, *, scopes: Collection[str]) -> Mapping[str, object]:
    """Return the claims of *person* for the granted *scopes* (OpenID Connect Core, 5.4)."""
    claims: dict[str, object] = {"sub": person.subject}
    if "profile" in scopes:
        claims |= {"name": person.name, "given_name": person.given_name, "family_name": person.family_name}
    if "email" in scopes:
        claims |= {"email": person.email, "email_verified": True}
    if "descope.claims" in scopes:
        claims["tenants"] = {
            one.tenant: {"name": one.tenant_name, "roles": list(one.roles), "permissions": []}
            for one in person.memberships
        }
    return claims
