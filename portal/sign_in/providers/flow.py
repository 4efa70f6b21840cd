"""Sign-in by the authorization code flow (RFC 6749, section 4.1; OpenID Connect Core, section 3.1).

Authlib speaks the protocol; what it does not check is checked here and in the pure modules beside this one.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from portal.contract.egress import Egress
from portal.errors import CallbackRejected, LogoutTokenRejected, ProviderUnavailable, RefreshRefused
from portal.rules.identity import Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt, new_attempt
from portal.sign_in.claims.values import identifier
from portal.sign_in.provider_types import names_provider, read_identity, type_of
from portal.sign_in.provider_types.scopes import refresh_scopes
from portal.sign_in.provider_types.sign_out import NO_TOKEN, SignOutRequest
from portal.sign_in.providers.api_calls import ApiRefused, with_answers
from portal.sign_in.providers.authorization import authorization_url
from portal.sign_in.providers.base import CompletedSignIn, ProviderDiagnostics, Renewal
from portal.sign_in.providers.callback import read_code
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.diagnostic_calls import with_client_check
from portal.sign_in.providers.exchange import TokenEndpoint, Tokens, client_authentication
from portal.sign_in.providers.id_token import IdTokenRejected, read_claims
from portal.sign_in.providers.logout_token import LogoutProblem, ProviderLogout
from portal.sign_in.providers.metadata import IssuerMismatch, Metadata
from portal.sign_in.providers.omissions import log_omissions, log_omitted_hint
from portal.sign_in.providers.proofs import ApiProof, Expectation, IdTokenProof
from portal.sign_in.providers.ssrf_policy import ssrf_policy_of
from portal.sign_in.providers.transport import DEFAULT_LIMITS, Budget, Limits, Transport, overflow_as_claims_too_large

SIGN_OUT_BUDGET: Final = 2.0
"""Seconds that a sign-out may wait for the provider's metadata."""


