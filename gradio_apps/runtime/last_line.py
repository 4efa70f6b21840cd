"""The last line of a log, safe to show: without secrets and control characters, and of bounded length."""

import os
import stat
from collections.abc import Iterable
from typing import Final

from portal.contract.redaction import redact
from portal.contract.truncation import shorten

LONGEST: Final = 300
"""Characters shown of a line."""
_WINDOW: Final = 64 * 1024


def last_line(descriptor: int, *, hidden: Iterable[str], since: int = 0) -> str:
    """Return the last non-empty line of the regular file *descriptor*, without any of *hidden*.

    Only bytes after the first *since* count; of a file that was emptied, all of them.

    Empty where nothing can be read, as of a terminal, a pipe or a write-only file.
    """
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return ""
        since = since if since <= status.st_size else 0
        begin = max(since, status.st_size - _WINDOW)
        text = os.pread(descriptor, _WINDOW, begin).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = text.splitlines()
    if begin > since:
        lines = lines[1:]  # cut at its beginning, it may hold half a secret
    line = next((line for line in reversed(lines) if line.strip()), "")
    shown = "".join(character for character in redact(line, hidden=hidden) if character.isprintable()).strip()
    return shorten(shown, longest=LONGEST)
