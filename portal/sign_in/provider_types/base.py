"""The record of one provider type: data, and pure functions for what cannot be data.

Nothing here makes a call; ``portal.sign_in.providers`` does.  These records say what to ask, where, and how to read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.provider_types.sign_out import SignOutRule

Flow: TypeAlias = Literal["openid", "oauth2"]
"""``openid``: an ID token proves who signed in.  ``oauth2``: the answer of an API, called with the access token."""
Form: TypeAlias = Literal["text", "base", "endpoint", "issuer", "expression"]
"""``base``: a host or URL, turned into a URL without a trailing slash; ``endpoint``, ``issuer``: a URL, unchanged;
``expression``: JMESPath over the claims."""
Reading: TypeAlias = Callable[[VerifiedClaims, ProviderSpec], Identity]
"""Raises ``CallbackRejected`` for claims that identify no one."""
IssuerRule: TypeAlias = Callable[[object, Mapping[str, object], ProviderSpec], bool]
"""Tests an issuer, given the other claims of an ID token; a callback has none (RFC 9207)."""

REQUIRED: Final = "required"
WELL_KNOWN: Final = "/.well-known/"
"""The path of metadata, below or within the provider's address (RFC 8615)."""
DISCOVERY: Final = f"{WELL_KNOWN}openid-configuration"
"""OpenID Connect Discovery 1.0, section 4."""
TRUNCATED: Final = "portal:cut"
"""The claim with the names of answers that have more pages than are fetched; a token's own is removed."""
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
"""OpenID Connect Core, section 3.1.2.1."""


class UnusableOption(Exception):
    """An option of a provider type cannot be used."""

    def __init__(self, key: str, what: str, fix: str) -> None:
        super().__init__(f"{key}: {what}")
        self.key = key
        """The option's key."""
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of this provider type, in its ``[[providers]]`` or by a variable."""

    key: str
    """Its name in ``[[providers]]`` and in ``ProviderSpec.options``."""
    meaning: str
    example: str
    variable: str | None = None
    """The environment variable; ``None``: only in the file."""
    default: str = "none"
    """The default, in words; :data:`REQUIRED` if there is none."""
    form: Form = "text"

    @property
    def required(self) -> bool:
        """Whether the provider needs it."""
        return self.default == REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLocation:
    """A provider's addresses, worked out from its options."""

    issuer: str
    issuer_of_document: bool = False
    """Whether the metadata at :attr:`discovery` names the issuer; :attr:`issuer` is then a guess."""
    issuer_of_token: bool = False
    """Whether only ID tokens show the issuer, by :attr:`ProviderType.of_token`; :attr:`issuer` is then an address."""
    discovery: str | None = None
    """The address of its metadata, if not below the issuer."""
    endpoints: Endpoints | None = None
    """``None``: discovered."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()
    """Scopes besides the provider type's, if none are configured."""
    tenants: frozenset[str] = frozenset()
    """The only tenants whose people are admitted, if the options name some; ``allowed_tenants`` can narrow them."""


CLAIM_OPTIONS: Final = (
    Option(
        key="groups_claim",
        meaning="The names of groups, as JMESPath over the claims.",
        example="groups[].groupId",
        default="groups",
        form="expression",
    ),
    Option(
        key="roles_claim",
        meaning="The names of roles, as JMESPath over the claims.",
        example="resource_access.portal.roles",
        default="roles",
        form="expression",
    ),
)
"""For provider types with groups and roles at the top of the claims; see ``claims.reading.named_claims``."""

