"""All templates: they compile, list their values, and have nothing that the policy forbids."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes

from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.web import pages
from portal.web.app import resource_folder
from portal.web.sign_in_page import MARKS

TEMPLATES = resource_folder("templates")
NAMES = sorted(file.relative_to(TEMPLATES).as_posix() for file in TEMPLATES.rglob("*.html"))
STATIC = resource_folder("static")
PAGES = [
    value
    for value in vars(pages).values()
    if isinstance(value, type) and is_dataclass(value) and hasattr(value, "template")
]


def environment() -> Environment:
    # What is compiled here is ours; nothing is rendered.
    made = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True)
    made.filters.update(rfc3339=str, utc=str)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_and_begins_with_a_comment(name: str) -> None:
    environment().get_template(name)
    assert (TEMPLATES / name).read_text().startswith("{#-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_each_page_has_a_title_and_a_template_that_names_its_values(page: type) -> None:
    source = (TEMPLATES / page.template).read_text()  # type: ignore[attr-defined]
    header = source.partition("-#}")[0]
    assert "{% block title %}" in source
    assert page.__name__ in header
    for field in fields(page):
        assert field.name in header, f"{page.__name__}.{field.name} is not in the header"
        assert f"page.{field.name}" in source, f"{page.__name__}.{field.name} is not used"


def test_every_template_is_used() -> None:
    used = {page.template for page in PAGES}
    for name in NAMES:
        parsed = environment().parse((TEMPLATES / name).read_text())
        for node in parsed.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
            used |= {constant.value for constant in node.find_all(nodes.Const) if str(constant.value).endswith(".html")}
    assert used == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_no_inline_script_or_style_and_names_no_other_host(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", source, re.IGNORECASE)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source))
    assert "://" not in source
    assert "| safe" not in source
    assert "autoescape" not in source


def test_every_mark_is_some_makes_and_every_make_with_a_mark_is_known() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "marks.svg").read_text()))

    assert {mark.drawing for mark in MARKS.values()} | {"key"} == drawn
    assert MARKS.keys() <= PROVIDER_TYPES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_form_that_changes_something_carries_the_token(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    for form in re.findall(r"<form.*?</form>", source, re.DOTALL):
        # The form of strangers changes nothing, and they have no session that a token could stand in.
        of_strangers = 'action="/sign-in"' in form
        assert "ui.csrf(page.csrf)" in form or 'name="ticket"' in form or of_strangers


@pytest.mark.parametrize("name", NAMES)
def test_every_image_and_frame_has_words_for_those_who_cannot_see_it(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", source))
    assert all("title=" in tag for tag in re.findall(r"<iframe[^>]*>", source, re.DOTALL))
    assert all('aria-hidden="true"' in tag for tag in re.findall(r"<svg[^>]*>", source))


def test_every_drawing_that_is_named_exists() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    named = {
        name for file in TEMPLATES.rglob("*.html") for name in re.findall(r'ui\.icon\("([^"]+)"\)', file.read_text())
    }
    assert named | {"logo"} == drawn


def test_every_class_that_is_named_has_a_style() -> None:
    styled = set(re.findall(r"\.([a-z][a-z0-9-]*)", (STATIC / "portal.css").read_text()))
    for file in TEMPLATES.rglob("*.html"):
        source = re.sub(r"\{#.*?#\}", "", file.read_text(), flags=re.DOTALL)
        source = re.sub(r"\{[{%].*?[%}]\}", " ", source, flags=re.DOTALL)
        for value in re.findall(r'\bclass="([^"]*)"', source):
            for name in value.split():
                if not name.endswith("-"):
                    assert name in styled, f"{file.name}: {name}"


@pytest.mark.parametrize("file", sorted(STATIC.rglob("*.*")), ids=lambda file: file.name)
def test_static_files_load_nothing_from_elsewhere(file: Path) -> None:
    source = file.read_text().replace("http://www.w3.org/2000/svg", "")
    assert "://" not in source
    assert "eval(" not in source
    assert "innerHTML" not in source
