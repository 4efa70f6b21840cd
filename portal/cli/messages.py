"""What commands print for people: errors, warnings and reports, coloured on terminals only."""

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
    """Print *message* to standard error, after the program's name."""
    click.echo(f"{click.style('portal:', fg='red')} {plain(message)}", err=True, color=colours())


def print_warning(message: str) -> None:
    """Print *message* to standard error, after the program's name."""
    click.echo(f"{click.style('portal:', fg='yellow')} {message}", err=True)


def print_report(lines: Iterable[str]) -> None:
    """Print *lines*, with control characters spelled out."""
    click.echo("\n".join(_colour(line) for line in plain("\n".join(lines)).split("\n")))


def _colour(line: str) -> str:
    word = line.strip().partition(" ")[0]
    return line.replace(word, click.style(word, fg=_COLOURS[word]), 1) if word in _COLOURS else line
