"""What commands print for people."""

import pytest

from portal.cli.messages import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (61, "61 seconds"),
        (900, "15 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (28800, "8 hours"),
        (86400, "1 day"),
        (90000, "25 hours"),
        (30 * 86400, "30 days"),
    ],
)
def test_a_duration_has_the_largest_unit_that_fits(seconds: int, text: str) -> None:
    assert duration(seconds) == text
