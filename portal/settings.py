"""``Settings``: the whole configuration as one frozen object.

Reading it from ``portal.toml`` and the environment is ``portal.configuration``'s work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from portal.contract import takes_secure_cookies
from portal.contract.egress import Egress
from portal.contract.forwarded import Network, TrustedProxies
from portal.rules.catalogue import Catalogue
from portal.rules.policy import RoleRule

HOUR: Final = 3600
DAY: Final = 24 * HOUR
SIGN_INS_PER_MINUTE: Final = 600
RunBy: TypeAlias = Literal["portal", "systemd"]
PUBLIC_KEY_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
)
SHARED_SECRET_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
OLDER_NAMES: Final[Mapping[str, str]] = MappingProxyType({"EdDSA": "Ed25519"})
"""RFC 8037 has one name for two curves; RFC 9864 names the curve.  Of the two only this one is known here."""
SIGN_IN_HOOK: Final = "PORTAL_SIGN_IN_HOOK"
"""The variable that names the company's sign-in hook."""
SignInWay: TypeAlias = Literal["page", "direct"]


def algorithm_named(name: str) -> str:
    """Return the name by which the algorithm *name* goes here; itself where it has no other."""
    return OLDER_NAMES.get(name, name)


def _is_issuer_at(issuer: str, url: str) -> bool:
    """Say whether *issuer* can be one (OpenID Connect Discovery 1.0, section 3), and is at the origin of *url*."""
    if not issuer.isascii() or not issuer.isprintable() or not set("?#@\\ \"'<>").isdisjoint(issuer):
        return False
    try:
        return _origin_of(issuer) == _origin_of(url)
    except ValueError:
        return False


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


class Secret:
    """A string that shows itself only when asked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; never for a log, a page or an error."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """A provider's endpoints where they are known or configured by hand instead of discovered."""

    authorize: str
    token: str
    jwks: str | None = None
    """Where its signing keys are; ``None`` where it signs nothing (plain OAuth 2.0)."""
    userinfo: str | None = None
    end_session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who of a provider's people may come in; what is empty asks for nothing."""

    domains: frozenset[str] = frozenset()
    """Company domains, in lower case."""
    organisations: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


