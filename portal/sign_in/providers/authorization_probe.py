"""Asking the authorization endpoint whether it knows the client and its callback, without signing anybody in.

The request of a browser is made, and what it leads to is looked at and not followed.  It is made a second time with a
callback that is certainly not registered: only where the two answers differ, they are about the callback.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, urljoin, urlsplit

from portal.contract.truncation import quoted
from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.attempts import new_attempt
from portal.sign_in.providers.authorization import authorization_url
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.transport import Budget, Transport

NOT_REGISTERED: Final = "https://not-registered.invalid/callback"
"""A callback that no provider knows (RFC 6761, section 6.4)."""
Kind: TypeAlias = Literal["passed", "refused", "unclear"]

_PASSED: Final = frozenset(
    {"access_denied", "account_selection_required", "consent_required", "interaction_required", "login_required"}
)
"""Errors that come back to the callback once client, callback and scopes were found in order (Core, 3.1.2.6)."""
_REFUSALS: Final = frozenset({400, 404, 422})
_ERROR_PAGE: Final = re.compile(r"/(?:[a-z-]*error|fallbacks/error)(?:[./]|$)", re.IGNORECASE)
_REFUSAL_WORDS: Final = re.compile(
    r"AADSTS\d{4,7}[^<>\"\\]{0,160}"  # Entra ID
    r"|MSIS\d{4}[^<>\"\\]{0,160}"  # AD FS
    r"|redirect_(?:uri_)?mismatch"  # Google, Cognito, Salesforce
    r"|callback url mismatch"  # Auth0
    r"|(?:invalid|unregistered|unknown)[^<>]{0,24}redirect[_ ]?uri"  # Keycloak, Dex, authentik
    r"|redirect[_ ]?uri[^<>]{0,48}(?:must be|not registered|not match|not allowed|not whitelisted|is invalid|mismatch)"
    r"|redirect uri error"
    r"|(?:client|application)[^<>]{0,24} (?:not found|does not exist)"
    r"|(?:invalid|unknown)[_ ]client",
    re.IGNORECASE,
)
"""How the makes of providers tell a browser that they do not know the client or the callback, on whatever page."""
_HTML: Final = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What an authorization endpoint made of one request."""

    kind: Kind
    clue: str = ""
    may_be_chance: bool = False
    """Whether it stands in a page of status 200: its scripts may contain such words for other occasions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What two requests show together."""

    problem: str | None = None
    """How it refuses the portal's request; ``None``: it does not."""
    callback_known: bool | None = None
    """Whether the callback is registered; ``None``: that does not show before a person signs in."""
    unclear: str | None = None
    """Why it does not show."""


def ask_authorization(
    *, spec: ProviderSpec, endpoint: str, redirect_uri: str, transport: Transport, budget: Budget
) -> ProbeResult:
    """Return what *endpoint* makes of the portal's request, and of one with a callback that is not registered."""
    ours = _seen(spec, endpoint, redirect_uri, transport=transport, budget=budget)
    if ours.kind == "unclear":
        return ProbeResult(unclear=ours.clue)
    if ours.kind == "refused" and not ours.may_be_chance:
        return _refused(ours)
    other = _seen(spec, endpoint, NOT_REGISTERED, transport=transport, budget=budget)
    if ours.kind == "refused":
        is_the_page = other.kind == "refused" and other.clue == ours.clue
        return (
            ProbeResult(unclear=f"its page says {ours.clue}, whatever the callback") if is_the_page else _refused(ours)
        )
    if other.kind == "refused":
        return ProbeResult(callback_known=True)
    return ProbeResult(unclear=other.clue or "it asks people to sign in before it looks at the callback")


def _refused(seen: ProbeAnswer) -> ProbeResult:
    return ProbeResult(problem=f"the authorization endpoint refuses the request: {seen.clue}", callback_known=False)


def _seen(spec: ProviderSpec, endpoint: str, redirect_uri: str, *, transport: Transport, budget: Budget) -> ProbeAnswer:
    attempt = new_attempt(provider=spec.id, redirect_uri=redirect_uri, return_to="/", now=0)
    url = authorization_url(endpoint, attempt, spec=spec, login_hint=None)
    try:
        response = transport.fetch(url, budget=budget, headers=_HTML, shows_redirect=True)
    except ProviderUnavailable as error:
        return ProbeAnswer("unclear", str(error).replace(url, endpoint))
    target = response.headers.get("Location")
    if target is not None and 300 <= response.status_code < 400:  # noqa: PLR2004 - redirects
        return read_redirect(urljoin(url, target), redirect_uri=redirect_uri)
    return read_page(response.status_code, response.content)


def read_redirect(target: str, *, redirect_uri: str) -> ProbeAnswer:
    """Return what a redirect to *target* shows."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return ProbeAnswer("unclear", "it redirects to an address that cannot be read")
    params = {name: values[0] for name, values in parse_qs(f"{parts.query}&{parts.fragment}").items()}
    error = params.get("error", params.get("error_code"))
    clue = ": ".join(quoted(one) for one in (error, params.get("error_description")) if one is not None)
    if target.startswith(redirect_uri):
        return ProbeAnswer("passed") if error is None or error in _PASSED else ProbeAnswer("refused", clue)
    if error is not None and error not in _PASSED:
        return ProbeAnswer("refused", clue)
    if _ERROR_PAGE.search(parts.path) is not None:
        found = _REFUSAL_WORDS.search(target)
        return ProbeAnswer("refused", quoted(found[0] if found is not None else parts.path))
    return ProbeAnswer("passed")


def read_page(status: int, body: bytes) -> ProbeAnswer:
    """Return what a page with *status* and *body* shows."""
    text = body.decode("utf-8", "replace")
    found = _REFUSAL_WORDS.search(text)
    if found is not None:
        clue = " ".join(found[0].split())
        is_certain = status != 200 or clue.startswith(("AADSTS", "MSIS"))  # noqa: PLR2004 - OK
        return ProbeAnswer("refused", quoted(clue), may_be_chance=not is_certain)
    if status in _REFUSALS:
        return ProbeAnswer("refused", _error_in(body) or f"status {status}")
    return ProbeAnswer("passed") if status == 200 else ProbeAnswer("unclear", f"it answers with status {status}")  # noqa: PLR2004 - OK


def _error_in(body: bytes) -> str | None:
    try:
        members = read_object(body)
    except ValueError:
        return None
    said = [members.get(name) for name in ("error", "error_description", "message")]
    return ": ".join(quoted(one) for one in said if isinstance(one, str)) or None
