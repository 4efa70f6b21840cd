"""The requirements with hashes (locks) as data: their pins for each interpreter and platform."""

import re
from pathlib import Path
from typing import Final

from packaging.markers import Marker

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ("requirements.txt", "requirements-postgresql.txt", "requirements-dev.txt", "requirements-docs.txt")
_PIN: Final = re.compile(r"^([\w.-]+(?:\[[\w,-]+\])?==[^\s;]+)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)


def pins(lock: str, environment: dict[str, str] | None = None) -> frozenset[str]:
    """Return what the text *lock* pins in *environment*, as ``name[extra]==version``.

    *environment* has the variables of PEP 508; where one is missing, this interpreter's counts.
    """
    found = _PIN.findall(lock)
    return frozenset(pin for pin, marker in found if not marker or Marker(marker).evaluate(environment))


def text_of(lock: str) -> str:
    """Return the text of the file *lock*."""
    return (ROOT / lock).read_text()