REGISTERED_CALLBACKS: Final = ("/auth/callback", "/auth/auth/callback", "/login/callback")
"""Callbacks that are registered from before there were several providers: the tutorial's two, and Hugging Face's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One place where people prove who they are."""

    id: str
    """Name in addresses, ``/auth/oauth/<id>``; lower-case letters, digits and hyphens."""
    label: str
    """What its button says, after "Continue with"."""
    provider_type: str
    """What is known of providers of its make: a key of ``portal.sign_in.provider_types.PROVIDER_TYPES``."""
    issuer: str
    """Exactly as the provider writes it in ``iss``; at a plain OAuth 2.0 provider, what its accounts are kept under."""
    issuer_of_document: bool = False
    """Whether :attr:`discovery` was written instead: its issuer counts, as far as :meth:`called` accepts it."""
    issuer_of_token: bool = False
    """Whether no issuer was written: the one found in an ID token counts then; :attr:`issuer` is its address."""
    issuers_of_others: frozenset[str] = field(default=frozenset(), compare=False)
    """Issuers that are written for other providers, and that metadata cannot claim for this one."""
    client_id: str
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    discovery: str | None = None
    """Where its metadata is; ``None``: below :attr:`issuer`."""
    endpoints: Endpoints | None = None
    """``None``: discovered."""
    redirect_uri: str | None = None
    """A callback that is registered already; ``None`` means that of :attr:`callback_path`."""
    chainlit_id: str | None = None
    """Chainlit's id of it, where that is no id here: what its callback and the sign-in hook go by."""
    token_endpoint_auth_method: str | None = None
    """``client_secret_basic``, ``client_secret_post`` or ``none``; ``None``: as discovery says, basic first."""
    algorithms: tuple[str, ...] = PUBLIC_KEY_ALGORITHMS
    """Signature algorithms accepted for ID tokens: asymmetric ones, or else HMAC with the client secret; never both."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    """Extra parameters of the authorization request."""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What its provider type was told besides, by the keys of the provider type's options; not the issuer."""
    admission: Admission = field(default_factory=Admission)
    assumes_email: bool = False
    """Whether an address of which the provider does not say whether it is verified counts as verified."""
    domains: frozenset[str] = frozenset()
    """Domains of e-mail addresses whose owners the sign-in page leads here; no condition for coming in."""
    hidden: bool = False
    """Whether the sign-in page has no button for it: strangers must not learn whose customers come here."""
    variables: tuple[str, ...] = field(default=(), compare=False)
    """The environment variables that turned it on; none where the file did."""

    @property
    def callback_path(self) -> str:
        """The path of the callback that is its alone, percent-encoded; Chainlit has none for a name with a slash."""
        named = self.chainlit_id
        return f"/auth/oauth/{self.id if named is None or '/' in named else quote(named, safe='')}/callback"

    def called(self, issuer: object) -> "ProviderSpec":
        """Return this with *issuer*, if the metadata whose address was written may say so; else as it is.

        It may name an issuer at its own origin that no other provider has: one operator serves an origin.
        Any other issuer is for the operator to write, because accounts are kept under it.
        """
        if not self.issuer_of_document or not isinstance(issuer, str) or issuer in self.issuers_of_others:
            return self
        if not _is_issuer_at(issuer, self.discovery or self.issuer):
            return self
        return replace(self, issuer=issuer, issuer_of_document=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the portal must know about its surroundings."""

    url: str
    """Where browsers reach the portal, without a trailing slash; also the ``iss`` of every ticket."""
    apps_url: str = ""
    """Where browsers reach apps that name no ``url`` of their own: a template over ``{app}`` and ``{port}``."""
    title: str = "Gradio Portal"
    secret_keys: tuple[Secret, ...] = ()
    """The first encrypts and signs; all decrypt and verify.  At least 32 characters each."""
    apps_port: int = 7810
    """First port given to apps that have a source and no port."""
    data_dir: Path = Path(".portal")
    """Folder of the embedded stores and the apps' logs; mode 0700."""
    database_url: Secret = field(default_factory=lambda: Secret("sqlite:///:memory:"))
    providers: tuple[ProviderSpec, ...] = ()
    roles: tuple[RoleRule, ...] = ()
    rights_of_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What each role may do at the portal's API."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    landing: tuple[str, ...] = ()
    """After sign-in: the first of these apps that the person may open; else the catalogue page."""
    idle_lifetime: int = 8 * HOUR
    """A sign-in ends after this many seconds without use."""
    absolute_lifetime: int = 30 * DAY
    """A sign-in ends after this many seconds, used or not."""
    sign_in_hook: str | None = None
    """The company's own rule for who may come in: ``package.module:function``."""
    sign_in: SignInWay = "page"
    """``direct``: strangers are sent straight to the only provider there is."""
    trust_apps: bool = False
    """Whether running the apps as the portal's own user was accepted."""
    user: str | None = None
    """User of this machine the portal's processes run as where root starts them; ``None``: whoever starts them."""
    app_uids: range | None = None
    """Numbers of users, one of which each app that names none of its own runs as."""
    apps_dir: Path | None = None
    """Folder of the folders of apps that run as users of their own; ``None`` means beside :attr:`data_dir`."""
    apps_run_by: RunBy = "portal"
    """Who starts the apps that have a source: ``portal serve``, or units of systemd."""
    security_contact: str | None = None
    """Where weaknesses are reported: a ``mailto:`` or ``https:`` address, for ``security.txt``."""
    sign_ins_per_minute: int = SIGN_INS_PER_MINUTE
    """How often one client address may ask for the sign-in page, the way to a provider, and callbacks, each."""
    rate_limit_storage: str = field(default="machine://", repr=False)
    """Where Flask-Limiter counts; may hold a password.  ``machine://``: in the data folder, all processes together."""
    internal_url: str | None = None
    """Where the supervised apps reach the portal; ``None`` means :attr:`url`."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Web servers whose ``X-Forwarded-For`` portal and guards believe."""
    egress: Egress = field(default_factory=Egress)
    """The way out: the proxy, and whose certificates are believed."""
    metrics_from: tuple[Network, ...] = (ip_network("127.0.0.1"), ip_network("::1"))
    """Who may read ``/metrics``; nobody where it is empty."""
    site: str | None = None
    """The registrable domain that portal and apps share, where the operator says so."""

    @property
    def origin(self) -> str:
        """Scheme, host and port of :attr:`url`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def homes(self) -> Path:
        """Where the folders of apps that run as users of their own are."""
        # Beside the data folder and not in it: that one is closed to everybody but the portal.
        return self.apps_dir or self.data_dir.parent / f"{self.data_dir.name}-apps"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers accept ``Secure`` cookies, and so the ``__Host-`` prefix, at :attr:`url`."""
        return takes_secure_cookies(self.url)

    def callback_of(self, spec: ProviderSpec) -> str:
        """Return where browsers come back to from the provider *spec*, as it must be registered there."""
        return spec.redirect_uri or f"{self.url}{spec.callback_path}"

    def provider(self, provider_id: str) -> ProviderSpec | None:
        """Return the provider called *provider_id*, or ``None``."""
        return next((one for one in self.providers if one.id == provider_id), None)
