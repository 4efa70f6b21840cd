"""HTTP client settings for calls to the portal; ``portal.contract.egress`` decides proxy and certificates."""

from dataclasses import dataclass
from functools import cache, partial
from ssl import SSLContext
from typing import TypedDict

import httpx

from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract.call_errors import describe_call_error
from portal.contract.egress import Egress, tls_context


class PortalClientKeywords(TypedDict):
    """Keywords of httpx's clients."""

    proxy: httpx.Proxy | None
    trust_env: bool
    verify: SSLContext | bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortalClientSettings:
    """Proxy and certificates; one object per process and portal, so that clients can be cached by it."""

    proxy: str | None
    tls: SSLContext | None
    """``None`` without TLS: then there is nothing to verify."""

    def keywords(self) -> PortalClientKeywords:
        """Return the keywords for clients; a call reads nothing from the environment."""
        speaks_tls = self.proxy is not None and self.proxy.startswith("https://")
        through = None if self.proxy is None else httpx.Proxy(self.proxy, ssl_context=self.tls if speaks_tls else None)
        return PortalClientKeywords(proxy=through, trust_env=False, verify=False if self.tls is None else self.tls)

    def problem(self, error: BaseException) -> str:
        """Return in a few words why a call failed."""
        return describe_call_error(error, proxy=self.proxy)


@cache
def client_settings(settings: GuardSettings) -> PortalClientSettings:
    """Return the settings for calls to the portal; an internal address is called without a proxy.

    Raises:
        NotABundle: the certificate authorities cannot be read.
        NotAProxy: the proxy cannot be used.
    """
    url = settings.call_url
    # A proxy of the environment is for the outside, not for the secret that goes to an internal address.
    proxy = None if settings.portal_internal_url is not None else settings.egress.proxy_for(url)
    return PortalClientSettings(proxy=proxy, tls=_tls(settings.egress) if url.startswith("https://") else None)


def _tls(egress: Egress) -> SSLContext:
    return tls_context(egress, public=partial(httpx.create_ssl_context, trust_env=False))
