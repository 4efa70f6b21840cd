"""What the README of a Hugging Face Space says of it, for those who run it and those who make its environment."""

import re
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"""(?P<key>[A-Za-z_]\w*)\s*:\s*(?P<quote>["']?)(?P<value>[^"'#]*)(?P=quote)\s*(#.*)?""")
_FRONT_MATTER: Final = "---"
_LARGEST_README: Final = 1 << 20


def front_matter_lines(readme: str) -> list[str]:
    """Return the lines between the fences at the top of *readme*, or up to its end; none where there is no fence."""
    lines = [line.rstrip() for line in readme.lstrip("\ufeff").splitlines()]
    if not lines or lines[0] != _FRONT_MATTER:
        return []
    return lines[1 : lines.index(_FRONT_MATTER, 1) if _FRONT_MATTER in lines[1:] else None]


def front_matter(readme: str) -> dict[str, str]:
    """Return the plain ``key: value`` lines at the top of a Space's *readme*; lists and nesting are left out."""
    found: dict[str, str] = {}
    for line in front_matter_lines(readme):
        match = _LINE.fullmatch(line)
        if match and match["value"].strip():
            found[match["key"]] = match["value"].strip()
    return found


def front_matter_of(readme: Path) -> dict[str, str]:
    """Return :func:`front_matter` of the file *readme*; nothing where there is none."""
    return front_matter(read_readme(readme))


def read_readme(readme: Path) -> str:
    """Return the text of the file *readme*, as far as it is one; nothing where there is none.

    Raises:
        OSError: it cannot be read.
    """
    if not readme.is_file():
        return ""
    with readme.open(encoding="utf-8", errors="replace") as text:
        return text.read(_LARGEST_README)
