"""A hook of MkDocs: the documents beside ``docs/`` are pages of the site too, and links between both work there."""

import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File

_ROOT: Final = Path(__file__).parents[2]
_PAGES: Final = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "LICENSE": "license.txt",
}
"""What each document at the root of the checkout is called in the site."""

_LINK: Final = re.compile(r"(?<=\]\()(?P<up>(?:\.\./)*)(?P<name>" + "|".join(map(re.escape, _PAGES)) + r")(?=[)#])")


def on_config(config: Any) -> Any:
    """Return the configuration, with the anchors that GitHub gives the headings."""
    config.mdx_configs["toc"]["slugify"] = lambda heading, _: re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return config


def on_files(files: Any, config: Any) -> Any:
    """Return the files of ``docs/`` and, as they are linked from there, the documents beside it."""
    for document, name in _PAGES.items():
        text = (_ROOT / document).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=_LINK.sub(lambda link: _PAGES[link["name"]], text)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page in ``docs/`` with its links to the documents beside it, ``../SECURITY.md``."""
    up = "../" * page.file.src_uri.count("/")
    return _LINK.sub(lambda link: f"{up}{_PAGES[link['name']]}" if link["up"] == f"../{up}" else link[0], markdown)
