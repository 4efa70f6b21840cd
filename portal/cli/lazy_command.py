"""A command whose module is loaded only when the command runs, so that help and errors are there at once."""

from importlib import import_module
from typing import Any

import click


class LazyCommand(click.Command):
    """Name and summary of the command at *target*, as ``module:attribute``."""

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self._target = target

    def load(self) -> click.Command:
        """Return the command itself."""
        module, _, attribute = self._target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return a context of the command itself: whatever comes next uses that one."""
        return self.load().make_context(info_name, args, parent, **extra)
