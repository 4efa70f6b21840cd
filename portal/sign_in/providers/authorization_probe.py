"""Asks the authorization endpoint whether it knows the client and its callback, without signing anyone in.

It sends a browser's request and does not follow redirects.  A second request has a callback that is certainly not
registered: only if the two answers differ, they are about the callback.
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
"""Errors sent to the callback after client, callback and scopes were accepted (Core, 3.1.2.6)."""
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
"""Texts with which providers tell a browser that they do not know the client or the callback."""
_HTML: Final = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """How an authorization endpoint answered one request."""

    kind: Kind
    clue: str = ""
    may_be_chance: bool = False
    """Whether it is in a page of status 200, whose scripts may contain such texts for other cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the two requests show together."""

    problem: str | None = None
    """How it refuses the portal's request; ``None``: it does not."""
    callback_known: bool | None = None
    """Whether the callback is registered; ``None``: not known before a sign-in."""
    unclear: str | None = None
    """Why it does not show."""


def ask_authorization(
    *, spec: ProviderSpec, endpoint: str, redirect_uri: str, transport: Transport, budget: Budget
) -> ProbeResult:
    """Return how *endpoint* answers the portal's request, and one with a callback that is not registered."""
    own = _probe(spec, endpoint, redirect_uri, transport=transport, budget=budget)
    if own.kind == "unclear":
        return ProbeResult(unclear=own.clue)
    if own.kind == "refused" and not own.may_be_chance:
        return _refusal(own)
    other = _probe(spec, endpoint, NOT_REGISTERED, transport=transport, budget=budget)
    if own.kind == "refused":
        is_the_page = other.kind == "refused" and other.clue == own.clue
        return ProbeResult(unclear=f"its page says {own.clue}, whatever the callback") if is_the_page else _refusal(own)
    if other.kind == "refused":
        return ProbeResult(callback_known=True)
    return ProbeResult(unclear=other.clue or "it asks people to sign in before it looks at the callback")


def _refusal(answer: ProbeAnswer) -> ProbeResult:
    return ProbeResult(problem=f"the authorization endpoint refuses the request: {answer.clue}", callback_known=False)


def _probe(
    spec: ProviderSpec, endpoint: str, redirect_uri: str, *, transport: Transport, budget: Budget
) -> ProbeAnswer:
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
    """Return what a redirect to *target* means."""
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
        words = _REFUSAL_WORDS.search(target)
        return ProbeAnswer("refused", quoted(parts.path if words is None else words[0]))
    return ProbeAnswer("passed")


def read_page(status: int, body: bytes) -> ProbeAnswer:
    """Return what a page with *status* and *body* means."""
    text = body.decode("utf-8", "replace")
    words = _REFUSAL_WORDS.search(text)
    if words is not None:
        clue = " ".join(words[0].split())
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
    texts = [members.get(name) for name in ("error", "error_description", "message")]
    return ": ".join(quoted(one) for one in texts if isinstance(one, str)) or None
