"""What the portal asks of an identity provider, whoever it is.

Whatever goes wrong comes out as one of ``portal.errors``; no library's exception passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from portal.rules.identity import Identity
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedSignIn:
    """Somebody has proved who they are."""

    identity: Identity
    id_token: str | None
    """As the provider sent it; the hint for signing out there.  ``None``: it gives none."""
    access_token: str = field(repr=False)
    """For the company's own rule, which may ask the provider more; kept nowhere."""
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """What was verified or asked for, as the provider wrote it; for that rule too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDiagnostics:
    """What can be learned of a provider without signing anybody in: for operators, and believed by nothing."""

    discovery: str | None = None
    """Where its metadata was asked for; ``None``: it is configured, or known."""
    issuer: str | None = None
    """What its metadata calls it, also where that is not the configured issuer; ``None``: it was not learned."""
    endpoints: Endpoints | None = None
    """``None``: they could not be learned."""
    names_itself: bool = False
    auth_method: str | None = None
    """How the client proves itself at the token endpoint."""
    signing_algorithms: frozenset[str] | None = None
    """These three as ``portal.sign_in.providers.metadata.Metadata`` has them."""
    challenge_methods: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    keys: tuple[frozenset[str], ...] = ()
    """Of each key, the algorithms it can verify."""
    problem: str | None = None
    """Why nobody can sign in there now; ``None``: nothing was found that stands in the way."""
    client_problem: str | None = None
    """How it refused the client; ``None``: it did not, or was not asked."""
    client_refused: bool = False
    """Whether that is a refusal; else the token endpoint gave no usable answer."""
    request_problem: str | None = None
    """How its authorization endpoint refused the portal's request; the same holds."""
    callback_known: bool | None = None
    """Whether the callback is registered there; ``None``: it was not asked, or that does not show."""
    callback_unclear: str | None = None
    """Why it does not show."""


class Provider(Protocol):
    """One place where people prove who they are."""

    @property
    def spec(self) -> ProviderSpec:
        """How it is configured."""

    def begin(
        self, *, redirect_uri: str, return_to: str, now: int, login_hint: str | None = None
    ) -> tuple[str, Attempt]:
        """Return the URL to send the browser to, and what to remember until it returns.

        Raises:
            ProviderUnavailable: the provider does not say where to send people.
        """

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> CompletedSignIn:
        """Finish *attempt* with the parameters of its callback.

        Raises:
            ProviderRefused: the provider said no.
            CallbackRejected: what came back cannot be trusted.
            ProviderUnavailable: the provider is down, slow, or answers what cannot be used.
        """

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if it has no such place or is away."""

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        """Return what can be learned of the provider now; with *redirect_uri*, also whether it refuses the client."""