Locate: TypeAlias = Callable[[Mapping[str, str]], ProviderLocation]
"""Returns the addresses for options by key, ``client_id`` among them.  Raises :class:`UnusableOption`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request to a provider's API, with the access token.

    The answer is added to the claims under :attr:`name`, and replaces any claim of that name.
    """

    name: str
    url: Callable[[ProviderSpec], str]
    """Its address: from the configuration only, never from a token."""
    body: Mapping[str, object] | None = None
    """Posted as JSON; ``None``: a GET."""
    needed: Callable[[Mapping[str, object]], bool] = lambda _: True
    """Whether to call it, given the claims so far."""
    pages: int = 0
    """The answer is a list of at most this many pages, linked by ``Link: …; rel="next"``; 0: one object."""
    is_odata: bool = False
    """Whether the list is in ``value``, and pages are linked by ``@odata.nextLink`` (OData JSON 4.01, 4.5.5)."""
    refusals: frozenset[int] = frozenset()
    """Status codes with which the answer is omitted, instead of failing the sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """How people's claims are read again: with a refresh token, or another way."""

    scopes: tuple[str, ...] = ()
    """Additional scopes, such as ``offline_access``."""
    params: tuple[tuple[str, str], ...] = ()
    """Parameters of the authorization request, such as ``access_type=offline``."""
    repeats_scope: bool = False
    """Whether the refresh request must name the scopes again."""
    once: bool = False
    """Whether it gives one only where it asks for consent, usually at a person's first sign-in."""
    by_access_token: bool = False
    """Whether access tokens do not expire, so that its API can be asked again without a refresh token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """How a provider reports that a person has signed out there."""

    back_channel: bool = False
    """From server to server (OpenID Connect Back-Channel Logout 1.0)."""
    front_channel: bool = False
    """By a frame in the person's browser (OpenID Connect Front-Channel Logout 1.0)."""
    confirms: bool = False
    """Whether a logout token proves that the person is signed out there.  Others send one to the portal that asked for
    the sign-out even if the person declines it (npm ``oidc-provider``)."""
    omits_issuer: bool = False
    """Whether the frame's address names only the session, though section 3 requires ``iss`` beside it."""


def origin_option(options: Mapping[str, str], key: str) -> str:
    """Return the option *key*, read as a ``base``, which must be scheme and host only.

    Raises:
        UnusableOption: a path follows the host.
    """
    origin = options[key]
    if urlsplit(origin).path:
        raise UnusableOption(key, "has a path.", "Write only the host, like login.example.com.")
    return origin


def location_of_document(url: str) -> ProviderLocation:
    """Return the location for metadata at *url*, which names the issuer."""
    before, _, after = url.partition(WELL_KNOWN)
    document = f"{before}{WELL_KNOWN}{after.rstrip('/')}"
    return ProviderLocation(issuer=before.rstrip("/"), issuer_of_document=True, discovery=document)


def is_document(url: str) -> bool:
    """Return whether *url*, written for an issuer, is the address of metadata."""
    return WELL_KNOWN in url.partition("?")[0]


TokenIssuer: TypeAlias = Callable[[ProviderSpec, object], ProviderSpec | None]
"""Returns the provider with the ``iss`` of a token that is not verified yet; ``None``: it cannot have that issuer."""


