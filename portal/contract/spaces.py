"""What the README of a Hugging Face Space says of it, for those who run it and those who make its environment."""

import re
import stat
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"""(?P<key>[A-Za-z_]\w*)\s*:\s*(?P<quote>["']?)(?P<value>[^"'#]*)(?P=quote)\s*(#.*)?""")
_FRONT_MATTER: Final = "---"
_LARGEST_README: Final = 1 << 20
_DEFAULT_APP_FILE: Final = "app.py"


class NotASpace(Exception):
    """The folder is none that can be run here; ``str(error)`` says why."""


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


def app_file_of(folder: Path) -> Path:
    """Return the file of the app in *folder*, which its README names as ``app_file``.

    Raises:
        NotASpace: there is none, or the Space is not a Gradio one.
        OSError: the folder or its README cannot be read.
    """
    readme = folder / "README.md"
    settings = front_matter_of(readme)
    if settings.get("sdk", "gradio") != "gradio":
        raise NotASpace(f"{readme}: sdk is {settings['sdk']!r}, only gradio can be run here.")
    file = (folder / settings.get("app_file", _DEFAULT_APP_FILE)).resolve()
    # A Space is somebody else's folder: its README must not point out of it.
    if not file.is_relative_to(folder.resolve()):
        raise NotASpace(f"{readme}: app_file leads out of the folder.")
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    if not stat.S_ISREG(mode):
        raise NotASpace(f"{file}: no such file; app_file in {readme} names the app.")
    return file


def read_readme(readme: Path) -> str:
    """Return the text of the file *readme*, as far as it is one; nothing where there is none.

    Raises:
        OSError: it cannot be read.
    """
    if not readme.is_file():
        return ""
    with readme.open(encoding="utf-8", errors="replace") as text:
        return text.read(_LARGEST_README)
