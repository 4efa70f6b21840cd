"""Sign-in at any OpenID Connect provider: authorization code flow with PKCE, state and nonce.

Authlib speaks the protocol; what it leaves unchecked is checked here and in the pure modules
beside this one.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from portal.contract.egress import Egress
from portal.errors import CallbackRejected, ClaimsTooLarge, ProviderMisconfigured, ProviderUnavailable
from portal.rules.identity import VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt, new_attempt
from portal.sign_in.claims.merging import united
from portal.sign_in.provider_types import names_provider, read_identity, type_of
from portal.sign_in.provider_types.sign_out import SignOutRequest
from portal.sign_in.providers.api_calls import with_answers
from portal.sign_in.providers.authorization import authorization_url
from portal.sign_in.providers.base import Completed, ProviderDiagnostics
from portal.sign_in.providers.callback import read_code
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.diagnostic_calls import tried
from portal.sign_in.providers.document_cache import DocumentCache, DocumentCacheByIssuer
from portal.sign_in.providers.exchange import client_authentication, exchange_code
from portal.sign_in.providers.id_token import (
    MAX_ID_TOKEN,
    IdTokenProblem,
    IdTokenRejected,
    issuer_claimed,
    verify_id_token,
)
from portal.sign_in.providers.keys import SHARED, VerificationKey, read_keys, shared_key
from portal.sign_in.providers.metadata import (
    IssuerMismatch,
    Metadata,
    discovery_url,
    is_safe_endpoint,
    metadata_of,
    read_metadata,
)
from portal.sign_in.providers.omissions import note_hint_left_out, note_left_out
from portal.sign_in.providers.ssrf_policy import ssrf_policy_of
from portal.sign_in.providers.transport import DEFAULT_LIMITS, Budget, Limits, Transport, about_a_person

SIGN_OUT_BUDGET: Final = 2.0
"""Seconds that a sign-out may wait for the provider's metadata."""


