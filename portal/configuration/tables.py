"""Typed reading of one TOML table: every wrong type and every unknown key becomes a problem.

A reader returns ``None`` after noting a problem, so that reading goes on and the next problem is found too.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeGuard

from portal.configuration.addresses import normalised, problem_of
from portal.configuration.app_users import read_user
from portal.configuration.report import Report
from portal.errors import ENVIRONMENT, choices
from portal.sign_in.claims.values import is_plain

_DURATION: Final = re.compile(r"(\d{1,9})\s*([smhd])")
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SIZE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(MB|GB|MiB|GiB)")
_BYTES: Final = {"MB": 10**6, "GB": 10**9, "MiB": 1 << 20, "GiB": 1 << 30}
_SMALLEST_SIZE: Final = 64 * 10**6
_LONGEST_TEXT: Final = 16 * 1024
"""Longest text of a key, in characters: room for a rule that lists many names."""
_NOT_A_LINE: Final = f"must be a text of one line, of {_LONGEST_TEXT} characters at most."
MAX_PORT: Final = 65535

_FIXES: Final = {
    "client_secret": 'Write client_secret_env = "NAME_OF_A_VARIABLE" and put the secret into that variable.',
    "database_url": "Set PORTAL_DATABASE_URL in the environment.",
    "rate_limit_storage": "Set PORTAL_RATE_LIMIT_STORAGE in the environment.",
    "roles": "Write open_to.",
    "secret": 'Write client_secret_env = "NAME_OF_A_VARIABLE" and put the secret into that variable.',
    "secret_key": "Set PORTAL_SECRET_KEY in the environment.",
}
"""For keys that people try: where the value belongs."""
_SECRETS: Final = frozenset({"client_secret", "database_url", "rate_limit_storage", "secret", "secret_key"})


def _is_line(value: object) -> TypeGuard[str]:
    return type(value) is str and bool(value.strip()) and len(value) <= _LONGEST_TEXT and is_plain(value)


class Table:
    """One table of the file, at the dotted key *at*.

    *variables* has, by key, name and text of each environment variable that wins over the file.
    """

    def __init__(
        self,
        values: Mapping[str, object],
        *,
        at: str,
        known: frozenset[str],
        report: Report,
        variables: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    ) -> None:
        self._values = {**values, **{key: text for key, (_, text) in variables.items()}}
        self._variables = variables
        self.at = at
        self.report = report
        for key in values:
            if key not in known:
                self._refuse(key, known)

    def _refuse(self, key: str, known: frozenset[str]) -> None:
        what = "is a secret, and secrets do not belong in the file." if key in _SECRETS else "is not a setting."
        self.report.file(self.key(key), what, _FIXES.get(key) or choices(key, known))

    def problem(self, key: str, what: str, fix: str) -> None:
        """Note a problem with *key* of this table, or with the variable that wins over it."""
        self.report.at(*self.source(key), what, fix)

    def source(self, key: str) -> tuple[str, str]:
        """Return the place of the value of *key*, the file or the environment, and its name there."""
        if self.is_variable(key):
            return ENVIRONMENT, self._variables[key][0]
        return self.report.place, self.key(key)

    def key(self, key: str) -> str:
        """Return the dotted key of *key*."""
        return f"{self.at}.{key}" if self.at else key

    def is_variable(self, key: str) -> bool:
        """Return whether the value of *key* is that of an environment variable."""
        return key in self._variables

    def has(self, key: str) -> bool:
        """Return whether *key* has a value, of the right type or not."""
        return key in self._values

    def value(self, key: str) -> object:
        """Return the value of *key* as it is written; ``None`` if it is absent."""
        return self._values.get(key)

    def text(self, key: str) -> str | None:
        """Return the non-empty one-line string *key*."""
        value = self.value(key)
        if value is None:
            return None
        if not _is_line(value):
            self.problem(key, _NOT_A_LINE, f'Write {key} = "…".')
            return None
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return the list of non-empty strings *key*, without repetitions; a variable separates by commas or spaces."""
        value = self.value(key)
        if value is None:
            return None
        if self.is_variable(key):
            value = str(value).replace(",", " ").split()
        if type(value) is not list or not all(map(_is_line, value)):
            what = f"must be a list, and each entry {_NOT_A_LINE.removeprefix('must be ')}"
            self.problem(key, what, f'Write {key} = ["…"].')
            return None
        return tuple(dict.fromkeys(one.strip() for one in value))

    def names(self, key: str) -> frozenset[str] | None:
        """Return the list of non-empty strings *key*, as a set."""
        texts = self.texts(key)
        return None if texts is None else frozenset(texts)

    def flag(self, key: str) -> bool | None:
        """Return the boolean *key*."""
        value = self.value(key)
        if value is not None and type(value) is not bool:
            self.problem(key, "must be true or false.", f"Write {key} = true or {key} = false, without quotes.")
        return value if type(value) is bool else None

    def user(self, key: str) -> str | None:
        """Return the user *key* of this machine, a name or a number as text; never root."""
        value = self.value(key)
        if value is None:
            return None
        user = read_user(value)
        if user is None:
            self.problem(key, "must be a user of this machine.", f'Write {key} = "name", or its number.')
        elif user in {"root", "0"}:
            self.problem(key, "must not be root: root can read everything.", "Make a user with useradd --system.")
            return None
        return user

    def port(self, key: str) -> int | None:
        """Return the port number *key*."""
        value = self.value(key)
        if value is None:
            return None
        if type(value) is not int or not 0 < value <= MAX_PORT:
            self.problem(key, "must be a port.", f"Write {key} = a number from 1 to {MAX_PORT}, without quotes.")
            return None
        return value

    def size(self, key: str) -> int | None:
        """Return the amount of memory *key* in bytes: like ``"2 GB"``; at least 64 MB."""
        value = self.value(key)
        if value is None:
            return None
        match = _SIZE.fullmatch(value.strip()) if type(value) is str else None
        size = None if match is None else int(float(match[1]) * _BYTES[match[2]])
        if size is None or size < _SMALLEST_SIZE:
            self.problem(key, "must be an amount of memory, at least 64 MB.", f'Write {key} = "2 GB" or "500 MB".')
            return None
        return size

    def mapping(self, key: str) -> Mapping[str, object] | None:
        """Return the table *key* as it is written."""
        value = self.value(key)
        if value is None:
            return None
        if type(value) is not dict:
            self.problem(key, "must be a table.", f"Write {key} = {{ … }} or a section [{self.key(key)}].")
            return None
        return value


