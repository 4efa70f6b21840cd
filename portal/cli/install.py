"""``portal apps install``: makes the environment of an app from its requirements.  Nothing else installs anything."""

import argparse
import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Final

from portal.contract.interpreters import OLDEST_PYTHON, is_at_least
from portal.contract.spaces import read_front_matter, text_of
from portal.machine import environments
from portal.machine.build_commands import Builder, builder_for
from portal.machine.environment_plan import CannotBeServed, SourceFiles, install_plan_for
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured, format_problems
from portal.machine.users import Accounts, SystemUsers, accounts_of
from portal.rules.catalogue import AppSpec
from portal.settings import Settings

_DEFAULT: Final = "environments"
_PORTALS_OWN: Final = Path(sys.prefix)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subcommand takes besides the app's name."""
    parser.add_argument("--recreate", action="store_true", help="make it anew, in place of the one that is there")
    parser.add_argument("--requirements", type=Path, metavar="FILE", help="default: requirements.txt beside its source")
    parser.add_argument("--python", metavar="FILE", help="interpreter to make it of; default: the portal's")


def run(options: argparse.Namespace) -> int:
    """Make the environment that ``python`` of an app names, or one beside ``portal.toml``.

    Raises:
        CommandFailed: it cannot be made; whatever was there is as it was.
    """
    settings, variables = configured(options.config, unmade=True)
    app = settings.catalogue.find(options.name)
    if app is None:
        known = ", ".join(one.slug for one in settings.catalogue) or "none"
        raise CommandFailed(f"There is no app called {options.name!r}. There are: {known}.")
    if app.source is None:
        raise CommandFailed(f"{app.slug} runs elsewhere ({app.url}); make its environment there.")
    config = _config_file(options, variables)
    python = interpreter_of(app, config=config)
    around = python.parents[1].parent
    accounts = _accounts(app, settings, place=str(config))
    account = accounts.apps.get(app.slug, accounts.portal)
    if account is not None:
        environments.require_place(around, {**accounts.apps, app.slug: account})
    with environments.alone_in(around), builder_for(account) as builder:
        if python.exists() and not options.recreate:
            return _told(app, python, builder)
        return _make(app, python, options, builder)


def _accounts(app: AppSpec, settings: Settings, *, place: str) -> Accounts:
    """Return whom installers and the environment's interpreter run as where root asks; nobody: as who asks.

    Raises:
        CommandFailed: the user is not there, or may not be that.
    """
    if os.geteuid() != 0:
        return Accounts(portal=None)
    accounts, problems = accounts_of(settings, place=place, directory=SystemUsers())
    ours = tuple(one for one in problems if one.key in {"portal.user", f"apps.{app.slug}.user"})
    if ours:
        raise CommandFailed(format_problems(ours))
    return accounts


def interpreter_of(app: AppSpec, *, config: Path) -> Path:
    """Return the interpreter that *app* is to have: the one that is configured, else one beside the file *config*.

    Not in the data folder: that is the portal's user's alone, and the app may run as another.

    Raises:
        CommandFailed: what is configured is not the interpreter of an environment that may be made.
    """
    python = Path(app.python) if app.python else config.parent / _DEFAULT / app.slug / "bin" / "python"
    folder = python.parents[1]
    if python.parent.name != "bin" or not python.name.startswith("python"):
        raise CommandFailed(f"{python}: an environment can be made where python names FOLDER/bin/python.")
    if folder.resolve() == _PORTALS_OWN.resolve():
        raise CommandFailed(f"{folder} is the portal's own environment. Name another folder in apps.{app.slug}.python.")
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise CommandFailed(f"{folder} is there and is no environment. Name another in apps.{app.slug}.python.")
    return python


def _make(app: AppSpec, python: Path, options: argparse.Namespace, builder: Builder) -> int:
    base = options.python or sys.executable
    version = environments.version_of(base, builder)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if not is_at_least(version, oldest):
        raise CommandFailed(f"{base} is Python {version}; {oldest} or newer is needed.")
    requirements, beside = _beside(app, options.requirements)
    try:
        wanted = install_plan_for(beside, python=".".join(version.split(".")[:2]))
    except CannotBeServed as error:
        raise CommandFailed(str(error)) from error
    uv = environments.find_uv([*os.get_exec_path(), sysconfig.get_path("scripts")], builder)
    folder = python.parents[1]
    known = python.exists()
    if builder.account is not None:
        print(f"{app.slug}: what is installed runs as {builder.account}, and is root's in the end", flush=True)
    for note in wanted.notes:
        print(f"{app.slug}: {note}", flush=True)
    since = monotonic()
    made = environments.make(
        environments.EnvironmentRequest(
            folder=folder,
            base=base,
            program=python.name,
            uv=uv,
            requirements=requirements,
            added=wanted.added,
            environ=os.environ,
            builder=builder,
        ),
        say=lambda step: print(f"{app.slug}: {step}", flush=True),
    )
    print(f"{app.slug}: {folder} is ready after {monotonic() - since:.0f} s: {_has(made)}.")
    print(_what_now(app, python, known=known))
    return 0


def _told(app: AppSpec, python: Path, builder: Builder) -> int:
    """Say what is there already."""
    found = environments.looked_at(python, os.environ, builder)
    if isinstance(found, str):
        raise CommandFailed(f"{found} `portal apps install {app.slug} --recreate` makes it anew.", exit_code=ENDED)
    print(f"{app.slug}: {python.parents[1]} is there: {_has(found)}. --recreate makes it anew.")
    if app.python is None:
        print(_what_now(app, python, known=False))
    return 0


def _has(found: environments.Interpreter) -> str:
    return f"Python {found.python}, Gradio {found.gradio}, {found.packages} packages"


def _what_now(app: AppSpec, python: Path, *, known: bool) -> str:
    if app.python is None:
        shown = Path(*python.parts[-4:])
        return (
            f"To use it, write under [apps.{app.slug}] in portal.toml:\n\n"
            f'  python = "{shown}"\n\nand `portal reload` takes it up.'
        )
    if known:
        return f"`portal apps restart {app.slug}` takes it up."
    return "`portal reload` takes it up, or the next `portal serve`."


def _beside(app: AppSpec, named: Path | None) -> tuple[Path | None, SourceFiles]:
    source = Path(app.source or "")
    folder = source if source.is_dir() else source.parent
    if named is not None and not named.is_file():
        raise CommandFailed(f"{named}: no such file.")
    if named is None and not source.exists():
        raise CommandFailed(f"{source} is a module; name what it needs with --requirements FILE.")
    file = named or folder / "requirements.txt"
    text = None
    if file.is_file():
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"{file}: it cannot be read as text.") from error
    space = source.is_dir()
    front_matter = read_front_matter(folder / "README.md") if space else {}
    return (None if text is None else file.absolute()), SourceFiles(
        requirements=text,
        requirements_name=file.name,
        sdk_version=text_of(front_matter, "sdk_version"),
        python_version=text_of(front_matter, "python_version"),
        is_space=space,
        has_packages=space and (folder / "packages.txt").is_file(),
    )


def _config_file(options: argparse.Namespace, variables: Mapping[str, str]) -> Path:
    named: Path | None = options.config
    return Path.cwd() / (named or variables.get("PORTAL_CONFIG", "").strip() or "portal.toml")
