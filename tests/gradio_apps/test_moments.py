"""Times in words."""

import pytest

from gradio_apps.moments import ago, ahead, exactly, span
from tests.builders import NOW


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (2 * 86400, "2 days"),
    ],
)
def test_spans_are_said_in_their_largest_unit(seconds: int, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(-5, "just now"), (59, "just now"), (61, "1 minute ago")])
def test_the_past_is_said_as_ago(seconds: int, words: str) -> None:
    assert ago(NOW - seconds, now=NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "now"), (0, "now"), (5, "in 1 minute"), (30 * 86400 - 3, "in 30 days"), (7200, "in 2 hours")],
)
def test_the_future_is_said_to_the_next_minute(seconds: int, words: str) -> None:
    assert ahead(NOW + seconds, now=NOW) == words


def test_moments_are_said_in_utc() -> None:
    assert exactly(NOW) == "15 Jan 2027, 08:00 UTC"
