"""The interface of an identity provider.  Every error is one of ``portal.errors``, never a library's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from portal.rules.identity import Identity
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.providers.logout_token import ProviderLogout

RenewalKind: TypeAlias = Literal["refresh", "access"]


@dataclass(frozen=True, slots=True)
class Renewal:
    """What renews a sign-in at its provider."""

    kind: RenewalKind
    """A refresh token, or an access token that does not expire, with which the provider's API is asked again."""
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedSignIn:
    """A person who has proved who they are."""

    identity: Identity
    id_token: str | None
    """As the provider sent it; the hint for signing out there.  ``None``: it sends none."""
    access_token: str = field(repr=False)
    """For the company's own sign-in hook, which may ask the provider more; never stored."""
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Verified claims and API answers, as the provider wrote them; also for that hook."""
    renewal: Renewal | None = None
    """``None``: the provider gives nothing that renews it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDiagnostics:
    """What a provider shows without a sign-in: for operators, and never trusted."""

    discovery: str | None = None
    """The address of its metadata; ``None``: its endpoints are configured."""
    issuer: str | None = None
    """The issuer in its metadata, even if it is not the configured one; ``None``: not known."""
    endpoints: Endpoints | None = None
    """``None``: not known."""
    names_itself: bool = False
    auth_method: str | None = None
    """Client authentication at the token endpoint."""
    signing_algorithms: frozenset[str] | None = None
    """These three as ``portal.sign_in.providers.metadata.Metadata`` has them."""
    challenge_methods: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    keys: tuple[frozenset[str], ...] = ()
    """Of each key, the algorithms it can verify."""
    problem: str | None = None
    """Why no one can sign in there now; ``None``: no problem was detected."""
    client_problem: str | None = None
    """The token endpoint's problem with the client; ``None``: there is none, or it was not asked."""
    client_refused: bool = False
    """Whether that problem is a refusal; else the answer was not usable."""
    request_problem: str | None = None
    """How its authorization endpoint refused the portal's request; ``None``: it did not, or was not asked."""
    callback_known: bool | None = None
    """Whether the callback is registered there; ``None``: not known."""
    callback_unclear: str | None = None
    """Why that is not known."""


class Provider(Protocol):
    """An identity provider."""

    @property
    def spec(self) -> ProviderSpec:
        """How it is configured."""

    def begin(
        self,
        *,
        redirect_uri: str,
        return_to: str,
        now: int,
        login_hint: str | None = None,
        asks_refresh: bool = True,
    ) -> tuple[str, Attempt]:
        """Return the URL to send the browser to, and what to remember until it returns.

        *asks_refresh*: whether to request the scope for a refresh token, if the provider has one.

        Raises:
            ProviderUnavailable: the provider's metadata cannot be had.
        """

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> CompletedSignIn:
        """Finish *attempt* with the parameters of its callback.

        Raises:
            ProviderRefused: the provider refused.
            CallbackRejected: the callback or a token cannot be trusted.
            ProviderUnavailable: the provider is down, slow, or gives no usable answer.
        """

    def refresh(
        self,
        renewal: Renewal,
        *,
        identity: Identity,
        id_token: str | None,
        now: int,
        keep: Callable[[Renewal], None],
    ) -> CompletedSignIn:
        """Read the claims of *identity* again; *id_token* is the last one, verified then.

        *keep* gets a new token as soon as there is one: the provider may not accept the former again.

        Raises:
            RefreshRefused: the provider will not renew it: the person must sign in again.
            ClaimsTooLarge: it sends more claims than are read.
            CallbackRejected: its answer cannot be trusted.
            ProviderUnavailable: it is down, slow, or gives no usable answer.
        """

    def read_logout(self, token: str, *, now: int) -> ProviderLogout:
        """Return what the logout *token* ends (OpenID Connect Back-Channel Logout 1.0).

        Raises:
            LogoutTokenRejected: it ends nothing.
            ProviderUnavailable: the provider's keys cannot be fetched.
        """

    def names_issuer(self, issuer: str) -> bool:
        """Return whether *issuer* is the provider's, as its tokens name it.

        Raises:
            ProviderUnavailable: its metadata cannot be had.
        """

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if that is not possible or it is away."""

    def diagnostics(self, *, redirect_uri: str | None = None) -> ProviderDiagnostics:
        """Return what the provider shows now; with *redirect_uri*, also whether it refuses the client."""
