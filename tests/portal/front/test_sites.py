"""Which names there are, and where on them portal and apps are."""

from pathlib import Path

import pytest

from portal.catalogue import Catalogue
from portal.front.sites import NoFront, sites_of
from tests.builders import an_app, settings_for


def sites(folder: Path, *urls: str, portal: str = "https://portal.example.com") -> list[tuple[str, list[str]]]:
    apps = [an_app(slug=f"app-{at}", url=url, source="app.py", port=7810 + at) for at, url in enumerate(urls)]
    elsewhere = an_app(slug="elsewhere", url="https://elsewhere.example.com")
    settings = settings_for(folder, url=portal, catalogue=Catalogue((*apps, elsewhere)))
    return [
        (site.authority, [f"{place.path or '/'} {place.what} {place.port}" for place in site.places])
        for site in sites_of(settings, port=7800)
    ]


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ([], [("portal.example.com", ["/ the portal 7800"])]),
        (
            ["https://a.apps.example.com", "https://b.apps.example.com:8443"],
            [
                ("portal.example.com", ["/ the portal 7800"]),
                ("a.apps.example.com", ["/ app-0 7810"]),
                ("b.apps.example.com:8443", ["/ app-1 7811"]),
            ],
        ),
        (
            ["https://apps.example.com/a", "https://apps.example.com/longer"],
            [
                ("portal.example.com", ["/ the portal 7800"]),
                ("apps.example.com", ["/longer app-1 7811", "/a app-0 7810"]),
            ],
        ),
        (
            ["https://portal.example.com/run/a", "https://portal.example.com:443/run/b"],
            [("portal.example.com", ["/run/a app-0 7810", "/run/b app-1 7811", "/ the portal 7800"])],
        ),
        (
            ["https://[2001:db8::1]"],
            [("portal.example.com", ["/ the portal 7800"]), ("[2001:db8::1]", ["/ app-0 7810"])],
        ),
    ],
)
def test_each_name_knows_who_is_where(tmp_path: Path, urls: list[str], expected: list[tuple[str, list[str]]]) -> None:
    assert sites(tmp_path, *urls) == expected


def test_without_tls_there_is_nothing_to_end(tmp_path: Path) -> None:
    with pytest.raises(NoFront, match="plain http"):
        sites(tmp_path, portal="http://127.0.0.1:7800")
