"""Host names of portal and apps, and their locations."""

from pathlib import Path

import pytest

from portal.deployment.sites import CannotConfigure, PortConflict, apps_elsewhere, sites_of
from portal.rules.catalogue import Catalogue
from tests.builders import an_app, settings_for


def sites(folder: Path, *urls: str, portal: str = "https://portal.example.com") -> list[tuple[str, list[str]]]:
    apps = [an_app(slug=f"app-{at}", url=url, source="app.py", port=7810 + at) for at, url in enumerate(urls)]
    elsewhere = an_app(slug="elsewhere", url="https://elsewhere.example.com")
    settings = settings_for(folder, url=portal, catalogue=Catalogue((*apps, elsewhere)))
    return [
        (site.authority, [f"{location.path or '/'} {location.what} {location.port}" for location in site.locations])
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
def test_each_host_has_its_locations(tmp_path: Path, urls: list[str], expected: list[tuple[str, list[str]]]) -> None:
    assert sites(tmp_path, *urls) == expected


@pytest.mark.parametrize(
    ("internal_url", "port"),
    [
        ("http://127.0.0.1:7871", 7871),
        ("http://localhost:7871", 7871),
        ("https://127.0.0.1:7871", None),
        ("https://10.0.0.7:7871", None),
        ("http://[::1]:7871", None),
        ("http://127.0.0.1", None),
        (None, None),
    ],
)
def test_an_app_in_a_container_of_this_machine_is_included(
    tmp_path: Path, internal_url: str | None, port: int | None
) -> None:
    app = an_app(url="https://forecast.apps.example.com", internal_url=internal_url)
    settings = settings_for(tmp_path, catalogue=Catalogue((app,)))
    there = [location.port for site in sites_of(settings, port=7800) for location in site.locations if location.is_app]

    assert there == ([] if port is None else [port])
    assert list(apps_elsewhere(settings)) == ([app] if port is None else [])


def test_plain_http_cannot_be_configured(tmp_path: Path) -> None:
    with pytest.raises(CannotConfigure, match="plain http"):
        sites(tmp_path, portal="http://127.0.0.1:7800")


@pytest.mark.parametrize(
    ("portal", "url", "message"),
    [
        (
            "https://portal.example.com",
            "https://apps.example.com:7810",
            "For apps.example.com, .* port 7810, where app-0",
        ),
        ("https://portal.example.com", "https://apps.example.com:7800", "port 7800, where the portal listens"),
        ("https://portal.example.com:7800", "https://apps.example.com", "For portal.example.com, .* port 7800"),
    ],
)
def test_a_reverse_proxy_needs_free_ports(tmp_path: Path, portal: str, url: str, message: str) -> None:
    with pytest.raises(PortConflict, match=message):
        sites(tmp_path, url, portal=portal)


def test_port_80_must_be_free_for_the_redirect(tmp_path: Path) -> None:
    app = an_app(url="https://forecast.apps.example.com", internal_url="http://127.0.0.1:80")

    with pytest.raises(PortConflict, match="port 80, where forecast listens"):
        sites_of(settings_for(tmp_path, catalogue=Catalogue((app,))), port=7800)
