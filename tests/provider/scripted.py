"""A provider with scripted answers: for tests of what the portal does around a provider."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

from portal.errors import LogoutTokenRejected, PortalError
from portal.rules.identity import Identity
from portal.settings import ProviderSpec
from portal.sign_in.attempts import Attempt, new_attempt
from portal.sign_in.providers.base import CompletedSignIn, ProviderDiagnostics, Renewal
from portal.sign_in.providers.logout_token import ProviderLogout
from tests.builders import a_provider, an_identity

AUTHORIZE = "https://id.example.com/authorize"


class ScriptedProvider:
    """Signs in :attr:`identity`, or fails with :attr:`fails_with`."""

    def __init__(self, spec: ProviderSpec | None = None, *, identity: Identity | None = None) -> None:
        self.spec = spec or a_provider()
        self.identity = identity or an_identity(provider=self.spec.id)
        self.fails_with: PortalError | None = None
        self.end_session: str | None = "https://id.example.com/end"
        self.id_token = "id.token.hint"
        self.claims: Mapping[str, object] = {}
        self.completed: list[Attempt] = []
        self.renewal: Renewal | None = None
        """What a sign-in and a refresh bring."""
        self.refreshed: list[Renewal] = []

    def begin(
        self,
        *,
        redirect_uri: str,
        return_to: str,
        now: int,
        login_hint: str | None = None,
        asks_refresh: bool = True,
    ) -> tuple[str, Attempt]:
        del asks_refresh  # it has no scope for a refresh token
        self._fail()
        attempt = new_attempt(provider=self.spec.id, redirect_uri=redirect_uri, return_to=return_to, now=now)
        query = {"state": attempt.state, "redirect_uri": redirect_uri, "login_hint": login_hint or ""}
        return f"{AUTHORIZE}?{urlencode(query)}", attempt

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> CompletedSignIn:
        assert callback["state"] == attempt.state
        assert now >= attempt.begun_at
        self.completed.append(attempt)
        self._fail()
        return self._done()

    def refresh(
        self,
        renewal: Renewal,
        *,
        identity: Identity,
        id_token: str | None,
        now: int,
        keep: Callable[[Renewal], None],
    ) -> CompletedSignIn:
        del identity, id_token, now
        self.refreshed.append(renewal)
        self._fail()
        if self.renewal is not None and self.renewal != renewal:
            keep(self.renewal)
        return replace(self._done(), renewal=self.renewal or renewal)

    def read_logout(self, token: str, *, now: int) -> ProviderLogout:
        self._fail()
        raise LogoutTokenRejected(f"unreadable at {now}: {token}")

    def names_issuer(self, issuer: str) -> bool:
        self._fail()
        return issuer == self.spec.issuer

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        if self.end_session is None:
            return None
        query = {"post_logout_redirect_uri": post_logout_redirect_uri, "state": state, "id_token_hint": id_token_hint}
        return f"{self.end_session}?{urlencode(query)}"

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        del redirect_uri
        return ProviderDiagnostics(problem=None if self.fails_with is None else str(self.fails_with))

    def _done(self) -> CompletedSignIn:
        return CompletedSignIn(
            identity=self.identity,
            id_token=self.id_token,
            access_token="access-token",
            claims=self.claims,
            renewal=self.renewal,
        )

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with
