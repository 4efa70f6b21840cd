"""The source of an app: a file, a module, or the folder of a Hugging Face Space.

This only reads; it does not run the author's code.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.spaces import NotASpace, app_file_of

_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class SourceError(Exception):
    """The source is not something that can be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or a module to run; exactly one of the two is set."""

    folder: Path
    """Absolute; first on the app's ``sys.path``."""
    file: Path | None = None
    module: str | None = None

    @property
    def argv0(self) -> str:
        """The value of ``sys.argv[0]``."""
        return str(self.file) if self.file is not None else str(self.module)


def read_source(text: str, *, base: Path) -> Source:
    """Return the source named *text*; paths are relative to *base*.

    Raises:
        SourceError: the file or folder does not exist, or is not a Gradio Space.
    """
    path = (base / text).absolute()
    if path.is_dir():
        return _space(path)
    if path.is_file():
        return Source(folder=path.parent, file=path)
    if text.endswith(".py") or not _MODULE.fullmatch(text):
        raise SourceError(f"{path}: no such file or folder.")
    return Source(folder=base.absolute(), module=text)


def _space(folder: Path) -> Source:
    try:
        return Source(folder=folder, file=app_file_of(folder))
    except NotASpace as error:
        raise SourceError(str(error)) from error
