"""The generated parts of the documents: ``make docs`` writes them, and a test compares them.

Each is a file of its own, or is between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a Markdown file.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from portal.configuration.app_tables import AppSection
from portal.configuration.portal_table import PortalSection
from portal.configuration.provider_tables import EndpointsSection, ProviderSection
from portal.configuration.roles import RoleSection
from portal.sign_in.provider_types import PROVIDER_TYPES
from tests.architecture import audit_tables, wings
from tests.architecture.settings_tables import settings_of, settings_of_type, variables
from tests.architecture.sources import ROOT

FILES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType({"docs/pictures/wings.svg": wings.picture})
"""The files that are generated, by their path."""

PARTS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "table of the wings": wings.table,
        "settings of the portal": partial(settings_of, PortalSection),
        "settings of providers": partial(settings_of, ProviderSection, EndpointsSection),
        "settings of roles": partial(settings_of, RoleSection),
        "settings of apps": partial(settings_of, AppSection),
        "events of the audit": audit_tables.events,
        "environment variables": variables,
        **{f"settings of {one.id}": partial(settings_of_type, one) for one in PROVIDER_TYPES.values()},
    }
)
"""What is generated, by its name in the documents."""

_PART: Final = re.compile(r"(<!-- generated: (?P<name>[^>]+) -->\n)(?P<text>.*?)(\n<!-- end -->)", re.DOTALL)


def documents() -> tuple[Path, ...]:
    """Return every document of the project."""
    return (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))


def names_in(text: str) -> list[str]:
    """Return the names of the generated parts in *text*."""
    return [match["name"] for match in _PART.finditer(text)]


def renew(text: str) -> str:
    """Return *text* with its generated parts as the code has them now.

    Raises:
        KeyError: a part has a name that nothing here generates.
    """
    return _PART.sub(lambda match: f"{match[1]}{PARTS[match['name']]()}{match[4]}", text)


def main() -> None:
    """Write every generated file and part."""
    for name, content in FILES.items():
        (ROOT / name).write_text(content(), encoding="utf-8")
    for document in documents():
        text = document.read_text(encoding="utf-8")
        if (new := renew(text)) != text:
            document.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
