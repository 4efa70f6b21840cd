"""``portal apps install``: makes the environment of an app from its requirements.  No other command installs."""

import os
import sys
import sysconfig
from pathlib import Path
from time import monotonic
from typing import Final

import click

from portal.cli import options
from portal.cli.apps import app_named
from portal.cli.configuration_file import configuration_file
from portal.cli.messages import examples
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


@click.command(epilog=examples("portal apps install forecast", "portal apps install forecast --recreate"))
@options.name
@click.option("--recreate", is_flag=True, help="Make it again, in place of an existing one.")
@click.option(
    "--requirements", type=options.PATH, metavar="FILE", help="Use this file, not requirements.txt beside the source."
)
@click.option("--python", metavar="FILE", help="Interpreter to make it from, not the portal's.")
@options.config
def install(
    *,
    name: str,
    recreate: bool,
    requirements: Path | None,
    python: str | None,
    config: Path | None,
) -> int:
    """Make an app's environment from its requirements.

    It is made where the app's python setting points, or beside portal.toml. If that fails, an existing one stays.
    """
    settings, variables = configured(config, unmade=True)
    app = app_named(settings, name)
    if app.source is None:
        raise CommandFailed(f"{app.slug} runs elsewhere ({app.url}); make its environment there.")
    file = configuration_file(config, variables)
    interpreter = interpreter_of(app, config=file)
    around = interpreter.parents[1].parent
    accounts = _accounts(app, settings, place=str(file))
    account = accounts.apps.get(app.slug, accounts.portal)
    if account is not None:
        environments.require_safe_folder(around, {**accounts.apps, app.slug: account})
    with environments.locked(around), builder_for(account) as builder:
        if interpreter.exists() and not recreate:
            return _report_existing(app, interpreter, builder)
        return _make(app, interpreter, builder, base=python or sys.executable, requirements=requirements)


def _accounts(app: AppSpec, settings: Settings, *, place: str) -> Accounts:
    """Return the users that installers run as, if this is root; else none, because all runs as this user.

    Raises:
        CommandFailed: the app's or the portal's user is not valid.
    """
    if os.geteuid() != 0:
        return Accounts(portal=None)
    accounts, problems = accounts_of(settings, place=place, directory=SystemUsers())
    relevant = tuple(one for one in problems if one.key in {"portal.user", f"apps.{app.slug}.user"})
    if relevant:
        raise CommandFailed(format_problems(relevant))
    return accounts


def interpreter_of(app: AppSpec, *, config: Path) -> Path:
    """Return the interpreter of *app*: the configured one, else one beside the file *config*.

    It is not in the data folder, which only the portal's user can read: the app may run as another user.

    Raises:
        CommandFailed: no environment can be made for the configured interpreter.
    """
    python = Path(app.python) if app.python else config.parent / _DEFAULT / app.slug / "bin" / "python"
    folder = python.parents[1]
    if python.parent.name != "bin" or not python.name.startswith("python"):
        raise CommandFailed(f"{python}: to make an environment, set apps.{app.slug}.python to FOLDER/bin/python.")
    if folder.resolve() == Path(sys.prefix).resolve():
        raise CommandFailed(f"{folder} is the portal's own environment. Set another folder in apps.{app.slug}.python.")
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise CommandFailed(f"{folder} exists and is not an environment. Set another in apps.{app.slug}.python.")
    return python


def _make(app: AppSpec, python: Path, builder: Builder, *, base: str, requirements: Path | None) -> int:
    version = environments.python_version(base, builder)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if not is_at_least(version, oldest):
        raise CommandFailed(f"{base} is Python {version}; it must be {oldest} or newer.")
    file, source_files = _source_files(app, requirements)
    try:
        plan = install_plan_for(source_files, python=".".join(version.split(".")[:2]))
    except CannotBeServed as error:
        raise CommandFailed(str(error)) from error
    uv = environments.find_uv([*os.get_exec_path(), sysconfig.get_path("scripts")], builder)
    folder = python.parents[1]
    existed = python.exists()
    if builder.account is not None:
        click.echo(f"{app.slug}: installers run as {builder.account}; root owns the result")
    for note in plan.notes:
        click.echo(f"{app.slug}: {note}")
    since = monotonic()
    made = environments.make(
        environments.EnvironmentRequest(
            folder=folder,
            base=base,
            program=python.name,
            uv=uv,
            requirements=file,
            added=plan.added,
            environ=os.environ,
            builder=builder,
        ),
        report=lambda step: click.echo(f"{app.slug}: {step}"),
    )
    click.echo(f"{app.slug}: {folder} is ready after {monotonic() - since:.0f} s: {_contents(made)}.")
    click.echo(_next_step(app, python, existed=existed))
    return 0


def _report_existing(app: AppSpec, python: Path, builder: Builder) -> int:
    """Print what the existing environment has."""
    interpreter = environments.inspect_interpreter(python, os.environ, builder)
    if isinstance(interpreter, str):
        raise CommandFailed(
            f"{interpreter} To make it again: portal apps install {app.slug} --recreate", exit_code=ENDED
        )
    click.echo(f"{app.slug}: {python.parents[1]} exists: {_contents(interpreter)}. --recreate makes it again.")
    if app.python is None:
        click.echo(_next_step(app, python, existed=False))
    return 0


def _contents(interpreter: environments.Interpreter) -> str:
    return f"Python {interpreter.python}, Gradio {interpreter.gradio}, {interpreter.packages} packages"


def _next_step(app: AppSpec, python: Path, *, existed: bool) -> str:
    if app.python is None:
        relative = Path(*python.parts[-4:])
        return (
            f"To use it, write under [apps.{app.slug}] in portal.toml:\n\n"
            f'  python = "{relative}"\n\nand run `portal reload`.'
        )
    if existed:
        return f"To use it, run `portal apps restart {app.slug}`."
    return "To use it, run `portal reload`, or start `portal serve`."


def _source_files(app: AppSpec, named: Path | None) -> tuple[Path | None, SourceFiles]:
    source = Path(app.source or "")
    folder = source if source.is_dir() else source.parent
    if named is not None and not named.is_file():
        raise CommandFailed(f"There is no file {named}.")
    if named is None and not source.exists():
        raise CommandFailed(f"{source} is a module; give its requirements with --requirements FILE.")
    file = named or folder / "requirements.txt"
    text = None
    if file.is_file():
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"{file} cannot be read as text.") from error
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
