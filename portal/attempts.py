"""One attempt to sign in, from the button to the callback, kept in a sealed cookie of its own.

Each attempt has its own cookie, named after its state, so that parallel tabs do not disturb
each other.  Nothing is stored on the server: a stranger who begins attempts fills nobody's disk.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from portal.errors import AttemptExpired, AttemptUnknown

ATTEMPT_LIFETIME: Final = 600
"""Seconds between the button and the callback."""
MAX_ATTEMPTS: Final = 8
"""Attempts one browser may have open at once; the oldest give way."""
MAX_COOKIES: Final = 3800
"""Characters that all attempt cookies may take together; browsers and gunicorn cut longer headers."""
MAX_RETURN_TO: Final = 1024
"""Longest page to come back to, in characters; beyond it the way leads home."""

_PREFIX: Final = "portal-attempt-"
_HOST_PREFIX: Final = "__Host-"
_CLOCK_SKEW: Final = 60
_RANDOM_BYTES: Final = 32


class Seal(Protocol):
    """What makes a cookie unreadable and unforgeable: a ``portal.sealing.Sealer`` of purpose ``attempt``."""

    def seal(self, plain: bytes, /) -> str:
        """Return *plain*, encrypted and authenticated, as URL-safe text."""

    def open(self, sealed: str, /) -> bytes | None:
        """Return what was sealed, or ``None`` if it was not sealed by us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must be remembered between sending a browser to the provider and its return."""

    provider: str
    """The provider, by its id."""
    state: str
    nonce: str
    code_verifier: str
    """PKCE (RFC 7636, section 4.1)."""
    redirect_uri: str
    return_to: str
    """Local path the person was going to."""
    begun_at: int


def new_attempt(*, provider: str, redirect_uri: str, return_to: str, now: int) -> Attempt:
    """Begin an attempt with fresh secrets of 256 bits each."""
    return Attempt(
        provider=provider,
        state=secrets.token_urlsafe(_RANDOM_BYTES),
        nonce=secrets.token_urlsafe(_RANDOM_BYTES),
        code_verifier=secrets.token_urlsafe(_RANDOM_BYTES),
        redirect_uri=redirect_uri,
        return_to=return_to if len(return_to) <= MAX_RETURN_TO else "/",
        begun_at=now,
    )


def cookie_name(state: str, *, secure: bool) -> str:
    """Return the name of the cookie that holds the attempt of *state*."""
    digest = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_prefix(secure=secure)}{digest[:8]}"


def seal_attempt(attempt: Attempt, *, seal: Seal) -> str:
    """Return *attempt* as the value of its cookie."""
    return seal.seal(json.dumps(asdict(attempt), separators=(",", ":")).encode("ascii"))


def find_attempt(cookies: Mapping[str, str], *, state: str, secure: bool, seal: Seal, now: int) -> Attempt:
    """Return the attempt of this browser that *state* belongs to.

    Raises:
        AttemptUnknown: the browser brought no cookie for it, or one that we did not seal for it.
        AttemptExpired: it was begun longer than :data:`ATTEMPT_LIFETIME` ago.
    """
    sealed = cookies.get(cookie_name(state, secure=secure))
    attempt = None if sealed is None else _open(sealed, seal=seal)
    # The name holds a few digits of a hash only, so the sealed state itself must agree.
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "surrogatepass")):
        raise AttemptUnknown("no cookie of this browser belongs to the state")
    if attempt.begun_at > now + _CLOCK_SKEW:
        raise AttemptUnknown("the attempt was begun in the future")
    if now >= attempt.begun_at + ATTEMPT_LIFETIME:
        raise AttemptExpired(f"begun {now - attempt.begun_at} s ago")
    return attempt


def has_attempt(cookies: Iterable[str], *, secure: bool) -> bool:
    """Say whether one of *cookies*, by name, is of an attempt that has not come back."""
    return any(name.startswith(_prefix(secure=secure)) for name in cookies)


def surplus_cookies(cookies: Mapping[str, str], *, room_for: str, secure: bool, seal: Seal) -> tuple[str, ...]:
    """Return the names of attempt cookies to drop so that one with the value *room_for* finds place.

    Foreign and unreadable ones go first, then the oldest.
    """
    prefix = _prefix(secure=secure)
    mine = [(name, value, _open(value, seal=seal)) for name, value in cookies.items() if name.startswith(prefix)]
    kept = sorted(
        ((attempt.begun_at, name, len(value)) for name, value, attempt in mine if attempt is not None), reverse=True
    )
    dropped = [name for name, _, attempt in mine if attempt is None]
    room = MAX_COOKIES - len(room_for)
    for place, (_, name, length) in enumerate(kept, start=1):
        room -= length
        if place >= MAX_ATTEMPTS or room < 0:
            dropped.append(name)
    return tuple(dropped)


def _prefix(*, secure: bool) -> str:
    return f"{_HOST_PREFIX if secure else ''}{_PREFIX}"


def _open(sealed: str, *, seal: Seal) -> Attempt | None:
    plain = seal.open(sealed)
    if plain is None:
        return None
    try:
        return Attempt(**json.loads(plain))
    except (TypeError, ValueError, RecursionError):  # sealed by an older version with other fields
        return None
