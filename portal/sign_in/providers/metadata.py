"""A provider's metadata: OpenID Connect Discovery 1.0, section 3, reduced to what the portal uses.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portal.contract import is_loopback_url
from portal.contract.truncation import quoted
from portal.errors import ProviderMisconfigured
from portal.settings import Endpoints
from portal.sign_in.provider_types.base import DISCOVERY

_MAX_URL: Final = 2048


class IssuerMismatch(ProviderMisconfigured):
    """The metadata is of another issuer than the configured one."""

    def __init__(self, message: str, *, named: str | None = None) -> None:
        super().__init__(message)
        self.named = named
        """The issuer in the metadata, if it could be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A provider's endpoints and abilities."""

    issuer: str
    endpoints: Endpoints
    token_auth_methods: frozenset[str] = frozenset({"client_secret_basic"})
    """Client authentication at the token endpoint; the default of Discovery, section 3."""
    names_itself: bool = False
    """Whether each callback carries ``iss`` (RFC 9207, section 3)."""
    signing_algorithms: frozenset[str] | None = None
    """Algorithms it lists for ID tokens; shown to operators, and never trusted.  ``None``: not listed."""
    challenge_methods: frozenset[str] | None = None
    """Of PKCE (RFC 8414, section 2); also only shown."""
    scopes: frozenset[str] | None = None
    """It may have more than it lists; also only shown."""


def discovery_url(issuer: str) -> str:
    """Return where the metadata of *issuer* is (Discovery, section 4)."""
    return issuer.rstrip("/") + DISCOVERY


def read_metadata(document: Mapping[str, object], *, issuer: str, needs: str | None = "jwks_uri") -> Metadata:
    """Return the metadata in *document*, which must be that of *issuer* to the letter.

    *needs* is an endpoint that must be there besides those for authorization and tokens.

    Raises:
        IssuerMismatch: it is the metadata of another issuer.
        ProviderMisconfigured: it lacks an endpoint, or names one that is not safe.
    """
    # Discovery, section 4.3: else one provider could act as another.
    named = document.get("issuer")
    if named != issuer:
        usable = named if isinstance(named, str) and is_safe_endpoint(named, issuer=issuer) else None
        raise IssuerMismatch(f"the metadata is of issuer {quoted(named)}, not of {issuer}", named=usable)
    endpoints = Endpoints(
        authorize=_required(document, "authorization_endpoint", issuer=issuer),
        token=_required(document, "token_endpoint", issuer=issuer),
        jwks=_optional(document, "jwks_uri", issuer=issuer),
        userinfo=_optional(document, "userinfo_endpoint", issuer=issuer),
        end_session=_optional(document, "end_session_endpoint", issuer=issuer),
    )
    if needs is not None:
        _required(document, needs, issuer=issuer)
    methods = _listed(document, "token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        endpoints=endpoints,
        token_auth_methods=frozenset({"client_secret_basic"}) if methods is None else methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        signing_algorithms=_listed(document, "id_token_signing_alg_values_supported"),
        challenge_methods=_listed(document, "code_challenge_methods_supported"),
        scopes=_listed(document, "scopes_supported"),
    )


def metadata_of(endpoints: Endpoints, *, issuer: str, needs: str | None) -> Metadata:
    """Return *endpoints*, known or configured by hand, as metadata; *needs* is as for :func:`read_metadata`.

    Raises:
        ProviderMisconfigured: one of them is missing or not safe.
    """
    written = {
        "issuer": issuer,
        "authorization_endpoint": endpoints.authorize,
        "token_endpoint": endpoints.token,
        "jwks_uri": endpoints.jwks,
        "userinfo_endpoint": endpoints.userinfo,
        "end_session_endpoint": endpoints.end_session,
    }
    return read_metadata(
        {name: value for name, value in written.items() if value is not None}, issuer=issuer, needs=needs
    )


def is_safe_endpoint(url: object, *, issuer: str) -> bool:
    """Return whether *url* may be called, or a browser sent there, on behalf of *issuer*.

    https everywhere; plain http on this machine only, and only for an issuer on this machine.  Else a provider's
    metadata could make the portal call its own neighbours.
    """
    if type(url) is not str or not 0 < len(url) <= _MAX_URL or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises if it is not a number
    except ValueError:
        return False
    # "http://localhost:80@evil.example" names another host than it seems to.
    if not host or "@" in parts.netloc or "\\" in url or " " in url or parts.fragment:
        return False
    if parts.scheme == "https":
        return True
    # Entra's issuer for several tenants is a template with braces.
    without_braces = issuer.replace("{", "").replace("}", "")
    return parts.scheme == "http" and is_loopback_url(url) and is_loopback_url(without_braces)


def _required(document: Mapping[str, object], name: str, *, issuer: str) -> str:
    url = document.get(name)
    if not isinstance(url, str) or not is_safe_endpoint(url, issuer=issuer):
        raise ProviderMisconfigured(f"{name} is {quoted(url)}: it must be an https URL")
    return url


def _optional(document: Mapping[str, object], name: str, *, issuer: str) -> str | None:
    return None if document.get(name) is None else _required(document, name, issuer=issuer)


def _listed(document: Mapping[str, object], name: str) -> frozenset[str] | None:
    """Return the texts in the list *name*; ``None`` if there is no such member."""
    if name not in document:
        return None
    values = document[name]
    return frozenset(one for one in values if isinstance(one, str)) if isinstance(values, list) else frozenset()
