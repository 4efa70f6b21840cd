"""Static files with their version in the URL, so that browsers may cache them for ever."""

import hashlib
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from flask import Flask, current_app

_KEY: Final = "portal.static_versions"


def versions_of(folder: Path) -> dict[str, str]:
    """Return a short hash of the content of every file below *folder*, by relative path."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def install_static_files(app: Flask, folder: Path) -> None:
    """Read the versions of the files in *folder* once, and give templates ``static_url``."""
    app.extensions[_KEY] = versions_of(folder)
    app.jinja_env.globals["static_url"] = static_url


def static_url(name: str) -> str:
    """Return the URL of the static file *name* in its current version.

    Raises:
        KeyError: there is no such file.
    """
    return f"/static/{quote(name)}?v={_versions()[name]}"


def is_current_version(version: str | None, name: str | None) -> bool:
    """Return whether *version* is the current one of the file *name*."""
    return version is not None and name is not None and _versions().get(name) == version


def _versions() -> dict[str, str]:
    return cast("dict[str, str]", current_app.extensions[_KEY])
