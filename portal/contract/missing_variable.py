"""The one sentence in which a host says that an app misses a variable of its environment, and the name in it."""

import re
from typing import Final

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_SENTENCE: Final = "The app's code needs the variable {name}, which is not set."
_FOUND: Final = re.compile(re.escape(_SENTENCE).replace(re.escape("{name}"), f"({_NAME})"))


def missing_variable(name: object) -> str | None:
    """Return the sentence about *name*; ``None`` if that is not the name of a variable."""
    return _SENTENCE.format(name=name) if type(name) is str and re.fullmatch(_NAME, name) else None


def variable_in(text: str) -> str | None:
    """Return the variable that the last such sentence in *text* names, or ``None`` where there is none."""
    found = _FOUND.findall(text)
    return str(found[-1]) if found else None
