"""Names of browsers."""

import pytest

from portal.web.browser_names import browser_name

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/150.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        (f"Mozilla/5.0 (Linux; Android 15) {WEBKIT} Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Firefox/150.0", "Firefox"),
        ("curl/8.0", "curl/8.0"),
        ("", "An unknown browser"),
        ("x" * 100, "x" * 60),
    ],
)
def test_it_has_a_name_that_people_recognise(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name
