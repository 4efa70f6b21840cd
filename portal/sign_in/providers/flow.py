"""Sign-in by the authorization code flow (RFC 6749, section 4.1; OpenID Connect Core, section 3.1).

Authlib speaks the protocol; what it does not check is checked here and in the pure modules beside this one.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from portal.contract.egress import Egress
from portal.errors import CallbackRejected, ProviderUnavailable
from portal.rules.identity import VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt, new_attempt
from portal.sign_in.provider_types import names_provider, read_identity, type_of
from portal.sign_in.provider_types.sign_out import SignOutRequest
from portal.sign_in.providers.api_calls import with_answers
from portal.sign_in.providers.authorization import authorization_url
from portal.sign_in.providers.base import CompletedSignIn, ProviderDiagnostics
from portal.sign_in.providers.callback import read_code
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.diagnostic_calls import with_client_check
from portal.sign_in.providers.exchange import client_authentication, exchange_code
from portal.sign_in.providers.metadata import IssuerMismatch
from portal.sign_in.providers.omissions import log_omissions, log_omitted_hint
from portal.sign_in.providers.proofs import ApiProof, IdTokenProof
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
        self, *, redirect_uri: str, return_to: str, now: int, login_hint: str | None = None
    ) -> tuple[str, Attempt]:
        """Return the URL of the authorization request, and what to remember until the callback."""
        with self._transport.request() as budget:
            endpoint = self._proof.metadata(budget=budget).endpoints.authorize
        attempt = new_attempt(provider=self.spec.id, redirect_uri=redirect_uri, return_to=return_to, now=now)
        return authorization_url(endpoint, attempt, spec=self.spec, login_hint=login_hint), attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> CompletedSignIn:
        """Exchange the code of *callback* and return who has signed in."""
        if attempt.provider != self.spec.id or callback.get("state") != attempt.state:
            raise CallbackRejected("the callback is of another attempt")
        with self._transport.request() as budget:
            return self._completed(attempt, callback, now=now, budget=budget)

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if that is not possible or the provider is away."""
        if self._provider_type.sign_out is None:
            return None
        try:
            metadata = self._proof.metadata(budget=Budget(SIGN_OUT_BUDGET))
        except ProviderUnavailable:
            return None
        request = SignOutRequest(
            end_session=metadata.endpoints.end_session,
            id_token_hint=id_token_hint,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
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
        expected = self.spec.with_issuer(metadata.issuer)
        code = read_code(
            callback, issuer=lambda named: names_provider(named, {}, expected), names_itself=metadata.names_itself
        )
        with overflow_as_claims_too_large():
            tokens = exchange_code(
                code,
                attempt,
                spec=expected,
                endpoint=metadata.endpoints.token,
                method=client_authentication(expected, supported=metadata.token_auth_methods),
                basic=self._basic,
                transport=self._transport,
                budget=budget,
            )
        proved = self._proof.verify(tokens, attempt, metadata=metadata, spec=expected, now=now, budget=budget)
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
            identity=identity, id_token=proved.id_token, access_token=tokens.access_token, claims=claims
        )