class CodeFlow:
    """One provider, whichever proof of identity its type has.  Safe to share between threads."""

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
        self._transport = Transport(limits, ssrf_policy=ssrf_policy_of(spec), egress=egress)
        self._basic = BasicCredentials(spec)
        self._proof = (
            IdTokenProof(spec, transport=self._transport, monotonic=monotonic)
            if self._provider_type.flow == "openid"
            else ApiProof(spec)
        )

    def begin(
        self,
        *,
        redirect_uri: str,
        return_to: str,
        now: int,
        login_hint: str | None = None,
        asks_refresh: bool = True,
    ) -> tuple[str, Attempt]:
        """Return the URL of the authorization request, and what to remember until the callback."""
        with self._transport.request() as budget:
            metadata = self._proof.metadata(budget=budget)
        more_scopes = refresh_scopes(self.spec, offered=metadata.scopes) if asks_refresh else ()
        attempt = new_attempt(
            provider=self.spec.id,
            redirect_uri=redirect_uri,
            return_to=return_to,
            now=now,
            asks_refresh=bool(more_scopes),
        )
        url = authorization_url(
            metadata.endpoints.authorize, attempt, spec=self.spec, login_hint=login_hint, more_scopes=more_scopes
        )
        return url, attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> CompletedSignIn:
        """Exchange the code of *callback* and return who has signed in."""
        if attempt.provider != self.spec.id or callback.get("state") != attempt.state:
            raise CallbackRejected("the callback is of another attempt")
        with self._transport.request() as budget:
            return self._completed(attempt, callback, now=now, budget=budget)

    def refresh(
        self,
        renewal: Renewal,
        *,
        identity: Identity,
        id_token: str | None,
        now: int,
        keep: Callable[[Renewal], None],
    ) -> CompletedSignIn:
        """Read the claims of *identity* again (OpenID Connect Core, section 12)."""
        with self._transport.request() as budget:
            metadata = self._proof.metadata(budget=budget)
            spec = self.spec.with_issuer(metadata.issuer)
            tokens = Tokens(access_token=renewal.token, id_token=None, refresh_token=None)
            if renewal.kind == "refresh":
                tokens = self._token_endpoint(spec, metadata, budget=budget).refresh(renewal.token)
                if tokens.refresh_token is not None and tokens.refresh_token != renewal.token:
                    keep(Renewal("refresh", tokens.refresh_token))
            nonce = "" if id_token is None else str(read_claims(id_token).get("nonce", ""))
            expected = Expectation(nonce=nonce, refreshed=True, former=id_token)
            try:
                done = self._proved(tokens, expected, metadata=metadata, spec=spec, now=now, budget=budget)
            except ApiRefused as error:
                if self._provider_type.flow == "openid":
                    raise
                raise RefreshRefused(str(error)) from error
        if done.identity.id != identity.id:  # section 12.2: the same iss and sub
            raise RefreshRefused("the provider answers about another person")
        return done if tokens.refresh_token is not None else replace(done, renewal=renewal)

    def read_logout(self, token: str, *, now: int) -> ProviderLogout:
        """Return what the logout *token* ends (OpenID Connect Back-Channel Logout 1.0)."""
        if not isinstance(self._proof, IdTokenProof):
            raise LogoutTokenRejected(LogoutProblem.NO_TOKENS)
        with self._transport.request() as budget:
            return self._proof.verify_logout(token, now=now, budget=budget)

    def names_issuer(self, issuer: str) -> bool:
        """Return whether *issuer* is the provider's, as its tokens name it."""
        if self._provider_type.flow != "openid":
            return False
        with self._transport.request() as budget:
            spec = self.spec.with_issuer(self._proof.metadata(budget=budget).issuer)
        return names_provider(issuer, {}, spec)

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if that is not possible or the provider is away."""
        if self._provider_type.sign_out is None:
            return None
        budget = Budget(SIGN_OUT_BUDGET)
        try:
            metadata = self._proof.metadata(budget=budget)
        except ProviderUnavailable:
            return None
        hint = id_token_hint
        # A provider that has replaced its keys answers an older token with an error, and its session goes on.
        if hint is not None and hint != NO_TOKEN and not self._proof.publishes_key_of(hint, budget=budget):
            hint = None
        request = SignOutRequest(
            end_session=metadata.endpoints.end_session,
            id_token_hint=hint,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
            logout_hint=None if id_token_hint is None else _name_in(id_token_hint),
        )
        url = self._provider_type.sign_out(self.spec, request)
        log_omitted_hint(url, request, sign_out=self._provider_type.sign_out, spec=self.spec)
        return url

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        """Return what its metadata and keys say; with *redirect_uri*, also whether it refuses the client."""
        budget = self._transport.budget()
        known = ProviderDiagnostics(discovery=self._proof.discovery)
        try:
            metadata = self._proof.metadata(budget=budget)
            known = replace(
                known,
                issuer=metadata.issuer,
                endpoints=metadata.endpoints,
                names_itself=metadata.names_itself,
                auth_method=client_authentication(self.spec, supported=metadata.token_auth_methods),
                signing_algorithms=metadata.signing_algorithms,
                challenge_methods=metadata.challenge_methods,
                scopes=metadata.scopes,
            )
            known = replace(known, keys=tuple(key.algorithms for key in self._proof.keys(budget=budget)))
        except IssuerMismatch as error:
            return replace(known, issuer=error.named, problem=str(error))
        except ProviderUnavailable as error:
            return replace(known, problem=str(error))
        if redirect_uri is None:
            return known
        return with_client_check(
            known,
            spec=self.spec,
            endpoints=metadata.endpoints,
            redirect_uri=redirect_uri,
            basic=self._basic,
            transport=self._transport,
        )

    def _completed(self, attempt: Attempt, callback: Mapping[str, str], *, now: int, budget: Budget) -> CompletedSignIn:
        metadata = self._proof.metadata(budget=budget)
        spec = self.spec.with_issuer(metadata.issuer)
        code = read_code(
            callback, issuer=lambda named: names_provider(named, {}, spec), names_itself=metadata.names_itself
        )
        with overflow_as_claims_too_large():
            tokens = self._token_endpoint(spec, metadata, budget=budget).exchange(code, attempt)
        expected = Expectation(nonce=attempt.nonce)
        return self._proved(tokens, expected, metadata=metadata, spec=spec, now=now, budget=budget)

    def _proved(
        self, tokens: Tokens, expected: Expectation, *, metadata: Metadata, spec: ProviderSpec, now: int, budget: Budget
    ) -> CompletedSignIn:
        """Return the person that *tokens* prove, with the answers of the provider's API."""
        proved = self._proof.verify(tokens, expected, metadata=metadata, spec=spec, now=now, budget=budget)
        with overflow_as_claims_too_large():
            claims = with_answers(
                proved.claims,
                calls=self._provider_type.calls,
                spec=proved.spec,
                access_token=tokens.access_token,
                transport=self._transport,
                budget=budget,
            )
        identity = read_identity(VerifiedClaims(claims), spec=proved.spec)
        log_omissions(identity, spec=self.spec)
        return CompletedSignIn(
            identity=identity,
            id_token=proved.id_token,
            access_token=tokens.access_token,
            claims=claims,
            renewal=self._renewal_in(tokens),
        )

    def _token_endpoint(self, spec: ProviderSpec, metadata: Metadata, *, budget: Budget) -> TokenEndpoint:
        return TokenEndpoint(
            spec=spec,
            url=metadata.endpoints.token,
            method=client_authentication(spec, supported=metadata.token_auth_methods),
            basic=self._basic,
            transport=self._transport,
            budget=budget,
        )

    def _renewal_in(self, tokens: Tokens) -> Renewal | None:
        if not self.spec.refresh:
            return None
        if tokens.refresh_token is not None:
            return Renewal("refresh", tokens.refresh_token)
        return Renewal("access", tokens.access_token) if self._provider_type.refresh.by_access_token else None


def _name_in(id_token: str) -> str | None:
    """Return how a stored ID token names its person, for the provider's sign-out."""
    try:
        claims = read_claims(id_token)
    except IdTokenRejected:
        return None
    named = (identifier(claims.get(name)) for name in ("preferred_username", "email", "sub"))
    return next((name for name in named if name is not None), None)
