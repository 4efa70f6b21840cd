"""Request and response headers: what an app may see, and what it may send.

One pass each way, on the bytes of the ASGI scope: this runs on every request.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from gradio_apps.runtime.guard.asgi import Scope
from gradio_apps.runtime.guard.cookies import CookieSeal, is_portal_cookie
from gradio_apps.runtime.guard.framing import without_frame_ancestors
from gradio_apps.runtime.guard.request_authorization import Presented
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import TrustedProxies
from portal.contract.forwarded import Address
from portal.contract.strict_transport import STRICT_TRANSPORT

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

# Gradio builds its root address from these, whoever sends them; the guard sets the address instead.
_FORGED: Final = frozenset({b"forwarded", b"x-gradio-server", b"x-real-ip", b"x-original-url", b"x-rewrite-url"})
_SINGLE: Final = frozenset(
    {b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"mcp-session-id", b"if-none-match"}
)
# These reach beyond the app: Clear-Site-Data deletes the cookies of the whole registrable domain, including the
# portal's; X-Accel-Redirect and X-Sendfile make the reverse proxy send its own files; others override Cache-Control in
# shared caches (RFC 9213), or set how long https is required, which the guard decides.
_DROPPED_ANSWERS: Final = frozenset(
    {
        b"cdn-cache-control",
        b"clear-site-data",
        b"service-worker-allowed",
        b"strict-transport-security",
        b"surrogate-control",
        b"x-accel-expires",
        b"x-accel-redirect",
        b"x-frame-options",
        b"x-sendfile",
    }
)


def read_request(
    method: str, headers: Iterable[tuple[bytes, bytes]], *, seal: CookieSeal
) -> tuple[Presented, RawHeaders]:
    """Return what authorization reads of a request, and the headers the app may see.

    A repeated single header is read as both values joined, which matches nothing: the app's server might read the
    other one.
    """
    single: dict[bytes, bytes] = {}
    cookies: list[bytes] = []
    visible: RawHeaders = []
    accepts_html = service_worker = False
    for name, value in headers:
        if name == b"cookie":
            cookies.append(value)
            continue
        if name in _FORGED or name.startswith(b"x-forwarded-"):
            continue
        if name in _SINGLE:
            single[name] = single[name] + b", " + value if name in single else value
        elif name == b"accept":
            accepts_html = accepts_html or b"text/html" in value
        elif name == b"service-worker":
            service_worker = True
        visible.append((name, value))
    sid = None
    if cookies:
        sid, rest = seal.read(b"; ".join(cookies))  # HTTP/2 may split it (RFC 9113, 8.2.3)
        if rest:
            visible.append((b"cookie", rest))
    dest = single.get(b"sec-fetch-dest")
    presented = Presented(
        method=method,
        host=single.get(b"host"),
        origin=single.get(b"origin"),
        fetch_site=single.get(b"sec-fetch-site"),
        fetch_mode=single.get(b"sec-fetch-mode"),
        fetch_dest=dest,
        accepts_html=accepts_html,
        service_worker=service_worker or dest == b"serviceworker",
        sid=sid,
        mcp_session=single.get(b"mcp-session-id"),
        if_none_match=single.get(b"if-none-match") if method in {"GET", "HEAD"} else None,
    )
    return presented, visible


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return all values of ``X-Forwarded-For`` in order, not validated."""
    return [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]


def strict_transport(settings: GuardSettings) -> RawHeaders:
    """Return ``Strict-Transport-Security`` for an app with an https address."""
    if settings.scheme != "https":
        return []
    return [(b"strict-transport-security", STRICT_TRANSPORT.encode("ascii"))]


def client_of(scope: Scope, trusted: TrustedProxies) -> Address | None:
    """Return the client's address, as far as the reverse proxies before it are *trusted*."""
    peer: tuple[str, int] | None = scope.get("client")
    return trusted.client_of(peer[0] if peer else None, forwarded_for(scope["headers"]))


class AnswerHeaders:
    """The headers of every answer of one app."""

    __slots__ = ("_frame_ancestors", "_path", "_transport")

    def __init__(self, settings: GuardSettings) -> None:
        self._path = settings.path.encode("ascii")
        self._transport = strict_transport(settings)
        # 'self': an app may frame its own pages; every ancestor up to the portal must be listed.
        self._frame_ancestors = (
            b"content-security-policy",
            f"frame-ancestors {settings.portal_origin} 'self'".encode("ascii"),
        )

    def of(self, headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
        """Return *headers* of an app's answer, made safe.

        Gradio reflects any ``Origin`` with credentials: those headers are removed.  A policy of the app stays beside
        the guard's, and browsers enforce both; only ``frame-ancestors`` is the guard's alone.
        """
        result: RawHeaders = []
        has_referrer_policy = False
        for name, value in headers:
            lower = name.lower()
            if lower.startswith(b"access-control-") or lower in _DROPPED_ANSWERS or lower == b"x-content-type-options":
                continue
            if lower == b"set-cookie":
                if _sets_portal_cookie(value):
                    continue
                value = _for_this_host(value)  # noqa: PLW2901 - the header as it goes out
            if lower == b"content-security-policy":
                value = without_frame_ancestors(value)  # noqa: PLW2901 - the header as it goes out
                if not value:
                    continue
            if lower == b"referrer-policy":
                has_referrer_policy = True
            if lower == b"location" and self._path:
                value = self._under_path(value)  # noqa: PLW2901 - the header as it goes out
            result.append((lower, value))
        result.append(self._frame_ancestors)
        result.append((b"x-content-type-options", b"nosniff"))
        result += self._transport
        if not has_referrer_policy:
            result.append((b"referrer-policy", b"same-origin"))
        return result

    def _under_path(self, target: bytes) -> bytes:
        """Return the redirect *target* under the app's path: apps and Gradio assume that they own the root."""
        if not target.startswith(b"/") or target.startswith((b"//", b"/\\")):
            return target
        rest = target.removeprefix(self._path)
        return target if rest != target and rest[:1] in {b"", b"/", b"?", b"#"} else self._path + target


def _sets_portal_cookie(value: bytes) -> bool:
    # "=portal-app-x=1" is a cookie without a name that comes back looking like one with (RFC 6265bis, 5.6)
    pair = value.partition(b";")[0].strip().lstrip(b"=")
    return is_portal_cookie(pair.partition(b"=")[0])


def _for_this_host(value: bytes) -> bytes:
    """Return a ``Set-Cookie`` *value* without ``Domain``: such a cookie would also go to the portal and other apps.

    Attributes are split as browsers do: at each semicolon, even within quotes (RFC 6265, section 5.2).
    """
    if b"domain" not in value.lower():
        return value
    pair, *attributes = value.split(b";")
    others = (one for one in attributes if one.partition(b"=")[0].strip().lower() != b"domain")
    return b";".join((pair, *others))