def url_with(path: Literal["none", "plain"]) -> Callable[[Table, str], str | None]:
    """Return the reader of an address, normalised; *path* is what may follow its host: see ``problem_of``."""

    def read(table: Table, key: str) -> str | None:
        url = table.text(key)
        problem = None if url is None else problem_of(url, path=path)
        if problem is not None:
            table.problem(key, *problem)
        return None if url is None or problem is not None else normalised(url)

    return read


def one_of(known: Collection[str]) -> Callable[[Table, str], str | None]:
    """Return the reader of a text that is one of *known*."""

    def read(table: Table, key: str) -> str | None:
        value = table.text(key)
        if value is None or value in known:
            return value
        table.problem(key, f"must not be {value!r}.", choices(value, known))
        return None

    return read


def some_of(known: Collection[str]) -> Callable[[Table, str], tuple[str, ...] | None]:
    """Return the reader of a list of texts that are all in *known*."""

    def read(table: Table, key: str) -> tuple[str, ...] | None:
        texts = table.texts(key)
        for text in texts or ():
            if text not in known:
                table.problem(key, f"must not list {text!r}.", choices(text, known))
        return texts

    return read


@dataclass(frozen=True, slots=True)
class Count:
    """Reads a number from 1 to :attr:`most`."""

    most: int

    @property
    def bounds(self) -> str:
        """The sentence of the documents about the bounds."""
        return f"From 1 to {self.most}."

    def __call__(self, table: Table, key: str) -> int | None:
        """Return the number *key*."""
        value = table.value(key)
        if value is None or (type(value) is int and 0 < value <= self.most):
            return value
        table.problem(key, "must be a number.", f"Write {key} = a number from 1 to {self.most}, without quotes.")
        return None


@dataclass(frozen=True, slots=True)
class Duration:
    """Reads a duration in seconds: a number of them, or a text like ``"8h"``."""

    shortest: int
    longest: int

    @property
    def bounds(self) -> str:
        """The sentence of the documents about the bounds."""
        return f"From {with_unit(self.shortest)} to {with_unit(self.longest)}."

    def __call__(self, table: Table, key: str) -> int | None:
        """Return the seconds of *key*."""
        value = table.value(key)
        if type(value) is str and (match := _DURATION.fullmatch(value.strip())):
            value = int(match[1]) * _SECONDS[match[2]]
        if value is None or (type(value) is int and self.shortest <= value <= self.longest):
            return value
        table.problem(
            key,
            f"must be a duration from {with_unit(self.shortest)} to {with_unit(self.longest)}.",
            f'Write {key} = "90s", "10m", "8h" or "30d" within that, or a number of seconds.',
        )
        return None


def with_unit(seconds: int) -> str:
    """Return *seconds* as a setting has them, like ``8h``."""
    unit = next(unit for unit, size in _SECONDS.items() if seconds % size == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"
