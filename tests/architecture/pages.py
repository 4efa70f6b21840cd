"""The project's own documentation as data: headings, tables, blocks of code, code spans and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without blocks of code."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """Return the blocks of code in *language*."""
        return [text for name, text in _FENCE.findall(self.text) if name == language]

    def section(self, heading: str) -> str:
        """Return the text under *heading*, up to the next one of any level."""
        _, found, rest = self.text.partition(f"## {heading}\n")
        assert found, f"{self} has no section {heading!r}"
        return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the table under *heading*, without its header row."""
        lines = [line for line in self.section(heading).splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    def codes(self, heading: str, *, column: int = 0) -> list[str]:
        """Return the code spans in *column* of the table under *heading*."""
        cells = [row[column] for row in self.rows(heading)]
        assert [cell for cell in cells if not re.fullmatch(r"`[^`]+`", cell)] == []
        return [cell.strip("`") for cell in cells]

    def spans(self) -> Iterator[str]:
        """Yield the code spans."""
        yield from re.findall(r"`([^`\n]+)`", self.prose)

    def links(self) -> Iterator[str]:
        """Yield the targets of links and images."""
        yield from re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", self.prose))

    def anchors(self) -> set[str]:
        """Return the anchors of the headings, as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def page(name: str) -> Page:
    """Return the page called *name*, relative to the checkout."""
    return Page(ROOT / name)


ALL = tuple(Page(path) for path in (*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))))
"""Every page."""
