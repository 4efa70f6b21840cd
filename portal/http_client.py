"""HTTP clients for the portal's own calls, with the proxy and certificates that ``portal.contract.egress`` decides."""

from dataclasses import dataclass
from functools import cache, partial
from ssl import SSLContext
from typing import TypedDict

import httpx

from portal.contract.call_errors import describe_call_error
from portal.contract.egress import Egress, tls_context


class ClientKeywords(TypedDict):
    """Keywords of httpx's clients."""

    proxy: httpx.Proxy | None
    trust_env: bool
    verify: SSLContext | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Proxy and TLS of calls to one address."""

    proxy: str | None
    tls: SSLContext | None
    """``None`` for plain http."""

    def keywords(self) -> ClientKeywords:
        """Return the keywords for a client that reads nothing from the environment."""
        speaks_tls = self.proxy is not None and self.proxy.startswith("https://")
        proxy = None if self.proxy is None else httpx.Proxy(self.proxy, ssl_context=self.tls if speaks_tls else None)
        return ClientKeywords(proxy=proxy, trust_env=False, verify=False if self.tls is None else self.tls)

    def describe_error(self, error: BaseException) -> str:
        """Return in a few words why a call failed."""
        return describe_call_error(error, proxy=self.proxy)


def client_settings_for(url: str, egress: Egress, *, is_internal: bool) -> ClientSettings:
    """Return the settings for *url*; *is_internal*: an address of the internal network, which no proxy leads to.

    Raises:
        NotABundle: the authorities cannot be read.
        NotAProxy: the proxy cannot be used.
    """
    proxy = None if is_internal else egress.proxy_for(url)
    return ClientSettings(proxy=proxy, tls=tls_of(egress) if url.startswith("https://") else None)


@cache
def tls_of(egress: Egress) -> SSLContext:
    """Return the context for TLS connections; cached, since making one takes some 20 ms.

    Raises:
        NotABundle: the authorities cannot be read.
    """
    return tls_context(egress, public=partial(httpx.create_ssl_context, trust_env=False))
