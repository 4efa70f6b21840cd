"""The guard's settings: the portal's address, the app, and its client secret.

Read once, from a mapping; all problems are reported together, and no secret is ever shown.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from portal.contract import NotANetwork, TrustedProxies, is_loopback_url, read_network, takes_secure_cookies
from portal.contract.egress import Egress, NotABundle, NotAProxy, count_authorities, read_egress
from portal.contract.slugs import RULE, is_slug

Cookies = Literal["lax", "partitioned"]

MIN_SECRET: Final = 16
"""Shortest client secret accepted, in characters."""
_MAX_SECRET: Final = 4096
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


class GuardSettingsError(Exception):
    """The environment does not describe a guard that is safe to start."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """One app, its portal, and the secret between them."""

    portal_url: str
    """The portal's address for browsers, without a trailing slash; also the ``iss`` of every ticket."""
    app: str
    """The app's slug; also the ``aud`` of its tickets."""
    app_url: str
    """The app's address for browsers, without a trailing slash; may have a path."""
    secret: str = field(repr=False)
    """The app's client secret at the portal."""
    portal_internal_url: str | None = None
    """The portal's address for the guard's calls; ``None`` means :attr:`portal_url`."""
    title: str = ""
    """The app's name on pages; if empty, the slug."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Reverse proxies whose ``X-Forwarded-For`` is trusted, besides those on this machine."""
    egress: Egress = field(default_factory=Egress)
    """Outbound proxy and trusted certificate authorities."""
    cookies: Cookies = "lax"
    """``lax`` where portal and app are the same site, ``partitioned`` where they are not."""

    shared_files: bool = False
    """Whether files of Gradio's cache without a known owner are served to everybody in the app."""

    @property
    def portal_origin(self) -> str:
        """Scheme, host and port of :attr:`portal_url`, as browsers write it."""
        return origin_of(self.portal_url)

    @property
    def app_origin(self) -> str:
        """Scheme, host and port of :attr:`app_url`, as browsers write it."""
        return origin_of(self.app_url)

    @property
    def path(self) -> str:
        """Path of :attr:`app_url`: empty, or with a leading and no trailing slash."""
        return urlsplit(self.app_url).path.rstrip("/")

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, from :attr:`app_url`."""
        return urlsplit(self.app_url).scheme

    @property
    def hosts(self) -> frozenset[bytes]:
        """Values of ``Host`` that mean this app, in lower case."""
        authority = self.app_origin.partition("://")[2]
        parts = urlsplit(self.app_origin)
        if parts.port is None:
            return frozenset({authority.encode("ascii"), f"{authority}:{_DEFAULT_PORTS[parts.scheme]}".encode("ascii")})
        return frozenset({authority.encode("ascii")})

    @property
    def call_url(self) -> str:
        """The portal's address for the guard's calls."""
        return self.portal_internal_url or self.portal_url

    @property
    def call_headers(self) -> dict[str, str]:
        """Headers of every call to the portal: its public ``Host``, which it requires."""
        return {"host": self.portal_origin.partition("://")[2]} if self.portal_internal_url else {}

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers accept ``Secure`` cookies at :attr:`app_url`."""
        return takes_secure_cookies(self.app_url)

    @property
    def cookie_name(self) -> str:
        """Name of the app-session cookie, with the strongest prefix its address allows (RFC 6265bis, 4.1.3)."""
        name = f"portal-app-{self.app}"
        if not self.secure_cookies:
            return name
        return f"__Secure-{name}" if self.path else f"__Host-{name}"

    @property
    def name(self) -> str:
        """The app's name on pages."""
        return self.title or self.app


