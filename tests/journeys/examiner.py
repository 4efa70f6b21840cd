"""Checks of every page: axe-core finds no problem, and it is never wider than a narrow screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Frame, Page

from tests.provider.process import FOLDER, installed

TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
WIDE: Final = (1280, 800)
PHONE: Final = (390, 844)
NARROW: Final = (320, 640)
"""WCAG 2.2, 1.4.10: 1280 pixels at a zoom of 400 %."""

# What axe-core cannot see through, the drawing behind the text and the link that covers a card, leaves it undecided
# about colours: the one becomes a flat ground, as strong as it is anywhere, the other goes.  So does the logo, whose
# drawing goes on, unseen, behind the heading in Firefox.  How strong it is stands in the style sheet, which may still
# be on its way when the page's text is there.
FLATTEN: Final = """async () => {
  const coming = [...document.querySelectorAll("link[rel=stylesheet]")].filter(link => !link.sheet);
  const settled = link => new Promise(done => { link.onload = link.onerror = done; });
  await Promise.all(coming.map(settled));
  const sheet = new CSSStyleSheet();
  const strength = getComputedStyle(document.body, "::before").opacity;
  sheet.replaceSync(`
    .site { background: color-mix(in srgb, var(--accent) ${100 * strength}%, var(--paper)) !important; }
    .site::before, .card-title a::after { content: none !important; }
    .dialog-logo > * { display: none; }`);
  document.adoptedStyleSheets = [sheet];
}"""
EXAMINE: Final = """async tags => {
  const found = await axe.run(document, {runOnly: tags, iframes: false, resultTypes: ["violations", "incomplete"]});
  return found.violations.concat(found.incomplete).flatMap(rule => rule.nodes.map(
    node => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""
TOO_WIDE: Final = """() => {
  const {clientWidth: width, scrollWidth: whole} = document.documentElement;
  const hidden = element => element.closest(".visually-hidden, .wide-only, [hidden], svg");
  const beyond = [...document.body.querySelectorAll("*")].filter(
    element => !hidden(element) && element.getBoundingClientRect().right > width + 1);
  const scrolls = whole > width ? [`the page is ${whole} wide`] : [];
  return scrolls.concat(beyond.map(element => `${element.tagName} ${element.className} ends beyond ${width}`));
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with one page, as it looked then."""

    page: str
    looked: str
    problem: str


def axe() -> Path:
    """Return where the examiner's script lies."""
    installed()
    return FOLDER / "node_modules" / "axe-core" / "axe.min.js"


def examine(name: str, page: Page, *, within: Frame | None = None) -> list[Finding]:
    """Examine what *page* shows (or the frame *within* it), light and dark, on a desk and on a phone."""
    document = within or page.main_frame
    document.evaluate(FLATTEN)
    document.evaluate(axe().read_text())  # not a script tag: pages allow none but their own
    return [
        Finding(page=name, looked=looked, problem=problem)
        for looked, script, argument in _ways_to_look(page)
        for problem in _asked(document, script, argument)
    ]


def _ways_to_look(page: Page) -> Iterator[tuple[str, str, Any]]:
    for width, height in (WIDE, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield f"{scheme}, {width} px", EXAMINE, list(TAGS)
    width, height = NARROW
    page.set_viewport_size({"width": width, "height": height})
    yield f"{width} px", TOO_WIDE, None


def _asked(document: Frame, script: str, argument: object) -> list[str]:
    problems: list[str] = document.evaluate(script, argument)
    return problems
