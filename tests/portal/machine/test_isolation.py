"""The isolation of apps follows from their addresses and their users."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.cli.check import summary
from portal.machine.isolation import (
    ELSEWHERE,
    LEVELS,
    OWN_USER,
    PORTAL_USER,
    SHARED_USER,
    UNIT,
    Level,
    isolation_of,
    level_of,
)
from portal.rules.catalogue import Catalogue
from tests.architecture.pages import page
from tests.builders import an_app, settings_for

HERE = {"source": "x", "port": 1}


@pytest.mark.parametrize(
    ("urls", "level"),
    [
        ((), "own-origin"),
        (("https://a.apps.example.com", "https://b.apps.example.com"), "own-origin"),
        (("https://apps.example.com/a", "https://apps.example.com/b"), "shared-host"),
        (("https://apps.example.com:1", "https://apps.example.com:2"), "shared-host"),
        (("https://portal.example.com/run/a",), "portal-host"),
        (("https://portal.example.com:8443", "https://b.apps.example.com"), "portal-host"),
    ],
)
def test_the_weakest_app_gives_the_level(tmp_path: Path, urls: tuple[str, ...], level: str) -> None:
    apps = tuple(an_app(slug=f"app-{number}", url=url) for number, url in enumerate(urls))

    assert isolation_of(settings_for(tmp_path, catalogue=Catalogue(apps))).level == level


@pytest.mark.parametrize(
    ("portal", "app", "shared"),
    [
        ("https://portal.example.com", "https://a.apps.example.com", "example.com"),
        ("https://example.com", "https://a.example.com", "example.com"),
        ("https://portal.example.com", "https://example.com/a", "example.com"),
        ("https://portal.example.co.uk", "https://a.example.co.uk", "example.co.uk"),
        ("https://portal.example.co.uk", "https://a.other.co.uk", None),
        ("https://portal.example.com", "https://a.example-apps.com", None),
        ("https://portal.example.com", "https://a.notexample.com", None),
        ("https://portal.example.com", "https://portal.example.com/run/a", None),
        ("https://portal", "https://a", None),
        ("http://portal.demo.localhost:7800", "http://a.demo.localhost:7810", None),
        ("http://127.0.0.1:7800", "http://127.0.0.2:7810", None),
        ("https://192.0.2.1", "https://198.51.2.1", None),
    ],
)
def test_a_domain_that_apps_share_with_the_portal_is_named(
    tmp_path: Path, portal: str, app: str, shared: str | None
) -> None:
    settings = settings_for(tmp_path, url=portal, catalogue=Catalogue((an_app(url=app),)))

    assert isolation_of(settings).shared == shared
    assert isolation_of(replace(settings, trust_apps=True)).shared is None
    assert any(f"share {shared}:" in line for line in summary(settings)) == (shared is not None)


@pytest.mark.parametrize(
    ("app", "settings", "level"),
    [
        pytest.param({}, {}, ELSEWHERE, id="no source"),
        pytest.param({}, {"apps_run_by": "systemd"}, ELSEWHERE, id="no source, with units"),
        pytest.param(HERE, {}, PORTAL_USER, id="nothing said"),
        pytest.param(HERE, {"user": "gradio-portal"}, PORTAL_USER, id="a user for the portal alone"),
        pytest.param({**HERE, "user": "forecast"}, {}, OWN_USER, id="a user of its own"),
        pytest.param(HERE, {"apps_run_by": "systemd"}, UNIT, id="a unit"),
        pytest.param({**HERE, "user": "forecast"}, {"apps_run_by": "systemd"}, UNIT, id="a unit with a user"),
        pytest.param({**HERE, "user": "other"}, {}, SHARED_USER, id="another app's user"),
        pytest.param({**HERE, "user": "other"}, {"apps_run_by": "systemd"}, SHARED_USER, id="another app's, as units"),
    ],
)
def test_an_apps_level_follows_from_its_user_and_who_starts_it(
    tmp_path: Path, app: dict[str, Any], settings: dict[str, Any], level: Level
) -> None:
    one = an_app(**app)
    other = an_app(slug="other", url="https://other.apps.example.com", source="y", port=2, user="other")
    configured = settings_for(tmp_path, catalogue=Catalogue((one, other)), **settings)

    assert level_of(one, configured) is level
    assert isolation_of(configured).machine is min((level, level_of(other, configured)), key=LEVELS.index)


def test_the_table_of_the_security_model_is_that_of_the_command() -> None:
    rows = page("docs/security-model.md").section("Isolation between apps and portal").splitlines()
    levels = [row for row in rows if row.startswith("| `") and row.count(" | ") == 2]  # of the first table

    assert levels == [level.markdown() for level in LEVELS]
