"""Files of an app's environment variables, one ``NAME=value`` per line.

A value is taken as it is written, without the space around it and one pair of quotes around the whole.
Nothing is interpolated or escaped.  Empty lines and lines that begin with ``#`` are ignored.
"""

import re
import stat
from collections.abc import Mapping
from typing import Final

LARGEST: Final = 64 * 1024
"""Most bytes of such a file."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED: Final = ("PORTAL_", "LISTEN_", "LD_")
"""Prefixes of names that a file must not set: the guard and the system's loader trust them."""
_OPEN: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""Permissions beyond the owner's and the group's right to read."""
_SHORTEST_QUOTED: Final = 2


class EnvFileError(Exception):
    """The file cannot be used; the message says why, and quotes nothing from it."""


def read_env_file(content: bytes) -> Mapping[str, str]:
    """Return the variables in *content*; the last value of a name counts.

    Raises:
        EnvFileError: names the first line that is not a variable, and never quotes it.
    """
    if len(content) > LARGEST:
        raise EnvFileError(f"it is larger than {LARGEST >> 10} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvFileError("it is not UTF-8 text") from None
    if "\0" in text:
        raise EnvFileError("it is not text")
    variables = {}
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, value = entry.partition("=")
        name = name.rstrip()
        if not equals or not _NAME.fullmatch(name):
            raise EnvFileError(f"line {number} is not NAME=value")
        if name.upper().startswith(_RESERVED):
            raise EnvFileError(f"line {number} sets a variable that is reserved")
        variables[name] = _unquote(value.strip())
    return variables


def problem_of_mode(mode: int) -> str | None:
    """Return why a file of *mode*, from ``stat``, must not hold secrets; ``None`` if it may."""
    if not stat.S_ISREG(mode):
        return "it is not a regular file"
    if mode & _OPEN:
        return f"it is open to others (mode {stat.S_IMODE(mode):04o}); run chmod 600 (or 640) on it"
    return None


def _unquote(value: str) -> str:
    if len(value) >= _SHORTEST_QUOTED and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
