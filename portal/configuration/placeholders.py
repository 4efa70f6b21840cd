"""Values left over from an example, such as ``<YOUR-CLIENT-ID>``.

Pure.  No message repeats a value: what looks like an example may be half of a secret.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.contract.slugs import is_slug
from portal.errors import ENVIRONMENT

_NOUN: Final = (
    r"(?:access|app|application|audience|auth0|base|client|company|database|domain|host|instance|issuer|key|keycloak|"
    r"name|okta|org|organi[sz]ation|password|pool|portal|project|provider|realm|region|secret|sub[-_]?domain|"
    r"tenant|token|url|user)"
)
_WHOLE: Final = re.compile(
    rf"<[^<>]+>|\[your[^\]]*\]|\$\{{[^}}]*\}}|\{{\{{.*\}}\}}|\.{{3,}}|\u2026|x{{3,}}|\*{{3,}}|"
    rf"(?:change|replace|fill)[-_ ]?(?:me|this|it|in)|place[-_ ]?holder|to[-_ ]?do|tbd|"
    rf"(?:insert|put|enter|paste|add)[-_ ].*(?:here|{_NOUN})|your(?:[-_ ]\w+)*[-_ ]{_NOUN}(?:[-_ ]\w+)*",
    re.IGNORECASE,
)
"""Matches a whole value; secrets are compared with this alone, since they may contain anything by chance."""
_WITHIN: Final = re.compile(
    rf"<[A-Za-z][\w .-]*>|\$\{{\w+\}}|\{{\{{[^{{}}]*\}}\}}|(?<![\w-])your[-_]?{_NOUN}(?![a-z])", re.IGNORECASE
)
"""Matches a part of a value that is not a secret."""
_SECRET: Final = re.compile(r"(?:SECRET|KEY|TOKEN|PASSWORD|DATABASE_URL|STORAGE)(?:_FILE)?")
_CHECKED: Final = frozenset({"PORTAL_SECRET_KEY", "SESSION_SECRET_KEY"})
"""Variables with a check of their own, which says how to make a key."""
_FREE: Final = frozenset({"title", "label", "description", "when"})
"""Keys of the file with prose or an expression."""
_FIX: Final = "Write the value that the provider, or your own setup, gives."


def is_placeholder(value: str, *, secret: bool = False) -> bool:
    """Return whether *value* is a placeholder for another one."""
    plain = value.strip().strip("\"'")
    return _WHOLE.fullmatch(plain) is not None or (not secret and _WITHIN.search(plain) is not None)


def check_placeholders(
    variables: Variables, document: Mapping[str, object], *, names: Collection[str], report: Report
) -> None:
    """Note placeholders in the variables *names* and in the *document*, instead of the problems they cause."""
    for name in sorted((variables.names() & frozenset(names)) - _CHECKED):
        if is_placeholder(variables.get(name) or "", secret=_SECRET.search(name) is not None):
            report.instead(ENVIRONMENT, name, "is still the placeholder of an example.", _FIX)
    for key, value in _texts(document, at=""):
        if is_placeholder(value):
            report.instead(report.place, key, "is still the placeholder of an example.", _FIX)


def _texts(value: object, *, at: str) -> Iterator[tuple[str, str]]:
    """Yield the texts in *value* other than prose, each under its dotted key."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        for index, one in enumerate(value):
            named = one.get("id") if isinstance(one, dict) else None
            inner = f"{at}.{named}" if is_slug(named) else f"{at}[{index}]" if isinstance(one, dict) else at
            yield from _texts(one, at=inner)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in _FREE:
                yield from _texts(one, at=f"{at}.{key}" if at else str(key))
