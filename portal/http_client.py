"""HTTP clients for the portal's own calls, with the proxy and certificates that ``portal.contract.egress`` decides."""

from dataclasses import dataclass
from functools import cache, partial
from ssl import SSLContext
from typing import TypedDict

import httpx

from portal.contract.call_errors import call_fault
from portal.contract.egress import Egress, tls_context


class Keywords(TypedDict):
    """Keywords of httpx's clients."""

    proxy: httpx.Proxy | None
    trust_env: bool
    verify: SSLContext | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How one address is called."""

    proxy: str | None
    tls: SSLContext | None
    """``None`` where there is no TLS, so that nothing is verified, because nothing can be."""

    def keywords(self) -> Keywords:
        """Return what clients are made with; nothing is read from the environment at a call."""
        speaks_tls = self.proxy is not None and self.proxy.startswith("https://")
        through = None if self.proxy is None else httpx.Proxy(self.proxy, ssl_context=self.tls if speaks_tls else None)
        return Keywords(proxy=through, trust_env=False, verify=False if self.tls is None else self.tls)

    def fault(self, error: BaseException) -> str:
        """Return in a few words why a call failed."""
        return call_fault(error, proxy=self.proxy)


def client_settings_for(url: str, egress: Egress, *, is_internal: bool) -> ClientSettings:
    """Return how *url* is called; *is_internal*: it was given as an address of our own network, so directly.

    Raises:
        NotABundle: the authorities cannot be read.
        NotAProxy: the proxy cannot be used.
    """
    proxy = None if is_internal else egress.proxy_for(url)
    return ClientSettings(proxy=proxy, tls=tls_of(egress) if url.startswith("https://") else None)


@cache
def tls_of(egress: Egress) -> SSLContext:
    """Return what TLS connections are opened with; made once, in some 20 ms, as the configuration is read once.

    Raises:
        NotABundle: the authorities cannot be read.
    """
    return tls_context(egress, public=partial(httpx.create_ssl_context, trust_env=False))
