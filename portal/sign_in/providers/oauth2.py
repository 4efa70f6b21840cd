"""Sign-in at a plain OAuth 2.0 provider (RFC 6749): nothing is signed, so its API says who came.

State, PKCE, the attempt's own cookie and redirect URI tie the code to this browser and provider; the access token
comes straight from the token endpoint and is asked about at once, so it cannot have been somebody else's.
"""

from collections.abc import Mapping

from portal.contract.egress import Egress
from portal.errors import CallbackRejected, ProviderMisconfigured, ProviderUnavailable
from portal.rules.identity import VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import Attempt, new_attempt
from portal.sign_in.provider_types import read_identity, type_of
from portal.sign_in.provider_types.sign_out import SignOutRequest
from portal.sign_in.providers.api_calls import with_answers
from portal.sign_in.providers.authorization import authorization_url
from portal.sign_in.providers.base import Completed, ProviderDiagnostics
from portal.sign_in.providers.callback import read_code
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.diagnostic_calls import tried
from portal.sign_in.providers.exchange import client_authentication, exchange_code
from portal.sign_in.providers.metadata import is_safe_endpoint
from portal.sign_in.providers.omissions import note_left_out
from portal.sign_in.providers.ssrf_policy import ssrf_policy_of
from portal.sign_in.providers.transport import DEFAULT_LIMITS, Budget, Limits, Transport, about_a_person


class OAuth2Provider:
    """One plain OAuth 2.0 provider.  Safe to share between threads."""

    def __init__(self, spec: ProviderSpec, *, limits: Limits = DEFAULT_LIMITS, egress: Egress | None = None) -> None:
        self.spec = spec
        self._provider_type = type_of(spec)
        self._transport = Transport(limits, reach=ssrf_policy_of(spec), egress=egress)
        self._basic = BasicCredentials(spec)

    def begin(
        self, *, redirect_uri: str, return_to: str, now: int, login_hint: str | None = None
    ) -> tuple[str, Attempt]:
        """Return the URL of the authorization request, and what to remember until the callback."""
        endpoint = self._endpoints().authorize
        attempt = new_attempt(provider=self.spec.id, redirect_uri=redirect_uri, return_to=return_to, now=now)
        return authorization_url(endpoint, attempt, spec=self.spec, login_hint=login_hint), attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> Completed:
        """Exchange the code of *callback*, and ask the provider who has signed in."""
        del now  # nothing here carries a time
        if attempt.provider != self.spec.id or callback.get("state") != attempt.state:
            raise CallbackRejected("the callback is of another attempt")
        code = read_code(callback, issuer=self._is_issuer, names_itself=False)
        with self._transport.request() as budget:
            return self._completed(code, attempt, budget=budget)

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if it has no such place."""
        if self._provider_type.sign_out is None:
            return None
        leaving = SignOutRequest(
            end_session=None if self.spec.endpoints is None else self.spec.endpoints.end_session,
            id_token_hint=id_token_hint,
            post_logout_redirect_uri=post_logout_redirect_uri,
            state=state,
        )
        return self._provider_type.sign_out(self.spec, leaving)

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        """Return what is known of it; it says nothing of itself before somebody comes."""
        try:
            ends = self._endpoints()
        except ProviderUnavailable as error:
            return ProviderDiagnostics(problem=str(error))
        method = client_authentication(self.spec, supported=frozenset())
        known = ProviderDiagnostics(endpoints=ends, auth_method=method)
        if redirect_uri is None:
            return known
        return tried(
            known,
            spec=self.spec,
            authorize=ends.authorize,
            token=ends.token,
            redirect_uri=redirect_uri,
            basic=self._basic,
            transport=self._transport,
        )

    def _completed(self, code: str, attempt: Attempt, *, budget: Budget) -> Completed:
        tokens = exchange_code(
            code,
            attempt,
            spec=self.spec,
            endpoint=self._endpoints().token,
            method=client_authentication(self.spec, supported=frozenset()),
            basic=self._basic,
            transport=self._transport,
            budget=budget,
        )
        with about_a_person():
            answers = with_answers(
                {},
                calls=self._provider_type.calls,
                spec=self.spec,
                access_token=tokens.access_token,
                transport=self._transport,
                budget=budget,
            )
        identity = read_identity(VerifiedClaims(answers), spec=self.spec)
        note_left_out(identity, spec=self.spec)
        return Completed(identity=identity, id_token=None, access_token=tokens.access_token, claims=answers)

    def _is_issuer(self, named: str) -> bool:
        return self._provider_type.is_issuer(named, {}, self.spec)

    def _endpoints(self) -> Endpoints:
        """Return the endpoints, all of them safe to call.

        Raises:
            ProviderMisconfigured: one is missing, or is no https address.
        """
        ends = self.spec.endpoints
        if ends is None:
            raise ProviderMisconfigured("it has no endpoints")
        for name, url in (("authorize", ends.authorize), ("token", ends.token), ("userinfo", ends.userinfo)):
            if not is_safe_endpoint(url, issuer=self.spec.issuer):
                raise ProviderMisconfigured(f"the endpoint {name} must be an https URL")
        return ends
