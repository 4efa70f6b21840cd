"""What to install for an app, from the files beside its source.  Pure.

Versions follow PEP 440, requirements PEP 508.
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
"""Patch releases of each minor version that are tried against a requirement."""
_SPACE_EXTRAS: Final = "[oauth,mcp]"
"""Extras of Gradio that Hugging Face installs for a Space."""


class CannotBeServed(Exception):
    """The app needs a version that the host does not support; the message says which, where, and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFiles:
    """Contents of the files beside an app's source."""

    requirements: str | None = None
    """Text of its requirements file."""
    requirements_name: str = "requirements.txt"
    sdk_version: str | None = None
    """From a Space's README: the Gradio version it was written for."""
    python_version: str | None = None
    """From a Space's README."""
    is_space: bool = False
    has_packages: bool = False
    """Whether a Space needs Debian packages (``packages.txt``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPlan:
    """What to install."""

    added: tuple[str, ...]
    """Requirements in addition to those of the file."""
    notes: tuple[str, ...] = field(default=())
    """Sentences for the operator about differences from what the author wrote."""


def install_plan_for(files: SourceFiles, *, python: str) -> InstallPlan:
    """Return what to install for an app with these *files*, into an environment of *python* (``3.11``).

    Raises:
        CannotBeServed: its requirements allow no Gradio version that can be served.
    """
    notes: list[str] = []
    extras = _SPACE_EXTRAS if files.is_space else ""
    requirements = list(_gradio_of(files.requirements or ""))
    allowed = _allowed(requirements, name=files.requirements_name)
    if any(one.url for one in requirements):
        notes.append(f"{files.requirements_name} names an address for Gradio; the end of the output shows its version.")
        added: list[str] = []
    else:
        chosen = _chosen(allowed, files, notes, pinned=bool(requirements))
        added = [f"gradio{extras}=={chosen}.*"]
    added += [f"{name}>={oldest},<{below}" for name, oldest, below in NEEDED]
    if files.python_version and minor_of(files.python_version) not in {python, python.partition(".")[0]}:
        notes.append(
            f"README.md asks for Python {files.python_version}; this environment has {python}. "
            "Use --python for another one."
        )
    if files.has_packages:
        notes.append("packages.txt names Debian packages, which are not installed. Install them with apt if needed.")
    if files.requirements is None:
        notes.append(f"There is no {files.requirements_name}: only Gradio and the guard's requirements are installed.")
    return InstallPlan(added=tuple(added), notes=tuple(notes))


def _gradio_of(text: str) -> Iterator[Requirement]:
    """Yield the requirements of Gradio in a requirements file whose markers hold here."""
    for raw in text.replace("\\\n", " ").splitlines():
        line = _COMMENT.sub("", raw).partition(" --")[0].strip()
        try:
            found = Requirement(line)
        except InvalidRequirement:
            continue  # an option, a path or a mistake, which uv reads
        if canonicalize_name(found.name) == "gradio" and (found.marker is None or found.marker.evaluate()):
            yield found


def _allowed(requirements: list[Requirement], *, name: str) -> tuple[str, ...]:
    specifiers = SpecifierSet()
    for one in requirements:
        specifiers &= one.specifier
    allowed = tuple(
        minor
        for minor in GRADIO
        if any(specifiers.contains(f"{minor}.{patch}", prereleases=True) for patch in range(_PATCHES))
    )
    if not allowed:
        served = " or ".join(f"gradio=={minor}.*" for minor in GRADIO)
        raise CannotBeServed(
            f"{name} requires gradio{specifiers}, but apps can be served only with Gradio {' or '.join(GRADIO)}. "
            f"Write {served} there, and test the app with it."
        )
    return allowed


def _chosen(allowed: tuple[str, ...], files: SourceFiles, notes: list[str], *, pinned: bool) -> str:
    written_for = files.sdk_version
    if written_for is None:
        return allowed[-1]
    alike = [minor for minor in allowed if minor.partition(".")[0] == written_for.partition(".")[0]]
    if not alike and not pinned:
        raise CannotBeServed(
            f"README.md says sdk_version {written_for}, but apps can be served only with Gradio {' or '.join(GRADIO)}. "
            "Update the app to one of them, and change sdk_version."
        )
    chosen = alike[-1] if alike else allowed[-1]
    if minor_of(written_for) != chosen:
        notes.append(f"README.md says sdk_version {written_for}; Gradio {chosen} is installed instead.")
    return chosen
