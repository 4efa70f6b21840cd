"""GitHub, and GitHub Enterprise Server: plain OAuth 2.0, with an API that identifies the person.

Organisations and teams are groups, by name (``example-org``, ``example-org/ml-admins``) and by number (``org:99001``,
``team:555``): someone else can take over a name, but not a number.  An organisation that hides its members from the
portal is silently missing, so absence proves nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from portal.errors import CallbackRejected
from portal.rules.identity import Affiliation, Identity, VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import identity_of
from portal.sign_in.provider_types.base import (
    TRUNCATED,
    ApiCall,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
    at_userinfo,
)

_AUTHORIZE: Final = "/login/oauth/authorize"
_USER: Final = "/user"
_PAGES: Final = 10
"""Most pages, of a hundred entries each."""
_REFUSALS: Final = frozenset({403, 404})
"""Answers to a token without the scope, or to an app without permission; 401 means an invalid token."""


def read_github(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the answers ``user``, ``emails``, ``memberships`` and ``teams``.

    Raises:
        CallbackRejected: ``user`` has no numeric id.
    """
    user = values.members(claims.get("user"))
    number = user.get("id")
    if type(number) is not int or number <= 0:
        raise CallbackRejected("GitHub's user has no numeric id")
    # An invitation ("pending") is not a membership.
    active = [one for one in _entries(claims, "memberships") if one.get("state") == "active"]
    organisations = [values.members(one.get("organization")) for one in active]
    names = [name for one in organisations for name in _names(one, prefix="", key="login", numbered="org")]
    teams = [name for one in _entries(claims, "teams") for name in _team_names(one, organisations)]
    roles = [
        f"{login}:{role}"
        for one, organisation in zip(active, organisations, strict=True)
        if (login := values.identifier(organisation.get("login"))) and (role := values.identifier(one.get("role")))
    ]
    view = {
        "sub": str(number),
        "name": user.get("name"),
        "preferred_username": user.get("login"),
        "picture": user.get("avatar_url"),
        "organisations": names,
        **_address(claims, user),
    }
    return identity_of(
        {name: value for name, value in view.items() if value is not None},
        spec=spec,
        affiliations=[
            Affiliation(
                groups=frozenset((*names, *teams)),
                groups_left_out=len({"memberships", "teams"} & values.names(claims.get(TRUNCATED))),
                roles=frozenset(roles),
            ),
        ],
    )


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the organisations with an active membership, by name and as ``org:<number>``."""
    names = identity.claims.get("organisations")
    return frozenset(names) if type(names) is list else frozenset()


def _address(claims: Mapping[str, object], user: Mapping[str, object]) -> dict[str, object]:
    """Return the primary address if it is verified; else the public one, unverified."""
    for one in _entries(claims, "emails"):
        if one.get("primary") is True and one.get("verified") is True:
            return {"email": one.get("email"), "email_verified": True}
    return {"email": user.get("email"), "email_verified": False}


def _names(one: Mapping[str, object], *, prefix: str, key: str, numbered: str) -> Iterator[str]:
    """Yield the name of an organisation or team, and its number, if it has them."""
    if (name := values.identifier(one.get(key))) is not None:
        yield f"{prefix}{name}"
    if type(number := one.get("id")) is int:
        yield f"{numbered}:{number}"


def _team_names(team: Mapping[str, object], organisations: list[Mapping[str, object]]) -> Iterator[str]:
    """Yield the names of *team*, if it is one of an organisation with an active membership."""
    of = values.members(team.get("organization"))
    login = values.identifier(of.get("login"))
    if login is not None and any(type(of.get("id")) is int and of["id"] == one.get("id") for one in organisations):
        yield from _names(team, prefix=f"{login}/", key="slug", numbered="team")


def _entries(claims: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    answer = claims.get(name)
    return [one for one in answer if type(one) is dict] if type(answer) is list else []


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    """Return where GitHub is: github.com, the server ``domain``, or the three addresses."""
    names = ("auth_url", "token_url", "user_info_url")
    configured = [name for name in names if name in options]
    if "domain" in options:
        if configured:
            raise UnusableOption("domain", f"is set beside {configured[0]}.", "Write one of the two.")
        base = options["domain"]
        authorize, token, user = f"{base}{_AUTHORIZE}", f"{base}/login/oauth/access_token", f"{base}/api/v3{_USER}"
    elif configured:
        missing = [name for name in names if name not in options]
        if missing:
            raise UnusableOption(missing[0], "is missing beside the others.", "Set all three addresses of the server.")
        authorize, token, user = (options[name] for name in names)
    else:
        base = "https://github.com"
        authorize, token, user = (
            f"{base}{_AUTHORIZE}",
            f"{base}/login/oauth/access_token",
            f"https://api.github.com{_USER}",
        )
    if not authorize.endswith(_AUTHORIZE):
        raise UnusableOption("auth_url", f"does not end in {_AUTHORIZE}.", "Write the server's own address.")
    if not user.endswith(_USER):
        raise UnusableOption("user_info_url", f"does not end in {_USER}.", "Write https://<server>/api/v3/user.")
    return ProviderLocation(
        issuer=authorize.removesuffix("/authorize"),
        endpoints=Endpoints(authorize=authorize, token=token, userinfo=user),
    )


GITHUB: Final = ProviderType(
    id="github",
    label="GitHub",
    flow="oauth2",
    read=read_github,
    locate=_locate,
    options=(
        Option(
            key="domain",
            meaning="The GitHub Enterprise Server.",
            example="github.example.com",
            default="github.com",
            form="base",
        ),
        Option(
            key="auth_url",
            variable="OAUTH_GITHUB_AUTH_URL",
            meaning="Enterprise Server's authorization endpoint; set all three addresses.",
            example="https://github.example.com/login/oauth/authorize",
            default="github.com's",
            form="endpoint",
        ),
        Option(
            key="token_url",
            variable="OAUTH_GITHUB_TOKEN_URL",
            meaning="Enterprise Server's token endpoint.",
            example="https://github.example.com/login/oauth/access_token",
            default="github.com's",
            form="endpoint",
        ),
        Option(
            key="user_info_url",
            variable="OAUTH_GITHUB_USER_INFO_URL",
            meaning="Enterprise Server's API for the user; e-mail addresses, organisations and teams are below it.",
            example="https://github.example.com/api/v3/user",
            default="github.com's",
            form="endpoint",
        ),
    ),
    variables="OAUTH_GITHUB",
    scopes=("user:email", "read:org"),
    source_claims={"groups": ("memberships", "teams"), "roles": ("memberships",)},
    claim_scopes={
        "email": ("user:email", "user"),
        **dict.fromkeys(("groups", "organisations", "roles"), ("read:org", "write:org", "admin:org")),
    },
    token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
    unique_handles=True,
    login_hint="login",
    prompts=frozenset({"consent", "select_account"}),
    calls=(
        ApiCall(name="user", url=at_userinfo("")),
        ApiCall(name="emails", url=at_userinfo("/emails?per_page=100"), pages=_PAGES, refusals=_REFUSALS),
        ApiCall(
            name="memberships",
            url=at_userinfo("/memberships/orgs?state=active&per_page=100"),
            pages=_PAGES,
            refusals=_REFUSALS,
        ),
        ApiCall(name="teams", url=at_userinfo("/teams?per_page=100"), pages=_PAGES, refusals=_REFUSALS),
    ),
    organisations=organisations_of,
    organisations_ignore_case=True,
    organisations_are_groups=True,
    refresh=Refresh(by_access_token=True),
)
