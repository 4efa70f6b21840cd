"""Why a call to a provider failed, in words for an operator.

Libraries wrap the reason three deep, under one name for whatever went wrong; whoever mends it must know which it was.
"""

import ssl
from collections.abc import Iterator
from typing import Final

from urllib3.exceptions import NameResolutionError

from portal.providers.base import quoted

_DEEPEST: Final = 8


def in_words(error: BaseException) -> str:
    """Return why the call that raised *error* failed; the name of its class, where nothing more is known."""
    for one in _reasons(error):
        match one:
            case NameResolutionError():
                return "its name is not known"
            case ConnectionRefusedError():
                return "nothing listens there"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted, {quoted(one.verify_message)}"
    return type(error).__name__


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, and what lies below it as each library wraps it: a reason, an argument, a cause."""
    waiting, seen = [error], 0
    while waiting and seen < _DEEPEST:
        one = waiting.pop(0)
        seen += 1
        yield one
        below = (getattr(one, "reason", None), *one.args, one.__cause__)
        waiting += [inner for inner in below if isinstance(inner, BaseException) and inner is not one]
