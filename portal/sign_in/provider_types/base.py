"""What is known of one make of provider, as a record; what cannot be data is a pure function in it.

Nothing here makes a call.  ``portal.sign_in.providers`` does; these records say what to ask, where, and how to read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.provider_types.sign_out import SignOutRule

Flow: TypeAlias = Literal["openid", "oauth2"]
"""``openid``: an ID token proves who came.  ``oauth2``: nothing is signed; an API is asked with the access token."""
Form: TypeAlias = Literal["text", "base", "endpoint", "issuer", "expression"]
"""``base``: a host or URL, made a URL without a trailing slash; ``endpoint``, ``issuer``: a URL, to the letter;
``expression``: JMESPath over the claims."""
Reading: TypeAlias = Callable[[VerifiedClaims, ProviderSpec], Identity]
"""Raises ``CallbackRejected`` for claims that identify nobody."""
IssuerRule: TypeAlias = Callable[[object, Mapping[str, object], ProviderSpec], bool]
"""Whether what is named is the provider, given the other claims of an ID token; none of a callback (RFC 9207)."""

REQUIRED: Final = "required"
WELL_KNOWN: Final = "/.well-known/"
"""Where metadata is, below or within the address of the provider (RFC 8615)."""
DISCOVERY: Final = f"{WELL_KNOWN}openid-configuration"
"""OpenID Connect Discovery 1.0, section 4."""
TRUNCATED: Final = "portal:cut"
"""Stands among the claims for the names of answers that went on beyond what is asked for; no token can say it."""
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
"""OpenID Connect Core, section 3.1.2.1."""


class UnusableOption(Exception):
    """What a provider type was told leads nowhere."""

    def __init__(self, key: str, what: str, fix: str) -> None:
        super().__init__(f"{key}: {what}")
        self.key = key
        """The option's key."""
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing a provider of this make must or may be told, in its ``[[providers]]`` or by a variable."""

    key: str
    """In ``[[providers]]``, and in ``ProviderSpec.options``."""
    meaning: str
    example: str
    variable: str | None = None
    """The field's own name for it; ``None``: only in the file."""
    default: str = "none"
    """What holds where it is left out, in words; :data:`REQUIRED` where it must be said."""
    form: Form = "text"

    @property
    def required(self) -> bool:
        """Whether the provider cannot be used without it."""
        return self.default == REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLocation:
    """Where a provider is, worked out from its options."""

    issuer: str
    issuer_of_document: bool = False
    """Whether the issuer is what the metadata at :attr:`discovery` names; :attr:`issuer` is a guess then."""
    issuer_of_token: bool = False
    """Whether only ID tokens show the issuer, by :attr:`ProviderType.of_token`; :attr:`issuer` is then an address."""
    discovery: str | None = None
    """Where its metadata is, if not below the issuer."""
    endpoints: Endpoints | None = None
    """``None``: discovered."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()
    """What to ask for there besides the provider type's scopes, where nobody says which."""
    tenants: frozenset[str] = frozenset()
    """The only tenants whose people may come in, where the options name some; ``allowed_tenants`` can narrow them."""


CLAIM_OPTIONS: Final = (
    Option(
        key="groups_claim",
        meaning="Where the names of groups stand, as JMESPath over the claims.",
        example="groups[].groupId",
        default="groups",
        form="expression",
    ),
    Option(
        key="roles_claim",
        meaning="Where the names of roles stand, as JMESPath over the claims.",
        example="resource_access.portal.roles",
        default="roles",
        form="expression",
    ),
)
"""For provider types with groups and roles at the top of the claims: see ``claims.reading.named_claims``."""

Locate: TypeAlias = Callable[[Mapping[str, str]], ProviderLocation]
"""From the options by key, ``client_id`` among them, to the place.  Raises :class:`UnusableOption`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One question to a provider's API, asked with the access token.

    The answer stands among the claims under :attr:`name`, in place of whatever a token claimed by that name.
    """

    name: str
    url: Callable[[ProviderSpec], str]
    """Where to ask: worked out from the configuration only, never from a token."""
    body: Mapping[str, object] | None = None
    """Posted as JSON; ``None``: a GET."""
    wanted: Callable[[Mapping[str, object]], bool] = lambda _: True
    """Whether to ask at all, given the claims so far."""
    pages: int = 0
    """The answer is a list, continued by ``Link: …; rel="next"`` up to so many pages; 0: one object."""
    is_odata: bool = False
    """Whether the list stands in the member ``value``, continued by ``@odata.nextLink`` (OData JSON 4.01, 4.5.5)."""
    refusals: frozenset[int] = frozenset()
    """Status codes that mean that nothing is known, instead of failing the sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """How a refresh token is had, and what refreshing asks for."""

    scopes: tuple[str, ...] = ()
    """Scopes to ask for besides, such as ``offline_access``."""
    params: tuple[tuple[str, str], ...] = ()
    """Parameters of the authorization request, such as ``access_type=offline``."""
    repeats_scope: bool = False
    """Whether the refresh request must name the scopes again."""


def location_of_document(url: str) -> ProviderLocation:
    """Return the place that the metadata at *url* describe: its issuer counts."""
    before, _, after = url.partition(WELL_KNOWN)
    document = f"{before}{WELL_KNOWN}{after.rstrip('/')}"
    return ProviderLocation(issuer=before.rstrip("/"), issuer_of_document=True, discovery=document)


def is_document(url: str) -> bool:
    """Say whether *url*, written for an issuer, is the address of metadata."""
    return WELL_KNOWN in url.partition("?")[0]


TokenIssuer: TypeAlias = Callable[[ProviderSpec, object], ProviderSpec | None]
"""From the ``iss`` of a token that is not verified yet to the provider it would be of; ``None``: of none like it."""


def exact_issuer(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Say whether *named* is the configured issuer to the letter (OpenID Connect Core, section 3.1.3.7)."""
    del claims
    return named == spec.issuer


