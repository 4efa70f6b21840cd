"""How far apps are held apart follows from where they are reached, and from whose user they run as."""

from pathlib import Path

import pytest

from portal.catalogue import Catalogue
from portal.cli.isolation import isolation_of
from tests.builders import an_app, settings_for


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


def test_apps_of_the_same_user_can_read_everything(tmp_path: Path) -> None:
    here = settings_for(tmp_path, catalogue=Catalogue((an_app(source="x", port=1),)))

    assert "portal's own user" in isolation_of(here).on_the_machine
    assert "run elsewhere" in isolation_of(settings_for(tmp_path)).on_the_machine
