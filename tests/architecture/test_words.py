"""Words that were replaced by standard terms do not come back: in names, in prose, on pages."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.sources import ROOT, modules_of

REPLACED: Final = {
    "allowances?": "fixed-window limiter",
    "faults?": "problem, or error",
    "households?": "rate-limit key",
    "judge(?:s|d|ments?)?": "validate, check",
    "keepers?": "process manager",
    "mend(?:s|ed|ing)?": "fix",
    "outbound(?! proxy)": "egress",
    "presets?": "provider type",
    "pushers?": "notifier",
    "rosters?": "registry",
    "shortcomings?": "limitation",
    "steer(?:s|ed|ing)?": "handle commands",
    "surveys?": "diagnostics",
    "told": "format_… for a function, a noun for a value",
    "watchm[ae]n": "monitor",
}
"""What is not to be written, as patterns of whole words, and what to write."""

PHRASES: Final = {
    r"which is none|of which there is none": "is not a …",
    r"(?<![Tt]here )is no (?:address|app|bundle|file|folder|function|program|proxy|section|setting)\b": "is not a …",
    r"stands? in the (?:table|file|log|environment)": "is in",
    r"way out": "egress, HTTP client settings",
    r"whom nothing is kept from": "root can read everything",
}
"""The same for phrases of prose."""

ALLOWED: Final = {
    "docs/settings.md": ("providers.preset",),
    "portal/cli/init.py": ("--preset",),
    "portal/configuration/provider_tables.py": ("preset",),
}
"""Where an old word remains in a name that others rely on."""

FOLDERS: Final = (".github", "benchmarks", "docs", "gradio_apps", "portal", "static", "templates", "tests")
SUFFIXES: Final = {".css", ".html", ".js", ".md", ".mjs", ".py", ".toml", ".yaml", ".yml"}
OWN: Final = Path(__file__)


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Return the name and the text of every file."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    pages = [path for path in ROOT.glob("*.*") if path.suffix in SUFFIXES and path.name != "CHANGELOG.md"]
    return tuple(
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in sorted({*files, *pages})
        if "node_modules" not in path.parts and path != OWN and "unmodified" not in path.parts
    )


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for name, text in texts():
        for number, line in enumerate(text.splitlines() if pattern.search(text) else (), start=1):
            if pattern.search(line) and not any(word in line for word in ALLOWED.get(name, ())):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


@pytest.mark.parametrize("word", REPLACED)
def test_a_replaced_word_is_not_written(word: str) -> None:
    """In prose, in ``snake_case`` and in ``CamelCase``."""
    pattern = re.compile(rf"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{word})(?![a-z])")

    assert lines_with(pattern) == [], f"write: {REPLACED[word]}"


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_replaced_phrase_is_not_written(phrase: str) -> None:
    across_lines = re.compile(phrase, re.IGNORECASE)

    assert lines_with(re.compile(phrase)) == [], f"write: {PHRASES[phrase]}"
    assert [name for name, text in texts() if across_lines.search(" ".join(text.split()))] == []


def test_no_two_classes_have_one_name() -> None:
    names = [
        node.name
        for package in ("portal", "gradio_apps")
        for module in modules_of(package)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]

    assert sorted({name for name in names if names.count(name) > 1}) == []
