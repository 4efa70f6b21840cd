"""The errors the portal raises on purpose, each with a stable code.

``str(error)`` is for the log.  The page shows a sentence for ``code`` from the templates, and the request's reference.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, Final

ENVIRONMENT: Final = "environment"
"""``Problem.place`` of an environment variable; every other place is a file."""


class PortalError(Exception):
    """Base of every error the portal raises on purpose."""

    code: ClassVar[str]
    """Stable identifier for log, metrics and support requests."""
    status: ClassVar[int]
    """HTTP status of its page."""


class SignInFailed(PortalError):
    """The person is not signed in; trying again may help."""

    code = "sign-in-failed"
    status = 400


class AttemptUnknown(SignInFailed):
    """The callback does not belong to an attempt of this browser: finished, abandoned, or begun elsewhere."""

    code = "attempt-unknown"


class AttemptExpired(SignInFailed):
    """The attempt began too long ago."""

    code = "attempt-expired"


class CallbackRejected(SignInFailed):
    """The callback, or a token from it, is not valid."""

    code = "callback-rejected"


class ClaimsTooLarge(SignInFailed):
    """The provider sent more claims than the portal reads or stores; they are never cut silently."""

    code = "claims-too-large"
    status = 403


class ProviderRefused(SignInFailed):
    """The provider refused the sign-in, for example because the person cancelled."""

    code = "provider-refused"
    status = 403


class NotAdmitted(SignInFailed):
    """The person proved who they are, but the company's rules do not admit them."""

    code = "not-admitted"
    status = 403
    claims: tuple[str, ...] = ()
    """The names of the claims that came."""


class RefreshRefused(PortalError):
    """The provider will not renew the sign-in: the person must sign in again.  No page shows it."""

    code = "refresh-refused"
    status = 403


class LogoutTokenRejected(PortalError):
    """A provider's logout token proves nothing.  No page shows it."""

    code = "logout-token-rejected"
    status = 400

    @property
    def problem(self) -> str:
        """What is wrong with it, as one word."""
        return str(self.args[0])


class ProviderUnavailable(SignInFailed):
    """The provider did not answer, or its answer cannot be used."""

    code = "provider-unavailable"
    status = 502


class AnswerLost(ProviderUnavailable):
    """The provider may have acted on the request, and its answer did not arrive or cannot be read."""


class ProviderNotBelieved(ProviderUnavailable):
    """The provider's server certificate is not trusted."""

    code = "provider-not-believed"


class ProviderMisconfigured(ProviderUnavailable):
    """A setting at the portal or the provider is wrong: only an operator can correct it."""

    code = "provider-misconfigured"
    status = 500


class ProxyUnavailable(ProviderUnavailable):
    """The HTTP proxy for requests to the provider did not answer, or refused."""

    code = "proxy-unavailable"


class StoreUnavailable(PortalError):
    """The database or the session store cannot be used at the moment."""

    code = "store-unavailable"
    status = 503


class StoreUnusable(StoreUnavailable):
    """The file is not a database, or of another version: waiting does not help."""


class SettingsError(PortalError):
    """The configuration is not valid or not safe."""

    code = "settings"
    status = 500

    def __init__(self, problems: "Sequence[Problem]") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Problem:
    """One problem of the configuration: where, what, and how to fix it."""

    __slots__ = ("fix", "key", "place", "what")

    def __init__(self, *, place: str, key: str, what: str, fix: str) -> None:
        self.place = place
        """The file, or ``environment``."""
        self.key = key
        """Dotted key or name of the variable."""
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.what} {self.fix}"

    def __repr__(self) -> str:
        return f"Problem({self!s})"


def closest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of *known* that is most similar to *word*, or ``None``."""
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=cutoff)), None)


def choices(word: str, known: Iterable[str]) -> str:
    """Return a hint for someone who wrote *word* instead of one of *known*."""
    names = sorted(known)
    near = closest(word, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known: {', '.join(names)}." if names else "There are none yet."
