"""The environment: real variables over those of ``.env``, and secrets in files.

An empty variable counts as unset, because that is how Compose files and shells leave one out.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from portal.configuration.report import Report
from portal.contract.slugs import is_slug, slug_from
from portal.errors import closest

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CAPITALS: Final = re.compile(r"[A-Z][A-Z0-9_]*")

_OF_APPS: Final = frozenset(
    {
        "PORTAL_APP",
        "PORTAL_APP_COOKIES",
        "PORTAL_APP_SECRET",
        "PORTAL_APP_SECRET_FD",
        "PORTAL_APP_SECRET_FILE",
        "PORTAL_APP_SHARED_FILES",
        "PORTAL_APP_TITLE",
        "PORTAL_APP_URL",
    }
)
"""Variables of the guards of apps, not of the portal."""


def environment(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return *environ* over the variables of ``.env`` in *directory*, if there is one.

    Values are taken as they are written: nothing is interpolated into them.
    """
    file = directory / ".env"
    written = dotenv_values(file, interpolate=False, encoding="utf-8-sig") if file.is_file() else {}
    return {name: value for name, value in written.items() if value is not None} | dict(environ)


def printable(name: str) -> str:
    """Return *name* for a message, unless it looks like a secret written instead of a variable's name."""
    return name if _CAPITALS.fullmatch(name) else "(not shown: it does not look like the name of a variable)"


class Variables:
    """Reads single variables and notes their problems."""

    def __init__(self, environ: Mapping[str, str], report: Report) -> None:
        self._environ = environ
        self._report = report

    def get(self, name: str) -> str | None:
        """Return the variable *name* without surrounding space, or ``None`` if it is unset or empty."""
        return self._environ.get(name, "").strip() or None

    def words(self, name: str) -> tuple[str, ...] | None:
        """Return the words of the variable *name*, separated by commas or spaces, without repetitions."""
        text = self.get(name)
        return None if text is None else tuple(dict.fromkeys(text.replace(",", " ").split()))

    def names(self) -> frozenset[str]:
        """Return the names of all variables that are set to something."""
        return frozenset(name for name, value in self._environ.items() if value.strip())

    def mentions(self, name: str) -> bool:
        """Return whether the secret *name* is set, as a variable or as a file, readable or not."""
        return self.get(name) is not None or self.get(f"{name}_FILE") is not None

    def slug(self, name: str, *, default: str) -> str:
        """Return the title *name* as a name in addresses; *default* if it is unset or in another script."""
        title = self.get(name) or default
        slug = slug_from(title, longest=len(title)) or default
        if not is_slug(slug):
            self._report.environment(name, "is too long for a name in addresses.", "Use a shorter one.")
            return default
        return slug

    def secret(self, name: str) -> str | None:
        """Return the secret *name*, from the variable or from the file that ``<name>_FILE`` names."""
        value, file = self.get(name), self.get(f"{name}_FILE")
        if value is not None and file is not None:
            self._report.environment(name, f"is set beside {name}_FILE.", "Set one of the two.")
        if value is not None or file is None:
            return value
        try:
            text = Path(file).read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            self._report.environment(f"{name}_FILE", f"names a file that cannot be read: {reason}.", "Fix the path.")
            return None
        if not text:
            self._report.environment(f"{name}_FILE", "names an empty file.", "Put the secret into it.")
        return text or None


def check_misspelt(variables: Variables, *, known: frozenset[str], report: Report) -> None:
    """Note variables whose names are nearly one of *known*: a misspelt setting must not be ignored silently."""
    for name in sorted(variables.names() - known - _OF_APPS):
        plain = name.removesuffix("_FILE")
        # Only what is very near: Kubernetes puts PORTAL_PORT and the like into every environment.
        near = closest(plain, known - variables.names(), cutoff=0.9) if name.startswith("PORTAL_") else None
        if near is not None and near != plain:
            report.environment(name, "is not a variable of the portal.", f"Did you mean {near}?")
