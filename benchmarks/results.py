"""Keeps what a benchmark measured in ``results.md``, with the machine and the versions it was measured on."""

import os
import platform
import re
import sqlite3
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parent / "results.md"
_HEAD: Final = """# Results

Each section is written by the command that it names.  Numbers of one machine say little about another.
"""
_PACKAGES: Final = ("gradio", "flask", "gunicorn", "sqlalchemy", "uvicorn")


def write(title: str, text: str, *, command: str) -> None:
    """Replace the section *title* of the results by *text*, which *command* measured just now."""
    known = FILE.read_text(encoding="utf-8") if FILE.exists() else _HEAD
    section = f"\n## {title}\n\n`{command}`, {machine()}.\n\n{text.strip()}\n"
    without = re.sub(rf"\n## {re.escape(title)}\n.*?(?=\n## |\Z)", "", known, flags=re.DOTALL)
    FILE.write_text(without.rstrip("\n") + "\n" + section, encoding="utf-8")


def machine() -> str:
    """Return the day, the machine and the versions, in one line."""
    today = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    cores = len(os.sched_getaffinity(0))
    kernel = ".".join(platform.release().split(".")[:2])
    hardware = f"{platform.system()} {kernel}, {cores} cores, {memory:.0f} GiB"
    return f"{today}, {hardware}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"
