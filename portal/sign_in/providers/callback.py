"""Reads a callback: an authorization code, or an error.

Pure.  Called only after the callback's state was matched with an attempt of this browser.  So a stranger's link cannot
make the portal say that the provider refused a person.
"""

from collections.abc import Callable, Mapping
from typing import Final

from portal.contract.truncation import quoted
from portal.errors import CallbackRejected, ProviderMisconfigured, ProviderRefused, ProviderUnavailable

MAX_CODE: Final = 12 * 1024
"""Longest authorization code accepted, in characters; a request line may hardly be longer."""

_PASSING: Final = frozenset({"server_error", "temporarily_unavailable"})
_CONFIGURATION: Final = frozenset(
    {
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "redirect_uri_mismatch",  # GitHub
        "unauthorized_client",
        "unsupported_response_mode",
        "unsupported_response_type",
    }
)
"""Errors that everyone gets until an operator corrects a setting."""


def read_code(callback: Mapping[str, str], *, issuer: str | Callable[[str], bool], names_itself: bool) -> str:
    """Return the authorization code of *callback*; *issuer* is the accepted issuer or a test for it.

    Raises:
        CallbackRejected: it came from another provider, or carries no code.
        ProviderRefused: it carries an error instead (RFC 6749, section 4.1.2.1).
        ProviderMisconfigured: the error says that the portal's request is not allowed.
        ProviderUnavailable: the error says that the provider is not working.
    """
    # RFC 9207, section 2.4: before anything else is trusted, errors included.
    named = callback.get("iss")
    if named is None and names_itself:
        raise CallbackRejected("the callback lacks the iss that the provider promises")
    if named is not None and not (issuer(named) if callable(issuer) else named == issuer):
        raise CallbackRejected(f"the callback is of issuer {quoted(named)}")
    error = callback.get("error")
    description = callback.get("error_description")
    answered = quoted(error) if description is None else f"{quoted(error)}: {quoted(description)}"
    if error in _PASSING:
        raise ProviderUnavailable(f"the provider answered {answered}")
    if error in _CONFIGURATION:
        raise ProviderMisconfigured(f"the provider answered {answered}")
    if error is not None:
        raise ProviderRefused(f"the provider answered {answered}")
    code = callback.get("code")
    if not code or len(code) > MAX_CODE:
        raise CallbackRejected("the callback carries no usable code")
    return code
