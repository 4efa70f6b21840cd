import pytest

from portal.rules.catalogue import AppSpec, Catalogue
from tests.builders import an_app


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://forecast.apps.example.com", "https://forecast.apps.example.com"),
        ("https://ai-apps.example.com/forecast", "https://ai-apps.example.com"),
        ("http://127.0.0.1:7871", "http://127.0.0.1:7871"),
        ("http://[::1]:7871/a/b", "http://[::1]:7871"),
    ],
)
def test_the_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert an_app(url=url).origin == origin


def test_an_app_without_settings_is_open_to_no_one_and_has_no_rights() -> None:
    app = AppSpec(slug="a", title="A", url="https://a.example.com")

    assert (app.open_to, app.people, app.portal_api, app.browser) == (frozenset(), frozenset(), frozenset(), ())


def test_apps_are_found_by_their_exact_name_and_keep_their_order() -> None:
    one, other = an_app(slug="one"), an_app(slug="other")
    catalogue = Catalogue((other, one))

    assert catalogue.find("one") is one
    assert catalogue.find("One") is None
    assert catalogue.find("") is None
    assert list(catalogue) == [other, one]
