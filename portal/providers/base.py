"""What the portal asks of an identity provider, whoever it is.

Whatever goes wrong comes out as one of ``portal.errors``; no library's exception passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from portal.attempts import Attempt
from portal.identity import Identity
from portal.settings import ProviderSpec

_QUOTED: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Somebody has proved who they are."""

    identity: Identity
    id_token: str
    """As the provider sent it; the hint for signing out there."""


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

    def complete(self, attempt: Attempt, callback: Mapping[str, str], *, now: int) -> Completed:
        """Finish *attempt* with the parameters of its callback.

        Raises:
            ProviderRefused: the provider said no.
            CallbackRejected: what came back cannot be trusted.
            ProviderUnavailable: the provider is down, slow, or answers what cannot be used.
        """

    def end_session_url(self, *, id_token_hint: str | None, post_logout_redirect_uri: str, state: str) -> str | None:
        """Return where to sign out at the provider; ``None`` if it has no such place or is away."""

    def reachable(self) -> str | None:
        """Return ``None`` if the provider answers as it should, else a sentence on what is wrong."""


def quoted(text: object) -> str:
    """Return *text* for a log: short, ASCII, in quotes, without line breaks.

    Callback parameters and error texts are an attacker's to choose; they must not forge log lines.
    """
    return ascii(str(text)[:_QUOTED])
