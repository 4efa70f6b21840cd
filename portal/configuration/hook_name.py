"""The name of the company's sign-in hook.  ``portal.sign_in.hook`` loads the function."""

import re
from typing import Final

from portal.configuration.declaration import Variable
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.settings import SIGN_IN_HOOK

_WORD: Final = r"[^\W\d]\w*"
_NAME: Final = re.compile(rf"{_WORD}(?:\.{_WORD})*:{_WORD}(?:\.{_WORD})*")
HOOK: Final = Variable(SIGN_IN_HOOK, "none", "company.rules:who_comes_in")
"""The company's own rule for who may come in: a function with the signature of Chainlit's oauth_callback."""


def read_hook_name(variables: Variables, report: Report) -> str | None:
    """Return ``package.module:function``, or ``None`` if there is no hook."""
    name = variables.get(SIGN_IN_HOOK)
    if name is not None and not _NAME.fullmatch(name):
        fix = f"Write package.module:function, like {HOOK.example}."
        report.environment(SIGN_IN_HOOK, "is not the name of a function.", fix)
        return None
    return name
