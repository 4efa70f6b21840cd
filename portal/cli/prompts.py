"""Questions at a terminal: asked again until the answer will do, and a second time with what was said before."""

import getpass
from collections.abc import Callable
from typing import Final

from portal.machine.failure import CommandFailed
from portal.machine.terminal import plain

_NONE: Final = "-"
"""Written in the place of an answer that is not to be kept."""


class Questions:
    """What was asked for, by the flag that says the same; without a terminal, flags alone answer."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self._said: dict[str, str] = {}
        self._secret = ""
        self._missing: list[str] = []
        self._is_again = False

    def ask(
        self,
        flag: str,
        question: str,
        *,
        given: str | None = None,
        optional: bool = False,
        check: Callable[[str], object] = lambda _: None,
    ) -> str | None:
        """Return what *flag* was *given*, else the answer to *question*; ``None`` for nothing.

        Raises:
            CommandFailed: *check* raises it for what was given; for an answer it is said, and asked again.
            EOFError: the terminal was closed.
        """
        if not self.asks or (given is not None and not self._is_again):
            value = (given or "").strip()
            if value:
                check(value)
            elif not optional:
                self._missing.append(flag)
            self._said[flag] = value
            return value or None
        before = self._said.get(flag, "")
        while True:
            kept = f"{plain(before)}; {_NONE} for none" if optional else plain(before)
            value = input(f"{question}{f' [{kept}]' if before else ''}: ").strip() or before
            if optional and value == _NONE:
                value = ""
            if not value and optional:
                break
            if not value:
                print("This has to be answered.")
                continue
            try:
                check(value)
            except CommandFailed as failure:
                print(plain(str(failure)))
                before = "" if value == before else before
            else:
                break
        self._said[flag] = value
        return value or None

    def ask_secretly(self, what: str) -> str:
        """Return a secret that is not shown while it is written; empty for none."""
        if self.asks:
            otherwise = "keep it" if self._secret else "fill it in later"
            self._secret = getpass.getpass(f"{what} (not shown; empty: {otherwise}): ") or self._secret
        return self._secret

    def again(self, why: str) -> None:
        """Say *why*, and ask everything from now on, with what was said as the answer that Enter keeps."""
        print(f"\n{why}\n")
        self._is_again = True

    def require_all(self) -> None:
        """See to it that flags have said all that has to be said.

        Raises:
            CommandFailed: names those that are missing.
        """
        if self._missing:
            option = "option" if len(self._missing) == 1 else "options"
            raise CommandFailed(f"Missing {option}: {', '.join(self._missing)}.")
