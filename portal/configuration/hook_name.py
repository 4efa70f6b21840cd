"""The name of the company's sign-in hook.  ``portal.sign_in.hook`` loads the function."""

import re
from typing import Final

from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.settings import SIGN_IN_HOOK

_WORD: Final = r"[^\W\d]\w*"
_NAME: Final = re.compile(rf"{_WORD}(?:\.{_WORD})*:{_WORD}(?:\.{_WORD})*")


def read_hook_name(variables: Variables, report: Report) -> str | None:
    """Return ``package.module:function``, or ``None`` where there is no hook."""
    name = variables.get(SIGN_IN_HOOK)
    if name is not None and not _NAME.fullmatch(name):
        report.environment(
            SIGN_IN_HOOK, "names no function.", "Write package.module:function, like company.rules:who_comes_in."
        )
        return None
    return name
