"""Typed reading of one TOML table: every wrong type and every unknown key becomes a problem.

The readers return the default after noting a problem, so that reading goes on and the
next problem is found too.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeGuard

from portal.configuration.app_users import read_user
from portal.configuration.report import Report
from portal.errors import choices
from portal.sign_in.claims.values import is_plain

_LIFETIME: Final = re.compile(r"(\d{1,9})\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(MB|GB|MiB|GiB)")
_BYTES: Final = {"MB": 10**6, "GB": 10**9, "MiB": 1 << 20, "GiB": 1 << 30}
_SMALLEST_SIZE: Final = 64 * 10**6
_LONGEST_TEXT: Final = 16 * 1024
"""Longest text of a key, in characters; long are only rules over many names."""
_NO_LINE: Final = f"must be a text of one line, of {_LONGEST_TEXT} characters at most."
MAX_PORT: Final = 65535

_ELSEWHERE: Final = {
    "client_secret": 'Write client_secret_env = "NAME_OF_A_VARIABLE" and put the secret into that variable.',
    "database_url": "Set PORTAL_DATABASE_URL in the environment.",
    "rate_limit_storage": "Set PORTAL_RATE_LIMIT_STORAGE in the environment.",
    "roles": "Write open_to.",
    "secret": 'Write client_secret_env = "NAME_OF_A_VARIABLE" and put the secret into that variable.',
    "secret_key": "Set PORTAL_SECRET_KEY in the environment.",
}
"""Keys people try, and where the thing belongs."""
_SECRETS: Final = frozenset({"client_secret", "database_url", "rate_limit_storage", "secret", "secret_key"})


def _is_line(value: object) -> TypeGuard[str]:
    return type(value) is str and bool(value.strip()) and len(value) <= _LONGEST_TEXT and is_plain(value)


class Table:
    """One table of the file, at the dotted key *at*."""

    def __init__(self, values: Mapping[str, object], *, at: str, known: frozenset[str], report: Report) -> None:
        self._values = values
        self.at = at
        self._report = report
        for key in values:
            if key not in known:
                self._refuse(key, known)

    def _refuse(self, key: str, known: frozenset[str]) -> None:
        what = "is a secret, and secrets do not stand in the file." if key in _SECRETS else "is no setting."
        self.problem(key, what, _ELSEWHERE.get(key) or choices(key, known))

    def problem(self, key: str, what: str, fix: str) -> None:
        """Note a problem with *key* of this table."""
        self._report.file(self.key(key), what, fix)

    def key(self, key: str) -> str:
        """Return the dotted key of *key*."""
        return f"{self.at}.{key}" if self.at else key

    def has(self, key: str) -> bool:
        """Say whether *key* stands in the file."""
        return key in self._values

    def is_empty(self, key: str) -> bool:
        """Say whether *key* is a list without entries."""
        return self._values.get(key) == []

    def says(self, key: str, value: str) -> bool:
        """Say whether *key* is *value*; whether it is sound is for its own reader to say."""
        return self._values.get(key) == value

    def text(self, key: str, default: str | None = None) -> str | None:
        """Return the non-empty one-line string *key*."""
        value = self._values.get(key)
        if value is None:
            return default
        if not _is_line(value):
            self.problem(key, _NO_LINE, f'Write {key} = "…".')
            return default
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return the list of non-empty strings *key*, without repetitions."""
        value = self._values.get(key)
        if value is None:
            return None
        if type(value) is not list or not all(map(_is_line, value)):
            self.problem(
                key, f"must be a list, and each entry {_NO_LINE.removeprefix('must be ')}", f'Write {key} = ["…"].'
            )
            return ()
        return tuple(dict.fromkeys(one.strip() for one in value))

    def flag(self, key: str) -> bool:
        """Return the boolean *key*; absent or wrong means false."""
        value = self._values.get(key, False)
        if type(value) is not bool:
            self.problem(key, "must be true or false.", f"Write {key} = true or {key} = false, without quotes.")
            return False
        return value

    def user(self, key: str) -> str | None:
        """Return the user *key* of this machine, a name or a number as text; never root."""
        value = self._values.get(key)
        if value is None:
            return None
        user = read_user(value)
        if user is None:
            self.problem(key, "must be a user of this machine.", f'Write {key} = "name", or its number.')
        elif user in {"root", "0"}:
            self.problem(key, "is root, whom nothing is kept from.", "Make a user for it, with useradd --system.")
            return None
        return user

    def choice(self, key: str, known: Collection[str]) -> str | None:
        """Return the text *key*, which is one of *known*."""
        value = self.text(key)
        if value is not None and value not in known:
            self.problem(key, f"is {value!r}, which it cannot be.", choices(value, known))
            return None
        return value

    def port(self, key: str) -> int | None:
        """Return the port number *key*."""
        value = self._values.get(key)
        if value is None:
            return None
        if type(value) is not int or not 0 < value <= MAX_PORT:
            self.problem(key, "must be a port.", f"Write {key} = a number from 1 to 65535, without quotes.")
            return None
        return value

    def count(self, key: str, default: int, *, most: int) -> int:
        """Return the number *key*, from 1 to *most*."""
        value = self._values.get(key)
        if value is None:
            return default
        if type(value) is not int or not 0 < value <= most:
            self.problem(key, "must be a number.", f"Write {key} = a number from 1 to {most}, without quotes.")
            return default
        return value

    def lifetime(self, key: str, default: int, *, longest: int) -> int:
        """Return the duration *key* in seconds: a number of them, or like ``"8h"``; from 60 s to *longest*."""
        what = f"must be a duration from one minute to {longest // 86400} days."
        fix = f'Write {key} = "30m", "8h", "30d", or a number of seconds.'
        return self._duration(key, default, range(60, longest + 1), what, fix)

    def seconds(self, key: str, default: int, *, longest: int) -> int:
        """Return the short duration *key* in seconds: a number of them, or like ``"10m"``; from 1 s to *longest*."""
        what = f"must be a duration from one second to {longest // 60} minutes."
        fix = f'Write {key} = "90s", "10m", or a number of seconds.'
        return self._duration(key, default, range(1, longest + 1), what, fix)

    def _duration(self, key: str, default: int, allowed: range, what: str, fix: str) -> int:
        value = self._values.get(key)
        if value is None:
            return default
        seconds = value if type(value) is int else None
        if type(value) is str and (match := _LIFETIME.fullmatch(value.strip())):
            seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds is None or seconds not in allowed:
            self.problem(key, what, fix)
            return default
        return seconds

    def size(self, key: str) -> int | None:
        """Return the amount of memory *key* in bytes: like ``"2 GB"``; at least 64 MB."""
        value = self._values.get(key)
        if value is None:
            return None
        match = _SIZE.fullmatch(value.strip()) if type(value) is str else None
        size = None if match is None else int(float(match[1]) * _BYTES[match[2]])
        if size is None or size < _SMALLEST_SIZE:
            self.problem(key, "must be an amount of memory, at least 64 MB.", f'Write {key} = "2 GB" or "500 MB".')
            return None
        return size

    def mapping(self, key: str) -> Mapping[str, object] | None:
        """Return the table *key* as it stands."""
        value = self._values.get(key)
        if value is None:
            return None
        if type(value) is not dict:
            self.problem(key, "must be a table.", f"Write {key} = {{ … }} or a section [{self.key(key)}].")
            return None
        return value
