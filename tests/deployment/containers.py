"""``Dockerfile``, ``.dockerignore`` and ``compose.yaml`` as data: as much of them as ours use, and not a word more.

What is not understood is an error, so that nothing in them passes by untested.
"""

import fnmatch
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.architecture.sources import ROOT

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the Dockerfile."""

    stage: int
    word: str
    text: str

    def form(self) -> list[str]:
        """Return the words of an exec form; a shell form is an error."""
        words: list[str] = json.loads(self.text)
        return words


def steps() -> list[Step]:
    """Return the instructions, in order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found, stage = [], -1
    for line in filter(str.strip, lines.splitlines()):
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        found.append(Step(stage, word, rest.strip()))
    return found


def image_environment() -> dict[str, str]:
    """Return what the last stage sets."""
    last = steps()[-1].stage
    pairs = [one.text for one in steps() if one.word == "ENV" and one.stage == last]
    return dict(pair.split("=", 1) for text in pairs for pair in text.split())


def copied() -> Iterator[Path]:
    """Yield the files that the first stage copies, relative to the checkout, as far as ``.dockerignore`` lets it."""
    for step in steps():
        if step.word == "COPY" and not step.text.startswith("--from"):
            for source in step.text.split()[:-1]:
                place = ROOT / source
                assert place.exists(), f"the Dockerfile copies {source}, which does not exist"
                for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                    relative = file.relative_to(ROOT)
                    if file.is_file() and not is_ignored(relative):
                        yield relative


def is_ignored(path: Path) -> bool:
    """Say whether ``.dockerignore`` leaves *path* out; the last pattern that is about it, or a folder of it, counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if any(_is_about(pattern, one) for one in (path, *path.parents[:-1])):
                ignored = not line.startswith("!")
    return ignored


def _is_about(pattern: str, path: Path) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.name, pattern.removeprefix("**/"))
    return len(path.parts) == 1 and fnmatch.fnmatchcase(path.name, pattern)


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return ``compose.yaml`` with *variables* filled in, as Compose would from ``.env``."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        assert kind == "-", f"{name} is required: {rest}"
        return str(rest)

    read: Any = importlib.import_module("yaml")  # it comes with Gradio, without types
    document: dict[str, Any] = read.safe_load(_VARIABLE.sub(value, text))
    return document
