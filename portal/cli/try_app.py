"""``portal try``: one app as it is, behind the demo provider, open to every sample person."""

import argparse
import hashlib
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portal.cli import sample_run
from portal.cli.failure import CommandFailed
from portal.cli.ports import chosen_ports
from portal.cli.samples import SAMPLE_ROLES, Sample, SampleApp

_COMMON: Final = frozenset({"app", "demo", "index", "main", "run", "src"})
"""File names that say nothing about the app; the folder says more."""


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("try", help="start one Gradio app, unmodified, behind the demo provider")
    parser.add_argument("app", type=Path, metavar="APP", help="a file like app.py, or the folder of a Space")
    sample_run.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo with that one app.

    Raises:
        CommandFailed: there is no such app, or it cannot be started like that.
    """
    source = source_at(options.app)
    slug = slug_of(source)
    app = SampleApp(slug=slug, title=title_of(slug), source=str(source), open_to=("everyone", *SAMPLE_ROLES))
    sample = Sample(
        name=f"{source.name} behind the portal",
        folder=(options.data_dir or default_folder(source, port=options.port, environ=os.environ)).absolute(),
        ports=chosen_ports(options.port, apps=1),
        apps=(app,),
        landing=(slug,),
        plain_names=options.plain_names,
    )
    command = f"portal try {shlex.quote(str(options.app))}"
    return sample_run.run(sample, command=command, browser=not options.no_browser)


def source_at(path: Path) -> Path:
    """Return the absolute path of the app at *path*.

    Raises:
        CommandFailed: nothing there can be run.
    """
    found = path.absolute()
    if found.is_dir():
        if not any((found / name).is_file() for name in ("README.md", "app.py")):
            raise CommandFailed(f"The folder {path} has neither a README.md, as Spaces have, nor an app.py.")
        return found
    if not found.is_file():
        raise CommandFailed(f"There is no file {path}.")
    if found.suffix != ".py":
        raise CommandFailed(f"{path} is no Python file. Give a file like app.py, or the folder of a Space.")
    return found


def slug_of(source: Path) -> str:
    """Return a name for addresses, from the file's name, or the folder's where the file's says nothing."""
    stem = source.stem if source.is_file() or source.suffix == ".py" else source.name
    name = source.parent.name if stem.lower() in _COMMON and source.parent.name else stem
    slug = _dashed(name) or _dashed(stem) or "app"
    return "portal-app" if slug == "portal" else slug  # portal.demo.localhost is the portal itself


def _dashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-")


def title_of(slug: str) -> str:
    """Return a title for the app."""
    return slug.replace("-", " ").capitalize()


def default_folder(source: Path, *, port: int, environ: Mapping[str, str]) -> Path:
    """Return where this app's trial keeps its things: the user's cache, so that nothing is left beside the app.

    Raises:
        CommandFailed: the user has no home folder.
    """
    of_user = environ.get("XDG_CACHE_HOME") or ""
    try:
        cache = Path(of_user) if of_user.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:  # a user number without a name, as in a container, and no HOME
        raise CommandFailed("You have no home folder. Say where to keep the trial's files with --data-dir.") from error
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:12]
    return cache / "gradio-portal" / f"try-{digest}-{port or 'any'}"
