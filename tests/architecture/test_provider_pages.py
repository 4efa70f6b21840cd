"""Every provider type has a page in ``docs/providers/`` with what an operator must know."""

import re
from typing import Any

import pytest

from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, FRONT_CHANNEL_LOGOUT
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.abilities import abilities_row
from portal.sign_in.provider_types.base import ProviderType
from tests.architecture.generated import names_in
from tests.architecture.pages import Page, page
from tests.architecture.sources import ROOT

SECTIONS = (
    "What to register there",
    "Settings",
    "Who somebody is",
    "Where roles come from",
    "Signing out",
    "When people sign out there",
    "Keeping roles current",
)
FOLDER = ROOT / "docs" / "providers"
OTHER_PAGES = {"README"}
"""Pages of the folder that do not belong to one provider type."""

pytestmark = pytest.mark.parametrize("provider_type", PROVIDER_TYPES.values(), ids=PROVIDER_TYPES)


def page_of(provider_type: ProviderType) -> Page:
    return page(f"docs/providers/{provider_type.id}.md")


def section_of(provider_type: ProviderType, heading: str) -> str:
    """Return a section of its page, in one line, with that of another page if it links to it."""
    text, anchor = page_of(provider_type).section(heading), heading.lower().replace(" ", "-")
    other = re.search(rf"\(([a-z0-9-]+\.md)#{anchor}\)", text)
    if other is not None:
        text += page(f"docs/providers/{other[1]}").section(heading)
    return " ".join(text.split())


def test_each_has_its_page_in_the_list(provider_type: ProviderType) -> None:
    assert f"({provider_type.id}.md)" in page("docs/providers/README.md").text


def test_its_page_has_every_section(provider_type: ProviderType) -> None:
    headings = re.findall(r"^## (.+)$", page_of(provider_type).prose, re.MULTILINE)

    assert [one for one in headings if one in SECTIONS] == list(SECTIONS)


def test_its_settings_are_on_its_page(provider_type: ProviderType) -> None:
    settings = page_of(provider_type).section("Settings")

    assert names_in(settings) == [f"settings of {provider_type.id}"]


def test_every_variable_of_its_own_is_named(provider_type: ProviderType) -> None:
    text: Any = page_of(provider_type).text

    assert [name for name in provider_type.own_variables() if f"`{name}`" not in text] == []


def test_its_callback_is_named(provider_type: ProviderType) -> None:
    assert re.search(r"/auth/oauth/[a-z0-9-]+/callback", page_of(provider_type).section("What to register there"))


def test_its_page_explains_sign_out(provider_type: ProviderType) -> None:
    text = section_of(provider_type, "Signing out")

    assert ("ends here" in text) == (provider_type.sign_out is None)


def test_its_page_names_the_logout_addresses_that_it_can_use(provider_type: ProviderType) -> None:
    section, logout = page_of(provider_type).section("When people sign out there"), provider_type.logout
    named = {end: f"{end}`" in section for end in (BACK_CHANNEL_LOGOUT, FRONT_CHANNEL_LOGOUT)}
    text = section_of(provider_type, "When people sign out there")

    assert named == {BACK_CHANNEL_LOGOUT: logout.back_channel, FRONT_CHANNEL_LOGOUT: logout.front_channel}
    assert ("report it to the portal" in text) is not (logout.back_channel or logout.front_channel)
    # A frame names only the session, and only the ID token says whose that is.
    assert logout.back_channel or not logout.front_channel or "`sid`" in text


def test_its_page_explains_refresh_tokens(provider_type: ProviderType) -> None:
    text, refresh = section_of(provider_type, "Keeping roles current"), provider_type.refresh

    assert "refresh token" in text
    assert ("no refresh token" in text) is refresh.by_access_token
    settings = [*refresh.scopes, *(f"{name}={value}" for name, value in refresh.params)]
    assert [one for one in settings if f"`{one}`" not in text] == []


def test_its_abilities_are_those_of_the_code(provider_type: ProviderType) -> None:
    rows = page("docs/providers/README.md").rows("What they can do")

    assert [row for row in rows if row[0] == f"`{provider_type.id}`"] == [list(abilities_row(provider_type))]


def test_every_page_belongs_to_a_provider_type(provider_type: ProviderType) -> None:
    assert provider_type.id not in OTHER_PAGES
    assert {path.stem for path in FOLDER.glob("*.md")} - OTHER_PAGES == set(PROVIDER_TYPES)


def test_the_page_names_conditions_that_keep_everybody_out(provider_type: ProviderType) -> None:
    # The second of its tables names keys of the first again.
    rows = {row[0].strip("`"): row[1] for row in page("docs/providers/README.md").rows("Who may come in")}
    held = {
        "allowed_organisations": provider_type.organisations is not None,
        "allowed_tenants": provider_type.has_tenants({}),
        "allowed_groups": provider_type.groups,
    }

    assert {key: f"`{provider_type.id}`" not in rows[key] for key in held} == held
