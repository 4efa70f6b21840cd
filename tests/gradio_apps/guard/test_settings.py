"""The guard's settings: all problems at once, and never the secret."""

import os
from pathlib import Path

import pytest

from gradio_apps.runtime.guard import GuardSettingsError, guard_settings_from
from gradio_apps.runtime.guard.settings import origin_of

GOOD = {
    "PORTAL_URL": "https://portal.example.com/",
    "PORTAL_APP": "forecast",
    "PORTAL_APP_URL": "https://forecast.apps.example.com",
    "PORTAL_APP_SECRET": "s" * 43,
}


def problems_of(**changes: str) -> tuple[str, ...]:
    with pytest.raises(GuardSettingsError) as caught:
        guard_settings_from({**GOOD, **changes})
    return caught.value.problems


def test_the_least_that_must_be_said() -> None:
    settings = guard_settings_from(GOOD)

    assert "https://portal.example.com" == settings.portal_url == settings.call_url
    assert settings.cookies == "lax"
    assert not settings.shared_files
    assert settings.name == "forecast"
    assert settings.call_headers == {}
    assert frozenset({b"forecast.apps.example.com", b"forecast.apps.example.com:443"}) == settings.hosts
    assert "s" * 43 not in repr(settings)


def test_everything_that_can_be_said() -> None:
    settings = guard_settings_from(
        {
            **GOOD,
            "PORTAL_INTERNAL_URL": "http://127.0.0.1:7800",
            "PORTAL_APP_URL": "https://apps.example.com:8443/forecast/",
            "PORTAL_APP_TITLE": "Forecast 2",
            "PORTAL_APP_COOKIES": "partitioned",
            "PORTAL_APP_SHARED_FILES": "true",
            "PORTAL_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32 192.0.2.1",
        }
    )

    assert settings.call_url == "http://127.0.0.1:7800"
    assert settings.call_headers == {"host": "portal.example.com"}
    assert (settings.path, settings.app_origin) == ("/forecast", "https://apps.example.com:8443")
    assert frozenset({b"apps.example.com:8443"}) == settings.hosts
    assert settings.cookie_name == "__Secure-portal-app-forecast"
    assert settings.name == "Forecast 2"
    assert settings.shared_files
    assert [str(one) for one in settings.trusted_proxies.networks] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"]


def test_nothing_said_is_everything_missing() -> None:
    with pytest.raises(GuardSettingsError) as caught:
        guard_settings_from({})

    named = {problem.partition(":")[0] for problem in caught.value.problems}
    assert {"PORTAL_URL", "PORTAL_APP_URL", "PORTAL_APP", "PORTAL_APP_SECRET"} == named


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_URL", "http://portal.example.com"),
        ("PORTAL_URL", "portal.example.com"),
        ("PORTAL_URL", "ftp://portal.example.com"),
        ("PORTAL_URL", "https://portal.example.com/portal"),
        ("PORTAL_URL", "https://user:pw@portal.example.com"),
        ("PORTAL_URL", "https://portal.example.com?x=1"),
        ("PORTAL_URL", "https://portal.example.com:port"),
        ("PORTAL_URL", "https://[::1"),
        ("PORTAL_URL", "https://pörtal.example.com"),
        ("PORTAL_URL", "https://portal.example.com:0"),
        ("PORTAL_INTERNAL_URL", "http://portal.internal:7800"),
        ("PORTAL_APP_URL", "http://forecast.apps.example.com"),
        ("PORTAL_APP_URL", "https://apps.example.com/a//b"),
        ("PORTAL_APP_URL", "https://apps.example.com/a;b"),
        ("PORTAL_APP_URL", "https://portal.example.com"),
        ("PORTAL_APP", "Forecast"),
        ("PORTAL_APP", "-x"),
        ("PORTAL_APP", "a" * 64),
        ("PORTAL_APP", "a.b"),
        ("PORTAL_APP_COOKIES", "strict"),
        ("PORTAL_APP_SHARED_FILES", "yes"),
        ("PORTAL_APP_SECRET", "short"),
        ("PORTAL_APP_SECRET", "x" * 5000),
        ("PORTAL_APP_SECRET_FILE", "/nowhere/at/all"),
    ],
)
def test_a_value_that_is_not_safe_is_named(name: str, value: str) -> None:
    (problem,) = problems_of(**{name: value})

    assert problem.startswith(name.removesuffix("_FILE"))
    assert value not in problem or value == "short"


def test_partitioned_cookies_need_https() -> None:
    (problem,) = problems_of(PORTAL_APP_URL="http://127.0.0.1:7871", PORTAL_APP_COOKIES="partitioned")

    assert problem.startswith("PORTAL_APP_COOKIES")


def test_the_secret_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("f" * 43 + "\n")
    environ = {name: value for name, value in GOOD.items() if name != "PORTAL_APP_SECRET"}

    assert guard_settings_from({**environ, "PORTAL_APP_SECRET_FILE": str(file)}).secret == "f" * 43


def test_the_secret_comes_through_a_descriptor_that_is_closed_then() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"d" * 43)
    os.close(writing)
    environ = {name: value for name, value in GOOD.items() if name != "PORTAL_APP_SECRET"}

    assert guard_settings_from({**environ, "PORTAL_APP_SECRET_FD": str(reading)}).secret == "d" * 43
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORTAL_APP_SECRET_FD", "three"), ("PORTAL_APP_SECRET_FD", "9999"), ("PORTAL_APP_SECRET_FILE", "/")],
)
def test_a_secret_that_cannot_be_read_is_named(name: str, value: str) -> None:
    environ = {key: one for key, one in GOOD.items() if key != "PORTAL_APP_SECRET"}
    with pytest.raises(GuardSettingsError) as caught:
        guard_settings_from({**environ, name: value})

    assert caught.value.problems[0].startswith(name)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://A.example.com:443/x", "https://a.example.com"),
        ("http://a.example.com:80", "http://a.example.com"),
        ("http://[::1]:7860", "http://[::1]:7860"),
    ],
)
def test_origins_are_written_as_browsers_write_them(url: str, origin: str) -> None:
    assert origin == origin_of(url)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "0.0.0.0/0", "10.0.0.0/8; drop", "proxy.example.com"])
def test_a_guard_with_a_network_that_is_none_does_not_start(text: str) -> None:
    problems = problems_of(PORTAL_TRUSTED_PROXIES=text)
    assert all(problem.startswith("PORTAL_TRUSTED_PROXIES: names ") for problem in problems)
