"""Signing out at the provider: OpenID Connect RP-Initiated Logout 1.0, section 2.

Pure.  Provider types that need other parameters have a function of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlencode

from portal.settings import ProviderSpec

MAX_URL: Final = 7500
"""Longest URL a browser is sent to, in characters; many web servers take no request line beyond 8190."""
NO_TOKEN: Final = "eyJhbGciOiJub25lIn0.e30."  # noqa: S105 - an empty, unsigned token
"""A placeholder hint: some provider types have a sign-out URL only with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutRequest:
    """What the provider must know about a sign-out."""

    end_session: str | None
    """The end-session endpoint, if the provider has one."""
    id_token_hint: str | None
    """``None``: there is none, or the provider could not verify it any more."""
    post_logout_redirect_uri: str
    state: str
    logout_hint: str | None = None
    """The person's name at the provider, for where the ID token is left out."""


SignOutRule: TypeAlias = Callable[[ProviderSpec, SignOutRequest], str | None]
"""Returns where to send the browser; ``None``: the provider has no sign-out."""


def standard_sign_out(spec: ProviderSpec, request: SignOutRequest) -> str | None:
    """Return the URL that signs a browser out at the end-session endpoint and sends it back.

    The hint is omitted if it would make the URL too long; the provider then asks the person.
    """
    if request.end_session is None:
        return None
    params = {
        "client_id": spec.client_id,
        "post_logout_redirect_uri": request.post_logout_redirect_uri,
        "state": request.state,
    }
    named = {} if request.logout_hint is None else {"logout_hint": request.logout_hint}
    without_hint = with_query(request.end_session, {**params, **named})
    if request.id_token_hint is None:
        return without_hint
    with_hint = with_query(request.end_session, {"id_token_hint": request.id_token_hint, **params})
    return with_hint if len(with_hint) <= MAX_URL else without_hint


def with_query(endpoint: str, params: dict[str, str]) -> str:
    """Return *endpoint* with *params* added to its query."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(params)}"
