"""The README of a Hugging Face Space: its front matter, and the app file that it names."""

import errno
import stat
from pathlib import Path
from typing import Final

import yaml

_FENCE: Final = "---"
_LARGEST_README: Final = 1 << 20
_LARGEST_FRONT_MATTER: Final = 64 * 1024
_DEFAULT_APP_FILE: Final = "app.py"
_NO_FILE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class NotASpace(Exception):
    """The folder cannot be run as a Space; ``str(error)`` says why."""


class _Loader(yaml.BaseLoader):  # type: ignore[misc] # yaml ships no types
    """Reads every scalar as the text that is written: YAML 1.1 would take the Python version 3.10 for 3.1."""

    def compose_node(self, parent: object, index: object) -> object:
        if self.check_event(yaml.AliasEvent):  # a few of them can stand for gigabytes
            raise _yaml_error("aliases are not supported", self.peek_event())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, object]:  # noqa: FBT001, FBT002 - as PyYAML calls it
        mapping: dict[str, object] = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise _yaml_error("a key appears twice", node)
        return mapping


def _yaml_error(problem: str, at: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def read_front_matter(readme: Path) -> dict[str, object]:
    """Return the front matter of the file *readme*: texts, and lists and mappings of them; empty if there is none.

    Raises:
        NotASpace: it is not a YAML mapping.
        OSError: the file cannot be read.
    """
    if not readme.is_file():
        return {}
    with readme.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_LARGEST_README)
    try:
        return parse_front_matter(text)
    except NotASpace as error:
        raise NotASpace(f"{readme}: {error}") from error


def parse_front_matter(readme: str) -> dict[str, object]:
    """Return what is between the fences at the top of *readme*, or up to its end; see :func:`read_front_matter`.

    Raises:
        NotASpace: it is not a YAML mapping.
    """
    lines = [line.rstrip() for line in readme.lstrip("\ufeff").splitlines()]
    if not lines or lines[0] != _FENCE:
        return {}
    text = "\n".join(lines[1 : lines.index(_FENCE, 1) if _FENCE in lines[1:] else None])
    if len(text) > _LARGEST_FRONT_MATTER:
        raise NotASpace(f"the front matter is longer than {_LARGEST_FRONT_MATTER} characters.")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a BaseLoader makes only texts, lists and dictionaries
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 2}: " if error.problem_mark else ""
        raise NotASpace(f"the front matter is not valid YAML: {line}{error.problem}.") from error
    except RecursionError as error:
        raise NotASpace("the front matter is not valid YAML: it is nested too deeply.") from error
    except (ValueError, OverflowError) as error:  # of an escaped character, or of a version of YAML
        raise NotASpace("the front matter is not valid YAML: a number in it is too large.") from error
    except yaml.YAMLError as error:
        problem = str(error).partition("\n")[0]
        raise NotASpace(f"the front matter is not valid YAML: {problem}.") from error
    if value is None:
        return {}
    if type(value) is not dict:
        raise NotASpace("the front matter is not a list of `key: value` lines.")
    return value


def text_of(front_matter: dict[str, object], key: str) -> str | None:
    """Return the text that *front_matter* has for *key*; ``None`` if it has none, or something else."""
    value = front_matter.get(key)
    return value if type(value) is str and value else None


def app_file_of(folder: Path) -> Path:
    """Return the file of the app in *folder*: ``app_file`` of its README, else ``app.py``.

    Raises:
        NotASpace: there is no such file, or the README is not that of a Gradio Space.
        OSError: the folder or its README cannot be read.
    """
    readme = folder / "README.md"
    front_matter = read_front_matter(readme)
    sdk = text_of(front_matter, "sdk") or "gradio"
    if sdk != "gradio":
        raise NotASpace(f"{readme}: sdk is {sdk!r}, but only gradio can be run here.")
    try:
        file = (folder / (text_of(front_matter, "app_file") or _DEFAULT_APP_FILE)).resolve()
    except (ValueError, RuntimeError) as error:  # NUL, half of a surrogate pair; links in a circle, before Python 3.13
        raise NotASpace(f"{readme}: app_file is not the path of a file.") from error
    # The author of a Space is not trusted: its README must not name a file outside its folder.
    if not file.is_relative_to(folder.resolve()):
        raise NotASpace(f"{readme}: app_file is outside the folder.")
    try:
        mode = file.stat().st_mode
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        mode = 0
    if not stat.S_ISREG(mode):
        raise NotASpace(f"{file}: no such file. Correct app_file in {readme}.")
    return file