def at_userinfo(below: str) -> Callable[[ProviderSpec], str]:
    """Return what says an API's address: that of the userinfo endpoint, and *below* it a path or query."""

    def address(spec: ProviderSpec) -> str:
        if spec.endpoints is None or spec.endpoints.userinfo is None:
            raise ValueError(f"the provider {spec.id} has no address that says who somebody is")
        return f"{spec.endpoints.userinfo}{below}"

    return address


def domain_of_verified_email(identity: Identity) -> str | None:
    """Return what stands after the ``@`` of the address the provider vouches for, in lower case."""
    address = identity.verified_email
    return None if address is None else address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderType:
    """One make of provider."""

    id: str
    """Its name in ``type = "…"``, in addresses and in ``OAUTH_<ID>_PROMPT``: Chainlit's, where Chainlit has one."""
    label: str
    flow: Flow
    read: Reading
    """From what was verified or asked for to the identity."""
    locate: Locate
    options: tuple[Option, ...] = ()
    variables: str | None = None
    """Prefix of its ``…_CLIENT_ID`` and ``…_CLIENT_SECRET``; ``None``: no variables of its own turn it on."""
    name_variable: str | None = None
    """The variable that renames it; the name becomes its id, and stands in its callback as it is written."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    always_scopes: tuple[str, ...] = ()
    """Asked for whatever scopes are written: without them nobody could be told from anybody."""
    scopes_variable: str | None = None
    scopes_required: bool = False
    """Whether the scopes must be said where variables turn it on."""
    claim_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Per claim the scopes any one of which brings it there, besides the standard ones; none: it comes without."""
    source_claims: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """What groups and roles are read from there, where that goes by other names."""
    is_issuer: IssuerRule = exact_issuer
    is_key_issuer: Callable[[object, Mapping[str, object]], bool] | None = None
    """Whether a key may sign these claims, by the member ``issuer`` beside it; ``None``: that means nothing."""
    of_token: TokenIssuer | None = None
    """Where the keys are, if the configuration does not say the issuer; the token endpoint was reached by TLS."""
    caution: Callable[[ProviderSpec], tuple[str, str] | None] | None = None
    """What the configuration leaves unproved, and how to fix it; neither keeps anyone from signing in."""
    asks_userinfo: bool = True
    """Whether the userinfo endpoint has anything to say that the ID token has not."""
    issuers: frozenset[str] = frozenset()
    """Issuers that are this make's alone: in ``OPENID_PROVIDER_URL`` they mean it, and no other make may name one."""
    takes_endpoints: bool = False
    """Whether ``[providers.endpoints]`` may be written for it."""
    token_endpoint_auth_method: str | None = None
    """``None``: as discovery says, basic first."""
    pkce: bool = True
    """Whether to send a challenge (RFC 7636); only plain OAuth 2.0 providers that choke on it go without."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    login_hint: str | None = "login_hint"
    """The parameter that carries an address to sign in with; ``None``: it takes none."""
    prompts: frozenset[str] = PROMPTS
    """What it honours of ``prompt``; ``OAUTH_PROMPT``, which is said to all alike, is passed on only as far."""
    calls: tuple[ApiCall, ...] = ()
    """What to ask its API, in this order; a plain OAuth 2.0 provider says who somebody is in the first."""
    domain: Callable[[Identity], str | None] | None = domain_of_verified_email
    """The company domain an account belongs to; ``None``: it vouches for none."""
    organisations: Callable[[Identity], frozenset[str]] | None = None
    """The organisations somebody belongs to; ``None``: it knows none."""
    organisations_ignore_case: bool = False
    """Whether names that differ in case alone are one organisation's there."""
    organisations_are_groups: bool = False
    """Whether they stand among the groups, so that where groups are left out, organisations may be."""
    tenants: bool | tuple[str, str] = False
    """Whether it says which tenants somebody belongs to; or the option, and its value, with which it does."""
    groups: bool = True
    """Whether it says which groups somebody is in."""
    may_assume_email: bool = False
    """Whether ``email_verified = "assume"`` may be written: some of this make say nothing of an address."""
    unique_handles: bool = False
    """Whether no two accounts there have one ``preferred_username`` at a time."""
    sign_out: SignOutRule | None = None
    """Where a browser signs out there; ``None``: it has no such place."""
    refresh: Refresh | None = None
    """``None``: it gives no refresh token."""

    @property
    def client_id_variable(self) -> str:
        """The variable of its client id."""
        return f"{self.variables}_CLIENT_ID"

    @property
    def client_secret_variable(self) -> str:
        """The variable of its client secret."""
        return f"{self.variables}_CLIENT_SECRET"

    def has_tenants(self, options: Mapping[str, str]) -> bool:
        """Say whether a provider of this make that was told *options* says which tenants somebody belongs to."""
        if isinstance(self.tenants, bool):
            return self.tenants
        key, value = self.tenants
        return options.get(key) == value

    def own_variables(self) -> tuple[str, ...]:
        """Return every variable that is about this make alone; none where no variables turn it on."""
        if self.variables is None:
            return ()
        named = (self.name_variable, *(option.variable for option in self.options), self.scopes_variable)
        return (self.client_id_variable, self.client_secret_variable, *(name for name in named if name is not None))


def prompt_variable(provider_id: str) -> str:
    """Return the variable that says ``prompt`` for one provider alone."""
    return f"OAUTH_{provider_id.upper().replace('-', '_')}_PROMPT"
