"""The sentence with which a host reports that an app lacks an environment variable, and how to read it."""

import re
from typing import Final

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_SENTENCE: Final = "The app's code needs the variable {name}, which is not set."
_PATTERN: Final = re.compile(re.escape(_SENTENCE).replace(re.escape("{name}"), f"({_NAME})"))


def missing_variable(name: object) -> str | None:
    """Return the sentence about *name*; ``None`` if that is not the name of a variable."""
    return _SENTENCE.format(name=name) if type(name) is str and re.fullmatch(_NAME, name) else None


def variable_in(text: str) -> str | None:
    """Return the variable in the last such sentence of *text*, or ``None`` if there is none."""
    names = _PATTERN.findall(text)
    return str(names[-1]) if names else None
