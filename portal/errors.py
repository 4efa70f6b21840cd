"""The errors the portal raises on purpose, each with a stable code.

``str(error)`` is for the log.  What a person sees is a sentence chosen by ``code``
in the templates, with the request's reference.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, Final

ENVIRONMENT: Final = "environment"
"""The place of a problem that an environment variable has; every other place is a file."""


class PortalError(Exception):
    """Base of every error the portal raises on purpose."""

    code: ClassVar[str]
    """Stable identifier for the log, the metrics and a support request."""
    status: ClassVar[int]
    """HTTP status of the page that tells a person about it."""


class SignInFailed(PortalError):
    """The person is not signed in; trying again may help."""

    code = "sign-in-failed"
    status = 400


class AttemptUnknown(SignInFailed):
    """The callback belongs to no attempt of this browser: abandoned, repeated, or never begun here."""

    code = "attempt-unknown"


class AttemptExpired(SignInFailed):
    """The attempt was begun too long ago."""

    code = "attempt-expired"


class CallbackRejected(SignInFailed):
    """The callback, or a token that came of it, cannot be trusted."""

    code = "callback-rejected"


class ClaimsTooLarge(SignInFailed):
    """The provider says more of the person than is read or kept; nothing of it is left out in silence."""

    code = "claims-too-large"
    status = 403


class ProviderRefused(SignInFailed):
    """The identity provider said no, for example because the person cancelled."""

    code = "provider-refused"
    status = 403


class NotAdmitted(SignInFailed):
    """The person proved who they are, and the company's rules do not let them in."""

    code = "not-admitted"
    status = 403


class ProviderUnavailable(SignInFailed):
    """The identity provider did not answer, or answered what cannot be used; nobody here is at fault."""

    code = "provider-unavailable"
    status = 502


class ProviderNotBelieved(ProviderUnavailable):
    """What answered for the identity provider showed a certificate that no authority of ours vouches for."""

    code = "provider-not-believed"


class ProviderMisconfigured(ProviderUnavailable):
    """The portal and the identity provider do not agree on a setting: only an operator can correct it."""

    code = "provider-misconfigured"
    status = 500


class ProxyUnavailable(ProviderUnavailable):
    """The proxy on the way to the identity provider did not answer, or refused."""

    code = "proxy-unavailable"


class StoreUnavailable(PortalError):
    """The database cannot be used at the moment."""

    code = "store-unavailable"
    status = 503


class StoreUnusable(StoreUnavailable):
    """The database is none, or of another version: waiting does not help."""


class SettingsError(PortalError):
    """The configuration does not describe a portal that is safe to start."""

    code = "settings"
    status = 500

    def __init__(self, problems: "Sequence[Problem]") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Problem:
    """One thing wrong in the configuration: where, what, and how to fix it."""

    __slots__ = ("fix", "key", "place", "what")

    def __init__(self, *, place: str, key: str, what: str, fix: str) -> None:
        self.place = place
        """The file, or ``environment``."""
        self.key = key
        """Dotted key or variable name."""
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.what} {self.fix}"

    def __repr__(self) -> str:
        return f"Problem({self!s})"


def closest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of *known* that *word* resembles most, or ``None``."""
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=cutoff)), None)


def choices(word: str, known: Iterable[str]) -> str:
    """Return the sentence that helps somebody who wrote *word* where one of *known* belongs."""
    names = sorted(known)
    near = closest(word, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known: {', '.join(names)}." if names else "There are none yet."
