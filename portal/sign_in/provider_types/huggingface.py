"""Hugging Face: an account, its organisations, and the roles in those that the portal may see.

Organisations are groups, by name (``acme-ml``) and by id (``org:5e67…``): another organisation can take over a name,
but not an id.  Or, if configured, each is a tenant.  A membership with unmet conditions (single sign-on, a second
factor, an address) is ignored, in both formats: that of huggingface.js (``pendingSSO``, ``missingMFA``) and that of
huggingface_hub (``securityRestrictions``).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import identity_of
from portal.sign_in.provider_types.base import Option, ProviderLocation, ProviderType, UnusableOption

ISSUER: Final = "https://huggingface.co"
TENANTS: Final = "tenants"
_GROUPS: Final = "groups"
_CLAIMS: Final = ("orgs", "organizations")
"""Organisations are ``orgs`` in userinfo, and ``organizations`` in the hub's guide."""
# No colon and no slash: else a name could look like an id, or like a group within an organisation.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_ID: Final = re.compile(r"[0-9A-Za-z]{1,64}")


def read_huggingface(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Hugging Face's claims; only memberships in force count."""
    organisations = _in_force(*(claims.get(name) for name in _CLAIMS))
    view: dict[str, object] = {name: value for name, value in claims.items() if name not in {*_CLAIMS, "tenants"}}
    if spec.options.get("organisations_as") == TENANTS:
        view["tenants"] = {str(one["sub"]): _short(one) for one in organisations}
        affiliations = [_tenant(one) for one in organisations] or [Affiliation()]
        return identity_of(view, spec=spec, affiliations=affiliations)
    if organisations:
        view["orgs"] = [_short(one) for one in organisations]
    return identity_of(
        view,
        spec=spec,
        affiliations=[
            Affiliation(
                groups=frozenset(group for one in organisations for group in _groups(one)),
                roles=frozenset(
                    f"{name}:{role}" for one in organisations if (name := _name(one)) for role in _role(one)
                ),
            )
        ],
    )


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the person's organisations, by name and as ``org:<id>``."""
    return frozenset(group for one in identity.affiliations for group in one.groups if "/" not in group)


def _in_force(*lists: object) -> list[Mapping[str, object]]:
    """Return the organisations, sorted by id, that have an id and whose membership nothing restricts."""
    entries = [one for listed in lists if type(listed) is list for one in listed if type(one) is dict]
    sound = {sub: one for one in entries if (sub := _id(one)) is not None and not _is_restricted(one)}
    # An organisation that is listed twice must be in force in both.
    restricted = {_id(one) for one in entries if _is_restricted(one)}
    return [sound[sub] for sub in sorted(sound) if sub not in restricted]


def _is_restricted(one: Mapping[str, object]) -> bool:
    """Return whether any restriction is set, or has an unknown value."""
    flags = (one.get("pendingSSO"), one.get("missingMFA"))
    restrictions = one.get("securityRestrictions")
    return any(flag is not None and flag is not False for flag in flags) or (
        restrictions is not None and restrictions != []
    )


def _tenant(one: Mapping[str, object]) -> Affiliation:
    return Affiliation(
        tenant=str(one["sub"]),
        tenant_name=values.shown_name(one),
        groups=frozenset(_groups(one)),
        roles=frozenset(_role(one)),
    )


def _groups(one: Mapping[str, object]) -> Iterator[str]:
    """Yield name and id of an organisation, and of the resource groups within it."""
    name = _name(one)
    if name is not None:
        yield name
    yield f"org:{one['sub']}"
    inner = one.get("resourceGroups")
    for group in inner if type(inner) is list else []:
        if type(group) is not dict:
            continue
        if name is not None and (group_name := values.identifier(group.get("name"))) is not None:
            yield f"{name}/{group_name}"
        if (number := _id(group)) is not None:
            yield f"org:{one['sub']}/{number}"


def _role(one: Mapping[str, object]) -> Iterator[str]:
    if (role := values.identifier(one.get("roleInOrg"))) is not None:
        yield role


def _short(one: Mapping[str, object]) -> dict[str, object]:
    """Return the members of an organisation for rules; all of them would be too much to store."""
    members = {"sub": one["sub"], "preferred_username": _name(one), "roleInOrg": next(_role(one), None)}
    return {name: value for name, value in members.items() if value is not None}


def _name(one: Mapping[str, object]) -> str | None:
    name = one.get("preferred_username")
    return name if type(name) is str and _NAME.fullmatch(name) else None


def _id(one: Mapping[str, object]) -> str | None:
    sub = one.get("sub")
    return sub if type(sub) is str and _ID.fullmatch(sub) else None


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    org_ids = options.get("org_ids")
    if org_ids is not None and not all(map(_ID.fullmatch, org_ids.split(","))):
        raise UnusableOption(
            "org_ids", "is not the id of an organisation.", "Write the organisation's sub from userinfo, not its name."
        )
    if options.get("organisations_as", _GROUPS) not in {_GROUPS, TENANTS}:
        raise UnusableOption("organisations_as", "is neither of the two.", f'Write "{_GROUPS}" or "{TENANTS}".')
    return ProviderLocation(
        issuer=options.get("issuer", ISSUER),
        authorize_params=() if org_ids is None else (("orgIds", org_ids),),
    )


HUGGINGFACE: Final = ProviderType(
    id="huggingface",
    label="Hugging Face",
    flow="openid",
    read=read_huggingface,
    locate=_locate,
    options=(
        Option(
            key="org_ids",
            meaning="The id of the organisation people are asked to let the portal see (orgIds of the request).",
            example="5e67bdd61009063689407479",
        ),
        Option(
            key="organisations_as",
            meaning='How organisations are read: "groups", or "tenants" if each is a customer of its own.',
            example="tenants",
            default="groups",
        ),
        Option(
            key="issuer",
            meaning="Another hub than the public one.",
            example="https://hub.example.com",
            default=ISSUER,
            form="issuer",
        ),
    ),
    source_claims={"groups": _CLAIMS, "roles": _CLAIMS},
    claim_scopes={"groups": (), "organizations": (), "orgs": (), "roles": ()},
    issuers=frozenset({ISSUER}),
    unique_handles=True,
    login_hint=None,
    prompts=frozenset(),
    organisations=organisations_of,
    organisations_are_groups=True,
    tenants=("organisations_as", TENANTS),
)
