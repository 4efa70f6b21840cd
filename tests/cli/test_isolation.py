"""How far apps are held apart follows from where they are reached, and from whose user they run as."""

from pathlib import Path
from typing import Any

import pytest

from portal.catalogue import Catalogue
from portal.cli.isolation import (
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
def test_an_apps_level_follows_from_who_starts_it_and_as_whom(
    tmp_path: Path, app: dict[str, Any], settings: dict[str, Any], level: Level
) -> None:
    one = an_app(**app)
    other = an_app(slug="other", url="https://other.apps.example.com", source="y", port=2, user="other")
    configured = settings_for(tmp_path, catalogue=Catalogue((one, other)), **settings)

    assert level_of(one, configured) is level
    assert isolation_of(configured).machine is min((level, level_of(other, configured)), key=LEVELS.index)


def test_the_table_of_the_security_model_is_that_of_the_command() -> None:
    rows = page("docs/security-model.md").section("Isolation between apps and portal").splitlines()

    assert [row for row in rows if row.startswith("| `")] == [level.markdown() for level in LEVELS]
