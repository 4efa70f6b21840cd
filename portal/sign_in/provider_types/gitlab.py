"""GitLab, on gitlab.com or self-managed: groups are full paths, and roles within them have claims of their own.

Members of ``research/ml`` are not members of ``research``, and ``research`` is not ``research-2``: paths are compared
whole.  See GitLab's ``doorkeeper_openid_connect.rb``: ``groups`` (also inherited) is only in userinfo,
``groups_direct`` only in the ID token, and empty claims are omitted.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import identity_of
from portal.sign_in.provider_types.base import REQUIRED, Option, ProviderLocation, ProviderType

_MEMBERSHIPS: Final = ("groups_direct", "groups")
_ROLES: Final = {
    f"https://gitlab.org/claims/groups/{role}": role
    for role in (
        "owner",
        "maintainer",
        "developer",
    )
}


def read_gitlab(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in GitLab's claims.

    The lists are read once and not stored: members of a large group inherit hundreds of paths, in several claims.
    """
    groups = frozenset[str]().union(*(values.names(claims.get(name)) for name in _MEMBERSHIPS))
    unread = sum(values.unread(claims.get(name)) for name in _MEMBERSHIPS)
    rest = {name: value for name, value in claims.items() if name not in {*_MEMBERSHIPS, *_ROLES}}
    affiliation = Affiliation(groups=groups, groups_left_out=unread, roles=frozenset(_roles(claims)))
    return identity_of(rest, spec=spec, affiliations=[affiliation])


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the person's top-level groups; a member of only a subgroup may be a guest there."""
    return frozenset(path for path in identity.affiliations[0].groups if "/" not in path)


def _roles(claims: Mapping[str, object]) -> Iterator[str]:
    for claim, role in _ROLES.items():
        for path in values.names(claims.get(claim)):
            yield f"{path}:{role}"


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    return ProviderLocation(issuer=options["domain"])


GITLAB: Final = ProviderType(
    id="gitlab",
    label="GitLab",
    flow="openid",
    read=read_gitlab,
    locate=_locate,
    options=(
        Option(
            key="domain",
            variable="OAUTH_GITLAB_DOMAIN",
            meaning="GitLab's address, with its path if it has one.",
            example="gitlab.example.com",
            default=REQUIRED,
            form="base",
        ),
    ),
    variables="OAUTH_GITLAB",
    source_claims={"groups": _MEMBERSHIPS, "roles": tuple(_ROLES)},
    claim_scopes={"groups": (), "roles": ()},
    unique_handles=True,
    login_hint=None,
    # GitLab answers select_account with an error: it has no page for it.
    prompts=frozenset({"none", "login", "consent"}),
    organisations=organisations_of,
    organisations_ignore_case=True,
    organisations_are_groups=True,
)
