"""Files of variables, one ``NAME=value`` a line, that an app is handed: read alike by whoever checks and who starts it.

Values are taken as they are written, without the space around them; one pair of quotes around the whole goes.
Nothing is interpolated and nothing escaped.  Empty lines and lines that begin with ``#`` say nothing.
"""

import re
import stat
from collections.abc import Mapping
from typing import Final

LARGEST: Final = 64 * 1024
"""Most bytes of such a file."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED: Final = ("PORTAL_", "LISTEN_", "LD_")
"""Beginnings of names that no app is given from outside: the guard and the system's loader believe them."""
_OPEN: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
"""More than its owner may do everything, and its group read it."""
_SHORTEST_QUOTED: Final = 2


class EnvFileError(Exception):
    """The file cannot be used; the message says why, and quotes nothing that stands in it."""


def read_env_file(content: bytes) -> Mapping[str, str]:
    """Return the variables in *content*; a name that is there twice has its last value.

    Raises:
        EnvFileError: names the first line that is none, and never what stands there.
    """
    if len(content) > LARGEST:
        raise EnvFileError(f"it is larger than {LARGEST >> 10} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvFileError("it is no UTF-8 text") from None
    if "\0" in text:
        raise EnvFileError("it is no text")
    variables = {}
    for number, line in enumerate(text.split("\n"), start=1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        name, equals, value = written.partition("=")
        name = name.rstrip()
        if not equals or not _NAME.fullmatch(name):
            raise EnvFileError(f"line {number} is not NAME=value")
        if name.upper().startswith(_RESERVED):
            raise EnvFileError(f"line {number} sets a variable that no app is given")
        variables[name] = _unquoted(value.strip())
    return variables


def fault_of_mode(mode: int) -> str | None:
    """Return what is wrong with a file of *mode*, as ``stat`` has it, to hold secrets; ``None`` if nothing is."""
    if not stat.S_ISREG(mode):
        return "it is no file"
    if mode & _OPEN:
        return f"it is open to others (mode {stat.S_IMODE(mode):04o}); chmod 600 it, or 640"
    return None


def _unquoted(value: str) -> str:
    if len(value) >= _SHORTEST_QUOTED and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
