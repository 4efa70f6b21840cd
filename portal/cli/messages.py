"""What commands print for people: errors, warnings and reports, coloured on terminals only; and the end of a help."""

import os
from collections.abc import Iterable
from typing import Final

import click

from portal.machine.terminal import plain

_COLOURS: Final = {
    "ok": "green",
    "note:": "yellow",
    "Note:": "yellow",
    "warning": "yellow",
    "problem": "red",
    "MISSING:": "red",
}
"""Of lines of a report, by their first word."""


def colours() -> bool | None:
    """Return whether to colour: not with ``NO_COLOR``, else as each stream is a terminal (``None``)."""
    return False if os.environ.get("NO_COLOR") else None


def print_error(message: str) -> None:
    """Print *message* to standard error, after the program's name in red."""
    _print(message, "red")


def print_warning(message: str) -> None:
    """Print *message* to standard error, after the program's name in yellow."""
    _print(message, "yellow")


def print_report(lines: Iterable[str]) -> None:
    """Print *lines*, with control characters spelled out."""
    click.echo("\n".join(_colour(line) for line in plain("\n".join(lines)).split("\n")))


def examples(*lines: str) -> str:
    """Return *lines* as the end of a command's help."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def _print(message: str, colour: str) -> None:
    click.echo(f"{click.style('portal:', fg=colour)} {plain(message)}", err=True, color=colours())


def _colour(line: str) -> str:
    word = line.strip().partition(" ")[0]
    return line.replace(word, click.style(word, fg=_COLOURS[word]), 1) if word in _COLOURS else line


def duration(seconds: int) -> str:
    """Return *seconds* in the largest unit that fits."""
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    name, length = next((name, length) for name, length in units if seconds % length == 0)
    return f"{seconds // length} {name}{'' if seconds == length else 's'}"