def guard_settings_from(environ: Mapping[str, str]) -> GuardSettings:
    """Read the guard's settings from *environ*; a secret given by descriptor is read once and the descriptor closed.

    Raises:
        GuardSettingsError: names every missing or unsafe value at once.
    """
    problems: list[str] = []
    portal_url = _url(environ, "PORTAL_URL", problems, path=False)
    internal = (
        _url(environ, "PORTAL_INTERNAL_URL", problems, path=False) if environ.get("PORTAL_INTERNAL_URL") else None
    )
    app_url = _url(environ, "PORTAL_APP_URL", problems, path=True)
    app = environ.get("PORTAL_APP", "")
    if not is_slug(app):
        problems.append(f"PORTAL_APP: not an app's name. Give the slug: {RULE}.")
    secret = _secret(environ, problems)
    settings = GuardSettings(
        portal_url=portal_url,
        portal_internal_url=internal,
        app=app,
        app_url=app_url,
        title=environ.get("PORTAL_APP_TITLE", ""),
        secret=secret,
        trusted_proxies=_proxies(environ, problems),
        egress=_egress(environ, problems, called=internal or portal_url, is_internal=internal is not None),
        cookies="partitioned" if environ.get("PORTAL_APP_COOKIES") == "partitioned" else "lax",
        shared_files=environ.get("PORTAL_APP_SHARED_FILES") == "true",
    )
    if environ.get("PORTAL_APP_COOKIES", "lax") not in {"lax", "partitioned", ""}:
        problems.append("PORTAL_APP_COOKIES: not known. Use lax (portal and app on one site) or partitioned.")
    if environ.get("PORTAL_APP_SHARED_FILES", "") not in {"", "true", "false"}:
        problems.append("PORTAL_APP_SHARED_FILES: not known. Use true or false.")
    if not problems and settings.cookies == "partitioned" and not settings.secure_cookies:
        problems.append("PORTAL_APP_COOKIES: partitioned cookies need https. Use an https PORTAL_APP_URL.")
    if not problems and settings.portal_origin == settings.app_origin and not settings.path:
        problems.append("PORTAL_APP_URL: is the portal's own address. Give the app an address of its own.")
    if problems:
        raise GuardSettingsError(problems)
    return settings


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url* as browsers write an origin: lower case, no default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _url(environ: Mapping[str, str], name: str, problems: list[str], *, path: bool) -> str:
    value = environ.get(name, "").rstrip("/")
    if not value:
        problems.append(f"{name}: missing. Set it to the address, for example https://portal.example.com.")
        return ""
    try:
        parts = urlsplit(value)
        usable = _is_plain_http(parts, path=path) and value.isascii() and value.isprintable() and " " not in value
    except ValueError:  # the port is not a number, or half an IPv6 address
        usable = False
    if not usable:
        problems.append(f"{name}: not an address that can be used here. Give scheme, host and port only.")
        return ""
    if parts.scheme != "https" and not is_loopback_url(value):
        problems.append(f"{name}: plain http outside this machine. Use https.")
    return value


def _is_plain_http(parts: SplitResult, *, path: bool) -> bool:
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.port == 0:
        return False
    if parts.username is not None or parts.query or parts.fragment:
        return False
    return bool(_PATH.fullmatch(parts.path)) if path else not parts.path


def _proxies(environ: Mapping[str, str], problems: list[str]) -> TrustedProxies:
    networks = []
    for text in environ.get("PORTAL_TRUSTED_PROXIES", "").replace(",", " ").split():
        try:
            networks.append(read_network(text))
        except NotANetwork as error:
            problems.append(f"PORTAL_TRUSTED_PROXIES: names {text!r}, which {error}. Name your own web servers.")
    return TrustedProxies(tuple(networks))


def _egress(environ: Mapping[str, str], problems: list[str], *, called: str, is_internal: bool) -> Egress:
    """Return proxy and authorities; their errors are problems only if the call to the address *called* uses them."""
    own = environ.get("PORTAL_CA_FILE", "").strip()
    egress = read_egress(environ, authorities=Path(own) if own else None)
    if not called or is_loopback_url(called):
        return egress
    bundles = {"PORTAL_CA_FILE": egress.authorities, egress.bundle_name: egress.bundle}
    for name, bundle in bundles.items():
        try:
            if bundle is not None:
                count_authorities(bundle)
        except NotABundle as error:
            problems.append(f"{name}: names what {error}. Fix the path, or leave it out.")
    try:
        if not is_internal:
            egress.proxy_for(called)
    except NotAProxy as error:
        problems.append(f"{egress.proxy_name}: {error}. Write it as http://proxy.example.com:3128, or use NO_PROXY.")
    return egress


def _secret(environ: Mapping[str, str], problems: list[str]) -> str:
    sources: dict[str, Callable[[str], str]] = {
        "PORTAL_APP_SECRET": lambda value: value,
        "PORTAL_APP_SECRET_FILE": lambda value: Path(value).read_text(encoding="utf-8-sig"),
        "PORTAL_APP_SECRET_FD": _read_descriptor,
    }
    names = [name for name in sources if environ.get(name)]
    if len(names) != 1:
        problems.append("PORTAL_APP_SECRET: give exactly one of it, PORTAL_APP_SECRET_FILE and PORTAL_APP_SECRET_FD.")
        return ""
    try:
        secret = sources[names[0]](environ[names[0]]).strip()
    except (OSError, ValueError):  # the error is not shown: it may quote the secret
        problems.append(f"{names[0]}: cannot be read. Check that it exists, is readable, and is UTF-8 text.")
        return ""
    if not MIN_SECRET <= len(secret) <= _MAX_SECRET:
        problems.append(f"{names[0]}: too short or too long. Use the secret that the portal created for this app.")
    return secret


def _read_descriptor(value: str) -> str:
    with os.fdopen(int(value), "rb") as pipe:
        return pipe.read(_MAX_SECRET + 1).decode("utf-8")
