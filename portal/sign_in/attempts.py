"""One attempt to sign in, from the button to the callback, stored in sealed cookies of its own.

Each attempt has its own cookie, named after its state, so that parallel tabs do not disturb each other; a second one
holds the rest if the first is too long.  Nothing is stored on the server: strangers who begin attempts fill no disk.
"""

import hashlib
import hmac
import json
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from portal.errors import AttemptExpired, AttemptUnknown

ATTEMPT_LIFETIME: Final = 600
"""Seconds between the button and the callback."""
MAX_ATTEMPTS: Final = 8
"""Most open attempts of one browser; the oldest are dropped."""
MAX_COOKIES: Final = 6000
"""Characters that all attempt cookies may take together: web servers refuse a longer ``Cookie`` header (8 KB)."""
MAX_VALUE: Final = 3800
"""Characters in one of them: browsers drop a cookie of more than 4,096 bytes, its name included (RFC 6265, 6.1)."""

_PREFIX: Final = "portal-attempt-"
_HOST_PREFIX: Final = "__Host-"
_REST: Final = "-rest"
_CLOCK_SKEW: Final = 60
_RANDOM_BYTES: Final = 32


class Seal(Protocol):
    """Encrypts and authenticates cookies: a ``portal.storage.sealing.Sealer`` of purpose ``attempt``."""

    def seal(self, plain: bytes, /) -> str:
        """Return *plain*, encrypted and authenticated, as URL-safe text."""

    def open(self, sealed: str, /) -> bytes | None:
        """Return what was sealed, or ``None`` if it was not sealed with the portal's keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What must be remembered while a browser is at the provider."""

    provider: str
    """Id of the provider."""
    state: str
    nonce: str
    code_verifier: str
    """PKCE (RFC 7636, section 4.1)."""
    redirect_uri: str
    return_to: str
    """Local path that the person wanted to open."""
    begun_at: int
    asks_refresh: bool = False
    """Whether it requests a scope only for a refresh token; some providers refuse the request for that."""


def new_attempt(*, provider: str, redirect_uri: str, return_to: str, now: int, asks_refresh: bool = False) -> Attempt:
    """Begin an attempt with fresh secrets of 256 bits each.

    *return_to* is a local path, and no longer than the contract's ``MAX_PATH``.
    """
    return Attempt(
        provider=provider,
        state=secrets.token_urlsafe(_RANDOM_BYTES),
        nonce=secrets.token_urlsafe(_RANDOM_BYTES),
        code_verifier=secrets.token_urlsafe(_RANDOM_BYTES),
        redirect_uri=redirect_uri,
        return_to=return_to,
        begun_at=now,
        asks_refresh=asks_refresh,
    )


def cookie_name(state: str, *, secure: bool) -> str:
    """Return the name of the cookie that holds the attempt of *state*."""
    digest = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_prefix(secure=secure)}{digest[:8]}"


def seal_attempt(attempt: Attempt, *, secure: bool, seal: Seal) -> dict[str, str]:
    """Return *attempt* as cookies: their names and values."""
    plain = json.dumps(asdict(attempt), separators=(",", ":")).encode("ascii")
    # Compressed, because return_to may be long.  Every secret in it is of this attempt alone, so the length of one
    # cookie reveals nothing of another's.
    sealed = seal.seal(zlib.compress(plain, level=9))
    first = cookie_name(attempt.state, secure=secure)
    pieces = {first: sealed[:MAX_VALUE], f"{first}{_REST}": sealed[MAX_VALUE:]}
    return {name: value for name, value in pieces.items() if value}


def cookies_of(state: str, cookies: Iterable[str], *, secure: bool) -> tuple[str, ...]:
    """Return the names in *cookies* that hold the attempt of *state*."""
    first = cookie_name(state, secure=secure)
    return tuple(name for name in cookies if name in {first, f"{first}{_REST}"})


def find_attempt(cookies: Mapping[str, str], *, state: str, secure: bool, seal: Seal, now: int) -> Attempt:
    """Return the attempt of this browser that *state* belongs to.

    Raises:
        AttemptUnknown: the browser sent no cookie for it, or one that was not sealed for it.
        AttemptExpired: it was begun longer than :data:`ATTEMPT_LIFETIME` ago.
    """
    attempt = _open(_joined(cookies, cookie_name(state, secure=secure)), seal=seal)
    # The name holds only a few digits of a hash, so the sealed state itself must match.
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "surrogatepass")):
        raise AttemptUnknown("no cookie of this browser belongs to the state")
    if attempt.begun_at > now + _CLOCK_SKEW:
        raise AttemptUnknown("the attempt was begun in the future")
    if now >= attempt.begun_at + ATTEMPT_LIFETIME:
        raise AttemptExpired(f"begun {now - attempt.begun_at} s ago")
    return attempt


def has_attempt(cookies: Iterable[str], *, secure: bool) -> bool:
    """Return whether one of the names *cookies* is of an attempt without a callback yet."""
    return any(name.startswith(_prefix(secure=secure)) for name in cookies)


def surplus_cookies(
    cookies: Mapping[str, str], *, room_for: Mapping[str, str], secure: bool, seal: Seal
) -> tuple[str, ...]:
    """Return the names of attempt cookies to drop so that those of one more, *room_for*, fit.

    Unreadable ones are dropped first, then the oldest.
    """
    prefix = _prefix(secure=secure)
    names = [name for name in cookies if name.startswith(prefix)]
    opened = {name: _open(_joined(cookies, name), seal=seal) for name in names if not name.endswith(_REST)}
    newest_first = sorted(((one.begun_at, name) for name, one in opened.items() if one is not None), reverse=True)
    retained: set[str] = set()
    room = MAX_COOKIES - sum(map(len, room_for.values()))
    for number, (_, name) in enumerate(newest_first, start=1):
        room -= len(_joined(cookies, name))
        if number < MAX_ATTEMPTS and room >= 0:
            retained |= {name, f"{name}{_REST}"}
    return tuple(name for name in names if name not in retained)


def _joined(cookies: Mapping[str, str], first: str) -> str:
    return cookies.get(first, "") + cookies.get(f"{first}{_REST}", "")


def _prefix(*, secure: bool) -> str:
    return f"{_HOST_PREFIX if secure else ''}{_PREFIX}"


def _open(sealed: str, *, seal: Seal) -> Attempt | None:
    compressed = seal.open(sealed)
    if compressed is None:
        return None
    try:
        return Attempt(**json.loads(zlib.decompress(compressed)))
    except (TypeError, ValueError, RecursionError, zlib.error):  # sealed by an older version in another form
        return None
