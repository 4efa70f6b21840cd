"""``Settings``: the whole configuration as one frozen object.

``portal.configuration`` reads it from ``portal.toml`` and the environment.
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
from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, CALLBACK, FRONT_CHANNEL_LOGOUT, provider_path

HOUR: Final = 3600
DAY: Final = 24 * HOUR
SIGN_INS_PER_MINUTE: Final = 600
STDOUT: Final = "stdout"
"""As :attr:`Settings.audit_log`."""
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
"""RFC 8037 has one name for two curves; RFC 9864 names the curve.  The portal knows only this one of the two."""
SIGN_IN_HOOK: Final = "PORTAL_SIGN_IN_HOOK"
"""The variable that names the company's sign-in hook."""
SignInMode: TypeAlias = Literal["page", "direct"]


def algorithm_named(name: str) -> str:
    """Return the portal's name of the algorithm *name*: a newer one, if it has one."""
    return OLDER_NAMES.get(name, name)


def _is_issuer_at(issuer: str, url: str) -> bool:
    """Return whether *issuer* is valid (OpenID Connect Discovery 1.0, section 3) and at the origin of *url*."""
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
    """A string that is shown by :meth:`reveal` only."""

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
    """A provider's endpoints, if they are known or configured instead of discovered."""

    authorize: str
    token: str
    jwks: str | None = None
    """Its signing keys; ``None`` if it signs nothing (plain OAuth 2.0)."""
    userinfo: str | None = None
    end_session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who of a provider's people may come in; an empty set is no condition."""

    domains: frozenset[str] = frozenset()
    """Company domains, in lower case."""
    organisations: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


