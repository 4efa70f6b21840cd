"""What the portal must know about its surroundings, as one frozen object.

Reading it from ``portal.toml`` and the environment is ``portal.configuration``'s work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portal.catalogue import Catalogue
from portal.contract.forwarded import Network, TrustedProxies
from portal.policy import RoleRule

HOUR: Final = 3600
DAY: Final = 24 * HOUR


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
    """A provider's endpoints where they are configured by hand instead of discovered."""

    authorize: str
    token: str
    jwks: str
    userinfo: str | None = None
    end_session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """One place where people prove who they are."""

    id: str
    """Name in addresses, ``/auth/oauth/<id>``; lower-case letters, digits and hyphens."""
    label: str
    """What its button says, after "Continue with"."""
    kind: str
    """Which reading of claims applies: a key of ``portal.claims.READINGS``."""
    issuer: str
    """Exactly as the provider writes it in ``iss``."""
    client_id: str
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    endpoints: Endpoints | None = None
    """``None``: discovered from :attr:`issuer`."""
    redirect_uri: str | None = None
    """A callback that is registered already; ``None`` means ``<portal>/auth/oauth/<id>/callback``."""
    token_endpoint_auth_method: str | None = None
    """``client_secret_basic``, ``client_secret_post`` or ``none``; ``None``: as discovery says, basic first."""
    algorithms: tuple[str, ...] = (
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
    """Signature algorithms accepted for ID tokens; asymmetric ones only."""
    authorize_params: tuple[tuple[str, str], ...] = ()
    """Extra parameters of the authorization request."""


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
    data_dir: Path = Path("data")
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
    trust_apps: bool = False
    """Whether running the apps as the portal's own user was accepted."""
    rate_limit_storage: str = field(default="memory://", repr=False)
    """Where Flask-Limiter counts; may hold a password."""
    internal_url: str | None = None
    """Where the supervised apps reach the portal; ``None`` means :attr:`url`."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Web servers whose ``X-Forwarded-For`` portal and guards believe."""
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
    def secure_cookies(self) -> bool:
        """Whether browsers accept ``Secure`` cookies, and so the ``__Host-`` prefix, at :attr:`url`.

        Chromium and Firefox take them over plain HTTP for names under ``.localhost``;
        for bare loopback addresses Safari does not, so those go without.
        """
        parts = urlsplit(self.url)
        return parts.scheme == "https" or (parts.hostname or "").endswith(".localhost")

    def provider(self, provider_id: str) -> ProviderSpec | None:
        """Return the provider called *provider_id*, or ``None``."""
        return next((one for one in self.providers if one.id == provider_id), None)
