"""Signing out at the provider: OpenID Connect RP-Initiated Logout 1.0, section 2.

Pure.  Providers that want other parameters get a function of their own beside this one, in their provider type.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlencode

from portal.settings import ProviderSpec

MAX_URL: Final = 7500
"""Longest URL a browser is sent to, in characters; many web servers take no request line beyond 8190."""
NO_TOKEN: Final = "eyJhbGciOiJub25lIn0.e30."  # noqa: S105 - an empty, unsigned token
"""Stands for a hint where nobody signs out: some providers say only with one where a sign-out would lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutRequest:
    """Somebody who signs out, as far as the provider must know."""

    end_session: str | None
    """The end-session endpoint, where the provider names one."""
    id_token_hint: str | None
    post_logout_redirect_uri: str
    state: str


SignOutRule: TypeAlias = Callable[[ProviderSpec, SignOutRequest], str | None]
"""Returns where to send the browser; ``None``: the provider has no such place."""


def standard_sign_out(spec: ProviderSpec, leaving: SignOutRequest) -> str | None:
    """Return the URL that signs a browser out at the end-session endpoint and sends it back.

    The hint is left out where it would make the URL too long; the provider then asks the person.
    """
    if leaving.end_session is None:
        return None
    params = {
        "client_id": spec.client_id,
        "post_logout_redirect_uri": leaving.post_logout_redirect_uri,
        "state": leaving.state,
    }
    without_hint = with_query(leaving.end_session, params)
    if leaving.id_token_hint is None:
        return without_hint
    with_hint = with_query(leaving.end_session, {"id_token_hint": leaving.id_token_hint, **params})
    return with_hint if len(with_hint) <= MAX_URL else without_hint


def with_query(endpoint: str, params: dict[str, str]) -> str:
    """Return *endpoint* with *params* after whatever query it has."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(params)}"
