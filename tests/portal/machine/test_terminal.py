"""Untrusted text does not control the terminal, and stays readable in every language."""

import pytest

from portal.machine.terminal import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\rb\x9b31m", "a\\rb\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("two\n\tlines", "two\n\tlines"),
        ("10\u00a0%, क्\u200dष, 👩\u200d💻", "10\u00a0%, क्\u200dष, 👩\u200d💻"),
    ],
    ids=["a title", "controls", "direction", "lines", "languages"],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert plain(text) == shown
