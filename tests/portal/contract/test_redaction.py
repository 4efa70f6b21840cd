"""Secrets taken out of text."""

from portal.contract.redaction import redact


def test_a_secret_is_hidden_in_each_of_its_lines_and_the_longest_first() -> None:
    hidden = ["first line\nsecond line", "secret", "secret-and-more", "key", ""]

    assert redact("a first line, a second line", hidden=hidden) == "a ********, a ********"
    assert redact("key secret-and-more secret", hidden=hidden) == "key ******** ********"
