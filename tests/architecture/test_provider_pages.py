"""The pages of ``docs/providers/``, held against the presets: one each, with what an operator must know."""

import re
from typing import Any

import pytest

from portal.configuration.documented import rows_of
from portal.sign_in.provider_types import PRESETS
from portal.sign_in.provider_types.abilities import abilities_row
from portal.sign_in.provider_types.base import Preset
from tests.architecture.pages import Page, page
from tests.architecture.sources import ROOT

SECTIONS = ("What to register there", "Settings", "Who somebody is", "Where roles come from", "Signing out")
FOLDER = ROOT / "docs" / "providers"
OTHER_PAGES = {"README"}
"""Pages of the folder that are about no one make."""

pytestmark = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def page_of(preset: Preset) -> Page:
    return page(f"docs/providers/{preset.id}.md")


def signing_out(preset: Preset) -> str:
    """Return what its page says of it, in one line; where it sends the reader to another page, what that says."""
    text = page_of(preset).section("Signing out")
    elsewhere = re.search(r"\(([a-z0-9-]+\.md)#signing-out\)", text)
    if elsewhere is not None:
        text = page(f"docs/providers/{elsewhere[1]}").section("Signing out")
    return " ".join(text.split())


def test_each_has_its_page_in_the_list(preset: Preset) -> None:
    assert f"({preset.id}.md)" in page("docs/providers/README.md").text


def test_its_page_says_what_there_is_to_say(preset: Preset) -> None:
    headings = re.findall(r"^## (.+)$", page_of(preset).prose, re.MULTILINE)

    assert [one for one in headings if one in SECTIONS] == list(SECTIONS)


def test_its_settings_are_those_of_the_code(preset: Preset) -> None:
    written = [line for line in page_of(preset).section("Settings").splitlines() if line.startswith("| `")]

    assert written == list(rows_of(preset))


def test_every_variable_of_its_own_is_named(preset: Preset) -> None:
    text: Any = page_of(preset).text

    assert [name for name in preset.own_variables() if f"`{name}`" not in text] == []


def test_its_callback_is_named(preset: Preset) -> None:
    assert re.search(r"/auth/oauth/[a-z0-9-]+/callback", page_of(preset).section("What to register there"))


def test_its_page_says_what_signing_out_reaches(preset: Preset) -> None:
    text = signing_out(preset)

    assert ("ends here" in text) == (preset.sign_out is None)


def test_its_page_says_how_a_refresh_token_is_had(preset: Preset) -> None:
    text = signing_out(preset).lower()

    assert "refresh token" in text
    assert (re.search(r"\bno refresh token", text) is not None) == (preset.refresh is None)
    if preset.refresh is not None:
        said = [*preset.refresh.scopes, *(f"{name}={value}" for name, value in preset.refresh.params)]
        assert [one for one in said if f"`{one}`" not in text] == []


def test_its_abilities_are_those_of_the_code(preset: Preset) -> None:
    rows = page("docs/providers/README.md").rows("What they can do")

    assert [row for row in rows if row[0] == f"`{preset.id}`"] == [list(abilities_row(preset))]


def test_every_page_is_of_some_make(preset: Preset) -> None:
    assert preset.id not in OTHER_PAGES
    assert {path.stem for path in FOLDER.glob("*.md")} - OTHER_PAGES == set(PRESETS)


def test_what_nobody_there_could_meet_is_told(preset: Preset) -> None:
    # The second of its tables names keys of the first again.
    rows = {row[0].strip("`"): row[1] for row in page("docs/providers/README.md").rows("Who may come in")}
    held = {
        "allowed_organisations": preset.organisations is not None,
        "allowed_tenants": preset.has_tenants({}),
        "allowed_groups": preset.groups,
    }

    assert {key: f"`{preset.id}`" not in rows[key] for key in held} == held
