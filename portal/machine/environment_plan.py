"""What to install for an app: from what stands beside its source to requirements.  Pure.

Versions and requirements are read as PEP 440 and PEP 508 have them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from portal.contract.interpreters import GRADIO, NEEDED, minor_of

_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_PATCHES: Final = 100
"""Patch releases of a minor that are looked for in a requirement."""
_SPACE_EXTRAS: Final = "[oauth,mcp]"
"""What Hugging Face installs of Gradio for a Space."""


class CannotBeServed(Exception):
    """The app asks for what the host does not know; the message says what, where, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFiles:
    """What stands beside an app's source, as it was read."""

    requirements: str | None = None
    """Text of its requirements file."""
    requirements_name: str = "requirements.txt"
    sdk_version: str | None = None
    """Of a Space's README: the Gradio it was written for."""
    python_version: str | None = None
    """Of a Space's README."""
    is_space: bool = False
    has_packages: bool = False
    """Whether a Space asks for Debian packages (``packages.txt``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPlan:
    """What to install."""

    added: tuple[str, ...]
    """Requirements besides those of the file."""
    notes: tuple[str, ...] = field(default=())
    """Sentences for the operator about what is not done as the author wrote it."""


def install_plan_for(beside: SourceFiles, *, python: str) -> InstallPlan:
    """Return what to install for an app with *beside* its source, into an environment of *python* (``3.11``).

    Raises:
        CannotBeServed: its requirements leave none of the Gradios that can be served.
    """
    notes: list[str] = []
    extras = _SPACE_EXTRAS if beside.is_space else ""
    asked = list(_gradio_of(beside.requirements or ""))
    allowed = _allowed(asked, name=beside.requirements_name)
    if any(one.url for one in asked):
        notes.append(f"{beside.requirements_name} names an address for Gradio; which one that is shows at the end.")
        added: list[str] = []
    else:
        chosen = _chosen(allowed, beside, notes, pinned=bool(asked))
        added = [f"gradio{extras}=={chosen}.*"]
    added += [f"{name}>={oldest},<{below}" for name, oldest, below in NEEDED]
    if beside.python_version and minor_of(beside.python_version) not in {python, python.partition(".")[0]}:
        notes.append(
            f"README.md asks for Python {beside.python_version}; this environment has {python}. "
            "Another one is taken with --python."
        )
    if beside.has_packages:
        notes.append("packages.txt names Debian packages; they are not installed. Install them with apt, if need be.")
    if beside.requirements is None:
        notes.append(f"There is no {beside.requirements_name}; Gradio is installed, and what the guard needs.")
    return InstallPlan(added=tuple(added), notes=tuple(notes))


def _gradio_of(text: str) -> Iterator[Requirement]:
    """Yield the lines of a requirements file that are about Gradio and hold here."""
    for raw in text.replace("\\\n", " ").splitlines():
        line = _COMMENT.sub("", raw).partition(" --")[0].strip()
        try:
            found = Requirement(line)
        except InvalidRequirement:
            continue  # an option, a path or a mistake: the installer's to read
        if canonicalize_name(found.name) == "gradio" and (found.marker is None or found.marker.evaluate()):
            yield found


def _allowed(asked: list[Requirement], *, name: str) -> tuple[str, ...]:
    specifiers = SpecifierSet()
    for one in asked:
        specifiers &= one.specifier
    allowed = tuple(
        minor
        for minor in GRADIO
        if any(specifiers.contains(f"{minor}.{patch}", prereleases=True) for patch in range(_PATCHES))
    )
    if not allowed:
        served = " or ".join(f"gradio=={minor}.*" for minor in GRADIO)
        raise CannotBeServed(
            f"{name} asks for gradio{specifiers}, and apps can be served with Gradio {' or '.join(GRADIO)} only. "
            f"Write {served} there, and try the app with it."
        )
    return allowed


def _chosen(allowed: tuple[str, ...], beside: SourceFiles, notes: list[str], *, pinned: bool) -> str:
    written_for = beside.sdk_version
    if written_for is None:
        return allowed[-1]
    alike = [minor for minor in allowed if minor.partition(".")[0] == written_for.partition(".")[0]]
    if not alike and not pinned:
        raise CannotBeServed(
            f"README.md says sdk_version {written_for}, and apps can be served with Gradio {' or '.join(GRADIO)} only. "
            "Bring the app to one of them and change sdk_version."
        )
    chosen = alike[-1] if alike else allowed[-1]
    if minor_of(written_for) != chosen:
        notes.append(f"README.md says sdk_version {written_for}; Gradio {chosen} is installed in its place.")
    return chosen
