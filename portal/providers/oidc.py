"""Sign-in at any OpenID Connect provider: authorization code flow with PKCE, state and nonce.

Authlib speaks the protocol; what it leaves unchecked is checked here and in the pure modules
beside this one.  The exceptions of Authlib and ``requests`` are translated here, once.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from portal.attempts import Attempt, new_attempt
from portal.claims import read_identity
from portal.errors import CallbackRejected, ProviderUnavailable
from portal.identity import VerifiedClaims
from portal.providers.base import Completed, quoted
from portal.providers.callback import read_code
from portal.providers.documents import read_object
from portal.providers.id_token import IdTokenProblem, IdTokenRejected, verify_id_token
from portal.providers.kept import Kept
from portal.providers.keys import PublicKey, read_keys
from portal.providers.metadata import Metadata, discovery_url, metadata_of, read_metadata
from portal.providers.sign_out import sign_out_url
from portal.providers.transport import DEFAULT_LIMITS, TRANSPORT_ERRORS, Budget, Limits, Transport
from portal.settings import ProviderSpec

SIGN_OUT_BUDGET: Final = 2.0
"""Seconds that a sign-out may wait for the provider's metadata."""

_OURS: Final = frozenset(
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
_OUR_FAULT: Final = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
"""Errors of the token endpoint that trying again does not mend (RFC 6749, section 5.2)."""
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})