def exact_issuer(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Return whether *named* is exactly the configured issuer (OpenID Connect Core, section 3.1.3.7)."""
    del claims
    return named == spec.issuer


def at_userinfo(below: str) -> Callable[[ProviderSpec], str]:
    """Return a function for an API's address: that of the userinfo endpoint, with the path or query *below*."""

    def address(spec: ProviderSpec) -> str:
        if spec.endpoints is None or spec.endpoints.userinfo is None:
            raise ValueError(f"the provider {spec.id} has no userinfo endpoint")
        return f"{spec.endpoints.userinfo}{below}"

    return address


def domain_of_verified_email(identity: Identity) -> str | None:
    """Return the domain of the verified address, in lower case."""
    address = identity.verified_email
    return None if address is None else address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderType:
    """One type of provider."""

    id: str
    """Its name in ``type = "…"``, in addresses and in ``OAUTH_<ID>_PROMPT``; Chainlit's name, if it has one."""
    label: str
    flow: Flow
    read: Reading
    """Returns the identity in verified claims and API answers."""
    locate: Locate
    options: tuple[Option, ...] = ()
    variables: str | None = None
    """Prefix of its ``…_CLIENT_ID`` and ``…_CLIENT_SECRET``; ``None``: no own variables turn it on."""
    name_variable: str | None = None
    """The variable that renames it; the name becomes its id, and is part of its callback, unchanged."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    always_scopes: tuple[str, ...] = ()
    """Scopes that are always requested: without them no one could be identified."""
    scopes_variable: str | None = None
    scopes_required: bool = False
    """Whether variables must set the scopes."""
    claim_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By claim, the scopes of which any one brings it, besides the standard ones; empty: none is needed."""
    source_claims: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """The claims that groups and roles are read from, if they have other names."""
    is_issuer: IssuerRule = exact_issuer
    is_key_issuer: Callable[[object, Mapping[str, object]], bool] | None = None
    """Tests whether a key may sign these claims, by the member ``issuer`` beside it; ``None``: it is ignored."""
    of_token: TokenIssuer | None = None
    """Finds the keys if the configuration has no issuer; the token came by TLS."""
    caution: Callable[[ProviderSpec], tuple[str, str] | None] | None = None
    """What the configuration leaves unproved, and how to fix it; neither keeps anyone from signing in."""
    asks_userinfo: bool = True
    """Whether userinfo may hold more than the ID token."""
    issuers: frozenset[str] = frozenset()
    """Issuers of this type alone: in ``OPENID_PROVIDER_URL`` they mean it, and no other type may have one."""
    takes_endpoints: bool = False
    """Whether ``[providers.endpoints]`` may be written for it."""
    token_endpoint_auth_method: str | None = None
    """``None``: as discovery says, basic first."""
    pkce: bool = True
    """Whether to send a challenge (RFC 7636); not for plain OAuth 2.0 providers that fail with one."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    login_hint: str | None = "login_hint"
    """The parameter for an address to sign in with; ``None``: there is none."""
    prompts: frozenset[str] = PROMPTS
    """Values of ``prompt`` that it supports; ``OAUTH_PROMPT``, which is for all providers, is limited to them."""
    calls: tuple[ApiCall, ...] = ()
    """Calls to its API, in this order; at a plain OAuth 2.0 provider the first identifies the person."""
    domain: Callable[[Identity], str | None] | None = domain_of_verified_email
    """Returns the company domain of an account; ``None``: it has none."""
    organisations: Callable[[Identity], frozenset[str]] | None = None
    """Returns the organisations of a person; ``None``: it has none."""
    organisations_ignore_case: bool = False
    """Whether organisation names are case-insensitive there."""
    organisations_are_groups: bool = False
    """Whether they are among the groups, so that missing groups may be organisations."""
    tenants: bool | tuple[str, str] = False
    """Whether it has tenants; or the option and its value with which it does."""
    groups: bool = True
    """Whether it has groups."""
    may_assume_email: bool = False
    """Whether ``email_verified = "assume"`` is allowed: some of this type do not send ``email_verified``."""
    unique_handles: bool = False
    """Whether no two accounts there have the same ``preferred_username`` at a time."""
    sign_out: SignOutRule | None = None
    """Returns where a browser signs out there; ``None``: it has no sign-out."""
    refresh: Refresh = Refresh()
    logout: Logout = Logout()

    @property
    def client_id_variable(self) -> str:
        """The variable of its client id."""
        return f"{self.variables}_CLIENT_ID"

    @property
    def client_secret_variable(self) -> str:
        """The variable of its client secret."""
        return f"{self.variables}_CLIENT_SECRET"

    def has_tenants(self, options: Mapping[str, str]) -> bool:
        """Return whether a provider of this type with *options* has tenants."""
        if isinstance(self.tenants, bool):
            return self.tenants
        key, value = self.tenants
        return options.get(key) == value

    def own_variables(self) -> tuple[str, ...]:
        """Return every variable of this type alone; none if no variables turn it on."""
        if self.variables is None:
            return ()
        optional = (self.name_variable, *(option.variable for option in self.options), self.scopes_variable)
        return (self.client_id_variable, self.client_secret_variable, *(name for name in optional if name is not None))


def prompt_variable(provider_id: str) -> str:
    """Return the variable for the ``prompt`` of one provider."""
    return f"OAUTH_{provider_id.upper().replace('-', '_')}_PROMPT"
