"""The pages of ``docs/providers/``, held against the presets: one each, with what an operator must know."""

import re
from typing import Any

import pytest

from portal.configuration.documented import rows_of
from portal.presets import PRESETS
from portal.presets.base import Preset
from tests.architecture.pages import Page, page
from tests.architecture.sources import ROOT

SECTIONS = ("What to register there", "Settings", "Who somebody is", "Where roles come from", "Signing out")
FOLDER = ROOT / "docs" / "providers"
OTHER_PAGES = {"README"}
"""Pages of the folder that are about no one make."""

pytestmark = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def page_of(preset: Preset) -> Page:
    return page(f"docs/providers/{preset.id}.md")


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
    assert re.search(r"/auth/oauth/[a-z-]+/callback", page_of(preset).section("What to register there"))


def test_every_page_is_of_some_make(preset: Preset) -> None:
    assert preset.id not in OTHER_PAGES
    assert {path.stem for path in FOLDER.glob("*.md")} - OTHER_PAGES == set(PRESETS)