class OidcProvider:
    """One OpenID Connect provider.  Safe to share between threads."""

    def __init__(
        self,
        spec: ProviderSpec,
        *,
        limits: Limits = DEFAULT_LIMITS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self._transport = Transport(limits)
        self._metadata = Kept(self._load_metadata, monotonic=monotonic)
        self._keys = Kept(self._load_keys, monotonic=monotonic)

    def begin(
        self, *, redirect_uri: str, return_to: str, now: int, login_hint: str | None = None
    ) -> tuple[str, Attempt]:
        """Return the URL of the authorization request, and what to remember until the callback."""
        metadata = self._metadata.get(budget=self._transport.budget())
        attempt = new_attempt(provider=self.spec.id, redirect_uri=redirect_uri, return_to=return_to, now=now)
        extra = {name: value for name, value in self.spec.authorize_params if name not in _OURS}
        if login_hint:
            extra["login_hint"] = login_hint
        # Anything but S256 would make Authlib leave PKCE out without a word.
        with OAuth2Session(self.spec.client_id, code_challenge_method="S256") as session:
            url, _ = session.create_authorization_url(
                metadata.authorize,
                state=attempt.state,
                code_verifier=attempt.code_verifier,
                nonce=attempt.nonce,
                redirect_uri=redirect_uri,
                scope=" ".join(dict.fromkeys(("openid", *self.spec.scopes))),
                **extra,
            )
        return str(url), attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> Completed:
        """Exchange the code of *callback* and return who has signed in."""
        if attempt.provider != self.spec.id or callback.get("state") != attempt.state:
            raise CallbackRejected("the callback is of another attempt")
        budget = self._transport.budget()
        metadata = self._metadata.get(budget=budget)
        code = read_code(callback, issuer=self.spec.issuer, names_itself=metadata.names_itself)
        access_token, id_token = self._exchange(code, attempt, metadata=metadata, budget=budget)
        claims = self._verified(id_token, attempt, access_token=access_token, now=now, budget=budget)
        if metadata.userinfo is not None:
            claims = self._with_userinfo(claims, url=metadata.userinfo, access_token=access_token, budget=budget)
        return Completed(identity=read_identity(claims, spec=self.spec), id_token=id_token)

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if it has no such place or is away."""
        try:
            metadata = self._metadata.get(budget=Budget(SIGN_OUT_BUDGET))
        except ProviderUnavailable:
            return None
        if metadata.end_session is None:
            return None
        return sign_out_url(
            metadata.end_session,
            client_id=self.spec.client_id,
            id_token_hint=id_token_hint,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
        )

    def reachable(self) -> str | None:
        """Return ``None`` if metadata and keys can be had, else a sentence on what is wrong."""
        budget = self._transport.budget()
        try:
            self._metadata.get(budget=budget)
            self._keys.get(budget=budget)
        except ProviderUnavailable as error:
            return f"{self.spec.label} ({self.spec.issuer}) cannot be used: {error}"
        return None

    def _load_metadata(self, budget: Budget) -> Metadata:
        if self.spec.endpoints is not None:
            return metadata_of(self.spec.endpoints, issuer=self.spec.issuer)
        document = self._transport.get_object(discovery_url(self.spec.issuer), budget=budget)
        return read_metadata(document, issuer=self.spec.issuer)

    def _load_keys(self, budget: Budget) -> tuple[PublicKey, ...]:
        return read_keys(self._transport.get_object(self._metadata.get(budget=budget).jwks, budget=budget))

    def _exchange(self, code: str, attempt: Attempt, *, metadata: Metadata, budget: Budget) -> tuple[str, str]:
        """Return access token and ID token for *code*."""
        secret = self.spec.client_secret
        with OAuth2Session(
            self.spec.client_id,
            None if secret is None else secret.reveal(),
            token_endpoint_auth_method=self._token_auth_method(metadata),
        ) as session:
            self._transport.bind(session, budget=budget)
            session.register_compliance_hook("access_token_response", _usable)
            try:
                answer: Mapping[str, object] = session.fetch_token(
                    metadata.token,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.code_verifier,
                    redirect_uri=attempt.redirect_uri,
                    allow_redirects=False,
                )
            except OAuthError as error:
                raise _refusal(error) from error
            except TRANSPORT_ERRORS as error:
                raise ProviderUnavailable(f"POST {metadata.token}: {type(error).__name__}") from error
        access_token, id_token = answer.get("access_token"), answer.get("id_token")
        if not isinstance(access_token, str) or str(answer.get("token_type")).lower() != "bearer":
            raise ProviderUnavailable("the token endpoint gave no bearer token")
        if not isinstance(id_token, str):  # without one nobody knows whom the access token is about
            raise CallbackRejected("the token endpoint gave no ID token")
        return access_token, id_token

    def _token_auth_method(self, metadata: Metadata) -> str:
        if self.spec.client_secret is None:
            return "none"
        if self.spec.token_endpoint_auth_method is not None:
            return self.spec.token_endpoint_auth_method
        basic, post = "client_secret_basic", "client_secret_post"
        return post if post in metadata.token_auth_methods and basic not in metadata.token_auth_methods else basic

    def _verified(
        self, id_token: str, attempt: Attempt, *, access_token: str, now: int, budget: Budget
    ) -> VerifiedClaims:
        def verified(keys: tuple[PublicKey, ...]) -> VerifiedClaims:
            return verify_id_token(
                id_token,
                keys=keys,
                issuer=self.spec.issuer,
                client_id=self.spec.client_id,
                algorithms=self.spec.algorithms,
                nonce=attempt.nonce,
                now=now,
                access_token=access_token,
            )

        keys = self._keys.get(budget=budget)
        try:
            return verified(keys)
        except IdTokenRejected as error:
            if error.problem is not IdTokenProblem.UNKNOWN_KEY:
                raise
            newer = self._keys.get_newer(keys, budget=budget)
            if newer is None:
                raise
        return verified(newer)

    def _with_userinfo(self, claims: VerifiedClaims, *, url: str, access_token: str, budget: Budget) -> VerifiedClaims:
        """Return *claims* over those of the userinfo endpoint, which must be about the same person."""
        headers = {"Authorization": f"Bearer {access_token}"}
        userinfo = self._transport.get_object(url, budget=budget, headers=headers)
        # OpenID Connect Core, section 5.3.4: else an access token of somebody else could be slipped in.
        if userinfo.get("sub") != claims["sub"]:
            raise CallbackRejected("the userinfo endpoint speaks of somebody else")
        return VerifiedClaims(_united(userinfo, claims))


def _united(userinfo: Mapping[str, object], claims: Mapping[str, object]) -> dict[str, object]:
    """Return *claims* over *userinfo*, with ``email_verified`` only where it is about the address that stays.

    The two may name different addresses: what is said of one must not vouch for the other.
    """
    united = {**userinfo, **claims}
    said_by = claims if "email_verified" in claims else userinfo
    if "email_verified" in united and said_by.get("email") != united.get("email"):
        del united["email_verified"]
    return united


def _usable(response: requests.Response) -> requests.Response:
    """Return the token endpoint's answer to Authlib, which would take tokens from an answer of any status.

    Raises:
        ProviderUnavailable: it is neither a success nor an error object.
        ValueError: it is no JSON object.
    """
    if response.status_code != requests.codes.ok and "error" not in read_object(response.content):
        raise ProviderUnavailable(f"the token endpoint answered with status {response.status_code}")
    return response


def _refusal(error: OAuthError) -> CallbackRejected | ProviderUnavailable:
    """Translate the error object of a token endpoint (RFC 6749, section 5.2)."""
    text = f"the token endpoint answered {quoted(error.error)}: {quoted(error.description)}"
    return ProviderUnavailable(text) if str(error.error) in _OUR_FAULT | _PASSING else CallbackRejected(text)