class OidcProvider:
    """One OpenID Connect provider.  Safe to share between threads."""

    def __init__(
        self,
        spec: ProviderSpec,
        *,
        limits: Limits = DEFAULT_LIMITS,
        egress: Egress | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self._provider_type = type_of(spec)
        self._transport = Transport(limits, reach=ssrf_policy_of(spec), egress=egress)
        self._basic = BasicCredentials(spec)
        self._metadata = DocumentCache(self._load_metadata, monotonic=monotonic)
        self._keys = DocumentCache(self._load_keys, monotonic=monotonic)
        self._keys_of_tokens = DocumentCacheByIssuer(self._load_keys_of, monotonic=monotonic)

    def begin(
        self, *, redirect_uri: str, return_to: str, now: int, login_hint: str | None = None
    ) -> tuple[str, Attempt]:
        """Return the URL of the authorization request, and what to remember until the callback."""
        with self._transport.request() as budget:
            metadata = self._metadata.get(budget=budget)
        attempt = new_attempt(provider=self.spec.id, redirect_uri=redirect_uri, return_to=return_to, now=now)
        return authorization_url(metadata.authorize, attempt, spec=self.spec, login_hint=login_hint), attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> Completed:
        """Exchange the code of *callback* and return who has signed in."""
        if attempt.provider != self.spec.id or callback.get("state") != attempt.state:
            raise CallbackRejected("the callback is of another attempt")
        with self._transport.request() as budget:
            return self._completed(attempt, callback, now=now, budget=budget)

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if it has no such place or is away."""
        if self._provider_type.sign_out is None:
            return None
        try:
            metadata = self._metadata.get(budget=Budget(SIGN_OUT_BUDGET))
        except ProviderUnavailable:
            return None
        leaving = SignOutRequest(
            end_session=metadata.end_session,
            id_token_hint=id_token_hint,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
        )
        url = self._provider_type.sign_out(self.spec, leaving)
        note_hint_left_out(url, leaving, way=self._provider_type.sign_out, spec=self.spec)
        return url

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        """Return what its metadata and keys say; with *redirect_uri*, also whether it refuses the client."""
        budget = self._transport.budget()
        known = ProviderDiagnostics(discovery=None if self.spec.endpoints is not None else self._discovery_url())
        try:
            metadata = self._metadata.get(budget=budget)
            known = replace(
                known,
                issuer=metadata.issuer,
                endpoints=replace(metadata.endpoints(), jwks=None if self.spec.issuer_of_token else metadata.jwks),
                names_itself=metadata.names_itself,
                auth_method=client_authentication(self.spec, supported=metadata.token_auth_methods),
                signing_algorithms=metadata.signing_algorithms,
                challenge_methods=metadata.challenge_methods,
                scopes=metadata.scopes,
            )
            keys = () if self.spec.issuer_of_token else self._keys.get(budget=budget)
        except IssuerMismatch as error:
            return replace(known, issuer=error.named, problem=str(error))
        except ProviderUnavailable as error:
            return replace(known, problem=str(error))
        known = replace(known, keys=tuple(key.algorithms for key in keys))
        if redirect_uri is None or known.auth_method is None:
            return known
        return tried(
            known,
            spec=self.spec,
            authorize=metadata.authorize,
            token=metadata.token,
            redirect_uri=redirect_uri,
            basic=self._basic,
            transport=self._transport,
        )

    def _completed(self, attempt: Attempt, callback: Mapping[str, str], *, now: int, budget: Budget) -> Completed:
        metadata = self._metadata.get(budget=budget)
        expected = self.spec.called(metadata.issuer)
        code = read_code(
            callback, issuer=lambda named: names_provider(named, {}, expected), names_itself=metadata.names_itself
        )
        with about_a_person():
            tokens = exchange_code(
                code,
                attempt,
                spec=expected,
                endpoint=metadata.token,
                method=client_authentication(expected, supported=metadata.token_auth_methods),
                basic=self._basic,
                transport=self._transport,
                budget=budget,
            )
        if not isinstance(tokens.id_token, str):  # without one nobody knows whom the access token is about
            raise CallbackRejected("the token endpoint gave no ID token")
        spec = self._named_by(tokens.id_token, expected)
        claims = self._verified(
            tokens.id_token,
            attempt,
            spec=spec,
            access_token=tokens.access_token,
            now=now,
            budget=budget,
        )
        if metadata.userinfo is not None and self._provider_type.asks_userinfo:
            claims = self._with_userinfo(claims, url=metadata.userinfo, access_token=tokens.access_token, budget=budget)
        with about_a_person():
            answered = with_answers(
                claims,
                calls=self._provider_type.calls,
                spec=spec,
                access_token=tokens.access_token,
                transport=self._transport,
                budget=budget,
            )
        identity = read_identity(VerifiedClaims(answered), spec=spec)
        note_left_out(identity, spec=self.spec)
        return Completed(identity=identity, id_token=tokens.id_token, access_token=tokens.access_token, claims=answered)

    def _named_by(self, id_token: str, spec: ProviderSpec) -> ProviderSpec:
        """Return *spec* with the issuer that *id_token* must be of; the token says it where nothing else does."""
        if not spec.issuer_of_token:
            return spec
        of_token = self._provider_type.of_token
        named = None if of_token is None else of_token(spec, issuer_claimed(id_token))
        if named is None:
            raise IdTokenRejected(IdTokenProblem.WRONG_ISSUER)
        return named

    def _discovery_url(self) -> str:
        return self.spec.discovery or discovery_url(self.spec.issuer)

    def _load_metadata(self, budget: Budget) -> Metadata:
        ends = self.spec.endpoints
        if ends is not None:
            # Where the keys are, shows in the token; here stands nothing that would be asked.
            known = replace(ends, jwks=self.spec.issuer) if self.spec.issuer_of_token else ends
            return metadata_of(known, issuer=self.spec.issuer)
        document = self._transport.get_object(self._discovery_url(), budget=budget)
        return read_metadata(document, issuer=self.spec.called(document.get("issuer")).issuer)

    def _load_keys(self, budget: Budget) -> tuple[VerificationKey, ...]:
        secret = self.spec.client_secret
        if secret is not None and SHARED.issuperset(self.spec.algorithms):
            return (shared_key(secret.reveal()),)
        return read_keys(self._transport.get_object(self._metadata.get(budget=budget).jwks, budget=budget))

    def _load_keys_of(self, spec: ProviderSpec, budget: Budget) -> tuple[VerificationKey, ...]:
        if spec.endpoints is None or not is_safe_endpoint(spec.endpoints.jwks, issuer=spec.issuer):
            raise ProviderMisconfigured("it is not known where the keys of its ID tokens are")
        return read_keys(self._transport.get_object(str(spec.endpoints.jwks), budget=budget))

    def _verified(
        self,
        id_token: str,
        attempt: Attempt,
        *,
        spec: ProviderSpec,
        access_token: str,
        now: int,
        budget: Budget,
    ) -> VerifiedClaims:
        def verified(keys: tuple[VerificationKey, ...]) -> VerifiedClaims:
            return verify_id_token(
                id_token,
                keys=keys,
                issuer=lambda named, claims: names_provider(named, claims, spec),
                key_issuer=self._provider_type.is_key_issuer,
                client_id=self.spec.client_id,
                algorithms=self.spec.algorithms,
                nonce=attempt.nonce,
                now=now,
                access_token=access_token,
            )

        kept = self._keys_of_tokens.of(spec) if self.spec.issuer_of_token else self._keys
        keys = kept.get(budget=budget)
        try:
            return verified(keys)
        except IdTokenRejected as error:
            if error.problem is IdTokenProblem.TOO_LONG:
                raise ClaimsTooLarge(f"{error}, more than {MAX_ID_TOKEN} characters") from error
            if error.problem is not IdTokenProblem.UNKNOWN_KEY:
                raise
            newer = kept.get_newer(keys, budget=budget)
            if newer is None:
                raise
        return verified(newer)

    def _with_userinfo(self, claims: VerifiedClaims, *, url: str, access_token: str, budget: Budget) -> VerifiedClaims:
        """Return *claims* over those of the userinfo endpoint, which must be about the same person."""
        headers = {"Authorization": f"Bearer {access_token}"}
        with about_a_person():
            userinfo = self._transport.get_object(url, budget=budget, headers=headers)
        # OpenID Connect Core, section 5.3.4: else an access token of somebody else could be slipped in.
        if userinfo.get("sub") != claims["sub"]:
            raise CallbackRejected("the userinfo endpoint speaks of somebody else")
        return VerifiedClaims(united(userinfo, claims))
