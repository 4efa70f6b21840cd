"""The authorization request (RFC 6749, section 4.1.1), with state, nonce and PKCE."""

from typing import Final

from authlib.integrations.requests_client import OAuth2Session

from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.scopes import requested_scopes

_RESERVED: Final = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
"""Parameters of the authorization request that a configuration cannot change."""


def authorization_url(
    endpoint: str,
    attempt: Attempt,
    *,
    spec: ProviderSpec,
    login_hint: str | None,
    more_scopes: tuple[str, ...] = (),
) -> str:
    """Return the URL at *endpoint* that begins *attempt*; *more_scopes* are besides those of *spec*."""
    provider_type = type_of(spec)
    for_refresh = provider_type.refresh.params if spec.refresh else ()
    extra = {name: value for name, value in (*for_refresh, *spec.authorize_params) if name not in _RESERVED}
    if login_hint and provider_type.login_hint is not None:
        extra[provider_type.login_hint] = login_hint
    if provider_type.flow == "openid":
        extra["nonce"] = attempt.nonce
    # For any method but S256, Authlib silently omits PKCE.
    challenge = {"code_challenge_method": "S256"} if provider_type.pkce else {}
    with OAuth2Session(spec.client_id, **challenge) as session:
        url, _ = session.create_authorization_url(
            endpoint,
            state=attempt.state,
            code_verifier=attempt.code_verifier if provider_type.pkce else None,
            redirect_uri=attempt.redirect_uri,
            scope=" ".join((*requested_scopes(spec), *more_scopes)) or None,
            **extra,
        )
    return str(url)