REGISTERED_CALLBACKS: Final = ("/auth/callback", "/auth/auth/callback", "/login/callback")
"""Callbacks that people have already registered: the tutorial's two, and Hugging Face's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """A configured provider: a place where people prove who they are."""

    id: str
    """Name in addresses, ``/auth/oauth/<id>``; lower-case letters, digits and hyphens."""
    label: str
    provider_type: str
    """A key of ``portal.sign_in.provider_types.PROVIDER_TYPES``."""
    issuer: str
    """Exactly as the provider writes it in ``iss``; for plain OAuth 2.0, the name its accounts are stored under."""
    issuer_of_document: bool = False
    """Whether only :attr:`discovery` is configured: its issuer counts, if :meth:`with_issuer` accepts it."""
    issuer_of_token: bool = False
    """Whether no issuer is configured: the one in an ID token counts; :attr:`issuer` is an address then."""
    issuers_of_others: frozenset[str] = field(default=frozenset(), compare=False)
    """Issuers of other providers, which metadata cannot claim for this one."""
    client_id: str
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    discovery: str | None = None
    """Where its metadata is; ``None``: below :attr:`issuer`."""
    endpoints: Endpoints | None = None
    """``None``: discovered."""
    redirect_uri: str | None = None
    """A callback that is already registered; ``None``: that of :attr:`callback_path`."""
    chainlit_id: str | None = None
    """Chainlit's id of it, if that is not an id here: its callback and the sign-in hook use it."""
    token_endpoint_auth_method: str | None = None
    """``client_secret_basic``, ``client_secret_post`` or ``none``; ``None``: by the metadata, basic first."""
    algorithms: tuple[str, ...] = PUBLIC_KEY_ALGORITHMS
    """Signature algorithms accepted for ID tokens: asymmetric ones, or else HMAC with the client secret; never both."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    """Extra parameters of the authorization request."""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Options of its provider type by their keys, without the issuer."""
    admission: Admission = field(default_factory=Admission)
    assumes_email: bool = False
    """Whether an address counts as verified if the provider does not say whether it is."""
    domains: frozenset[str] = frozenset()
    """E-mail domains whose owners the sign-in page sends here; not a condition for coming in."""
    refresh: bool = True
    """Whether to ask for a refresh token, and to read people's claims again with it."""
    hidden: bool = False
    """Whether the sign-in page has no button for it, so that strangers do not learn whose customers come here."""
    variables: tuple[str, ...] = field(default=(), compare=False)
    """The environment variables that turned it on; empty if it is configured in the file."""

    @property
    def callback_path(self) -> str:
        """The path of its own callback, percent-encoded; Chainlit has none for a name with a slash."""
        name = self.chainlit_id
        return provider_path(self.id if name is None or "/" in name else quote(name, safe=""), CALLBACK)

    def with_issuer(self, issuer: object) -> "ProviderSpec":
        """Return this provider with the *issuer* of its metadata, if only their address is configured; else unchanged.

        Metadata may name an issuer at their own origin that no other provider has: one operator serves an origin.
        The operator must configure any other issuer, because accounts are stored under it.
        """
        if not self.issuer_of_document or not isinstance(issuer, str) or issuer in self.issuers_of_others:
            return self
        if not _is_issuer_at(issuer, self.discovery or self.issuer):
            return self
        return replace(self, issuer=issuer, issuer_of_document=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of ``[portal]`` with their defaults, and everything else the configuration holds.

    ``portal.configuration.portal_table.PortalSection`` says what the settings mean.  Durations are in seconds.
    """

    url: str
    """Without a trailing slash; also the ``iss`` of every ticket."""
    apps_url: str = ""
    title: str = "Gradio Portal"
    secret_keys: tuple[Secret, ...] = ()
    """The first encrypts and signs; all decrypt and verify.  At least 32 characters each."""
    apps_port: int = 7810
    data_dir: Path = Path(".portal")
    database_url: Secret = field(default_factory=lambda: Secret("sqlite:///:memory:"))
    providers: tuple[ProviderSpec, ...] = ()
    roles: tuple[RoleRule, ...] = ()
    rights_of_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What each role may do at the portal's API."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    landing: tuple[str, ...] = ()
    idle_lifetime: int = 8 * HOUR
    absolute_lifetime: int = 30 * DAY
    lifetime_without_refresh: int = 8 * HOUR
    refresh_interval: int = HOUR // 4
    audit_retention: int = 90 * DAY
    audit_log: str | None = None
    """:data:`STDOUT`, or the path of a file."""
    sign_in_hook: str | None = None
    """The company's own rule for who may come in: ``package.module:function``."""
    sign_in: SignInMode = "page"
    trust_apps: bool = False
    user: str | None = None
    app_uids: range | None = None
    apps_dir: Path | None = None
    """``None``: beside :attr:`data_dir`."""
    apps_run_by: RunBy = "portal"
    security_contact: str | None = None
    sign_ins_per_minute: int = SIGN_INS_PER_MINUTE
    rate_limit_storage: str = field(default="machine://", repr=False)
    """Where Flask-Limiter counts; may contain a password."""
    internal_url: str | None = None
    """``None``: :attr:`url`."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    egress: Egress = field(default_factory=Egress)
    """The proxy, and the certificate authorities to trust."""
    metrics_from: tuple[Network, ...] = (ip_network("127.0.0.1"), ip_network("::1"))
    site: str | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port of :attr:`url`."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def of_command(self) -> "Settings":
        """The same for a command, whose own output is no audit log."""
        return replace(self, audit_log=None) if self.audit_log == STDOUT else self

    @property
    def homes(self) -> Path:
        """Folder of the folders of apps that run as users of their own."""
        # Beside the data folder and not in it: only the portal may enter that one.
        return self.apps_dir or self.data_dir.parent / f"{self.data_dir.name}-apps"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers accept ``Secure`` cookies, and so the ``__Host-`` prefix, at :attr:`url`."""
        return takes_secure_cookies(self.url)

    def callback_of(self, spec: ProviderSpec) -> str:
        """Return the portal's callback for the provider *spec*, as it must be registered there."""
        return spec.redirect_uri or f"{self.url}{spec.callback_path}"

    def back_channel_logout_of(self, spec: ProviderSpec) -> str:
        """Return where the provider *spec* posts its logout tokens."""
        return f"{self.url}{provider_path(spec.id, BACK_CHANNEL_LOGOUT)}"

    def front_channel_logout_of(self, spec: ProviderSpec) -> str:
        """Return what the provider *spec* frames in the browser of a person who signs out there."""
        return f"{self.url}{provider_path(spec.id, FRONT_CHANNEL_LOGOUT)}"

    def provider(self, provider_id: str) -> ProviderSpec | None:
        """Return the provider with the id *provider_id*, or ``None``."""
        return next((one for one in self.providers if one.id == provider_id), None)
