"""Users that apps run as: their names and numbers as they are written, and one number per app out of a range.

Pure.  Whether such a user exists on this machine is checked when apps are started.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

HIGHEST_UID: Final = 2**31 - 1
NOBODY: Final = 65534
"""The user and group ``nobody``: other programs run as it too."""
_FIRST_OF_PEOPLE: Final = 1000
DYNAMIC: Final = range(61184, 65536)
"""Numbers for systemd's ``DynamicUser=``, for ``nobody``, and without a meaning (systemd's UIDS-GIDS)."""
_FEWEST: Final = 100
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?", re.ASCII)
_RANGE: Final = re.compile(r"(\d{1,10})\s*-\s*(\d{1,10})", re.ASCII)


class NotARange(Exception):
    """The text is not a range of user numbers for apps; the message says why."""


def read_user(value: object) -> str | None:
    """Return the user that *value* names, a name or a number as text; ``None`` if it cannot be one."""
    if type(value) is int:
        return str(value) if 0 <= value <= HIGHEST_UID else None
    if type(value) is not str:
        return None
    name = value.strip()
    if name.isascii() and name.isdigit():
        return str(int(name)) if int(name) <= HIGHEST_UID else None
    return name if _NAME.fullmatch(name) else None


def read_range(text: str) -> range:
    """Return the user numbers of *text*, like ``70000-79999``.

    Raises:
        NotARange: it is something else, or contains numbers with another use.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise NotARange("is not a range of numbers")
    numbers = range(int(match[1]), int(match[2]) + 1)
    if len(numbers) < _FEWEST:
        raise NotARange(f"has fewer than {_FEWEST} numbers")
    if numbers[0] < _FIRST_OF_PEOPLE or numbers[-1] > HIGHEST_UID:
        raise NotARange(f"goes beyond {_FIRST_OF_PEOPLE} to {HIGHEST_UID}")
    if numbers[0] < DYNAMIC.stop and numbers[-1] >= DYNAMIC.start:
        raise NotARange(f"contains some of {DYNAMIC[0]} to {DYNAMIC[-1]}, which are systemd's")
    return numbers


def uid_for(slug: str, numbers: range) -> int:
    """Return the number out of *numbers* for the app *slug*: always the same, whatever other apps there are."""
    digest = hashlib.sha256(f"gradio-portal app user: {slug}".encode()).digest()
    return numbers[int.from_bytes(digest[:8]) % len(numbers)]


def clashes(users: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each app of *users* (slug to user) beside an earlier one that has the same user."""
    first: dict[str, str] = {}
    for slug, user in users.items():
        other = first.setdefault(user, slug)
        if other != slug:
            yield slug, other


def free_number(numbers: range, taken: Iterable[str]) -> int | None:
    """Return the first of *numbers* that is not in *taken*, or ``None``."""
    users = frozenset(taken)
    return next((number for number in numbers if str(number) not in users), None)
