"""What the README of a Hugging Face Space says of it, for those who run it and those who make its environment."""

import re
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"""(?P<key>[A-Za-z_]\w*)\s*:\s*(?P<quote>["']?)(?P<value>[^"'#]*)(?P=quote)\s*(#.*)?""")
_FRONT_MATTER: Final = "---"
_LARGEST_README: Final = 1 << 20


def front_matter(readme: str) -> dict[str, str]:
    """Return the plain ``key: value`` lines at the top of a Space's *readme*; lists and nesting are left out."""
    lines = readme.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != _FRONT_MATTER:
        return {}
    found: dict[str, str] = {}
    for line in lines[1:]:
        if line.rstrip() == _FRONT_MATTER:
            break
        match = _LINE.fullmatch(line)
        if match and match["value"].strip():
            found[match["key"]] = match["value"].strip()
    return found


def front_matter_of(readme: Path) -> dict[str, str]:
    """Return :func:`front_matter` of the file *readme*; nothing where there is none."""
    if not readme.is_file():
        return {}
    with readme.open(encoding="utf-8", errors="replace") as text:
        return front_matter(text.read(_LARGEST_README))
