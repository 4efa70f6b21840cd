"""What the documentation refers to exists: files, folders, pages, headings and tests."""

import re
from pathlib import Path

import pytest

from tests.architecture.pages import ALL, Page, page
from tests.architecture.sources import ROOT

FOLDERS = ("benchmarks", "docs", "gradio_apps", "portal", "static", "templates", "tests", ".ci")
"""Folders of the checkout; a code span that begins with one of them, and a slash, is a path."""


def paths_in(where: Page) -> list[str]:
    """Return the paths of the repository in code spans of *where*, patterns included."""
    whole = [span for span in where.spans() if re.fullmatch(r"[\w.*/-]+", span)]
    return [
        one
        for one in whole
        if one.startswith(tuple(f"{folder}/" for folder in FOLDERS))
        or re.fullmatch(r"(?:wsgi\.py|pyproject\.toml|Makefile|[A-Z]+\.md)", one)
    ]


@pytest.mark.parametrize("where", ALL, ids=str)
def test_every_path_that_is_named_exists(where: Page) -> None:
    assert [path for path in paths_in(where) if not any(ROOT.glob(path.rstrip("/")))] == []


def test_paths_are_found() -> None:
    assert "tests/portal/contract/" in paths_in(page("docs/security-model.md"))


@pytest.mark.parametrize("where", ALL, ids=str)
def test_every_link_leads_somewhere(where: Page) -> None:
    dead: list[str] = []
    for link in where.links():
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = Page((where.path.parent / path).resolve()) if path else where
        if not target.path.exists() or (anchor and anchor not in target.anchors()):
            dead.append(link)

    assert dead == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = {page("README.md").path}
    while new := {target for path in reached for target in linked_from(path)} - reached:
        reached |= new

    assert {str(where) for where in ALL if where.path not in reached} == set()


def linked_from(path: Path) -> set[Path]:
    """Return the pages that the page at *path* links to."""
    targets = {(path.parent / link.partition("#")[0]).resolve() for link in Page(path).links() if ":" not in link}
    return {target for target in targets if target.suffix == ".md"}
