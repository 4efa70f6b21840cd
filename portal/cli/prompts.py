"""Questions at a terminal: each is repeated until its answer is valid, and offers the earlier answer."""

from collections.abc import Callable
from typing import Final

import click

from portal.machine.failure import CommandFailed
from portal.machine.terminal import plain

_NONE: Final = "-"
"""The answer that removes an earlier one."""


class Questions:
    """The answers by option; without a terminal, only options answer."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self._answers: dict[str, str] = {}
        self._secret = ""
        self._missing: list[str] = []
        self._is_repeat = False

    def ask(
        self,
        flag: str,
        question: str,
        *,
        given: str | None = None,
        optional: bool = False,
        check: Callable[[str], object] = lambda _: None,
    ) -> str | None:
        """Return what *flag* was *given*, else the answer to *question*; ``None`` if empty.

        Raises:
            CommandFailed: *check* refused what was given; if it refuses an answer, the question is repeated.
            click.Abort: the terminal was closed.
        """
        if not self.asks or (given is not None and not self._is_repeat):
            value = (given or "").strip()
            if value:
                check(value)
            elif not optional:
                self._missing.append(flag)
            self._answers[flag] = value
            return value or None
        before = self._answers.get(flag, "")
        if before:
            question += f" [{plain(before)}{f'; {_NONE} for none' if optional else ''}]"

        def valid(text: str) -> str:
            value = text.strip() or before
            if optional and value in {"", _NONE}:
                return ""
            if not value:
                raise click.UsageError("An answer is required.")
            try:
                check(value)
            except CommandFailed as failure:
                raise click.UsageError(plain(str(failure))) from failure
            return value

        self._answers[flag] = click.prompt(question, default=before, show_default=False, value_proc=valid)
        return self._answers[flag] or None

    def ask_secretly(self, what: str) -> str:
        """Return a secret, which the terminal does not show; empty for none."""
        if self.asks:
            otherwise = "keep it" if self._secret else "fill it in later"
            question = f"{what} (not shown; empty: {otherwise})"
            self._secret = click.prompt(question, default=self._secret, show_default=False, hide_input=True)
        return self._secret

    def again(self, why: str) -> None:
        """Print *why*, and from now on ask every question, with the earlier answer as the default."""
        click.echo(f"\n{why}\n")
        self._is_repeat = True

    def require_all(self) -> None:
        """Check that no required option is missing.

        Raises:
            CommandFailed: lists those that are missing.
        """
        if self._missing:
            option = "option" if len(self._missing) == 1 else "options"
            raise CommandFailed(f"Missing {option}: {', '.join(self._missing)}.")
