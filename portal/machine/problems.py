"""Reading the configuration for a command, and telling all its problems."""

import os
from collections.abc import Mapping
from pathlib import Path

from portal.configuration import environment, load
from portal.configuration.loading import FILE_NAME
from portal.errors import Problem, SettingsError
from portal.machine.failure import CommandFailed
from portal.settings import Settings


def configured(
    path: Path | None, *, environ: Mapping[str, str] = os.environ, unmade: bool = False
) -> tuple[Settings, dict[str, str]]:
    """Return the settings of *path* (else ``PORTAL_CONFIG``, else ``portal.toml``) and the environment they came from.

    With *unmade*, interpreters of apps need not be there yet.

    Raises:
        CommandFailed: tells every problem at once.
    """
    try:
        variables = environment(environ, Path.cwd())
    except OSError as error:
        raise CommandFailed(f"{error.filename} cannot be read: {error.strerror}. Work as a user who may.") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{Path.cwd() / '.env'} is no UTF-8 text. Save it as UTF-8.") from error
    try:
        return load(variables, path=path, unmade=unmade), variables
    except SettingsError as error:
        raise CommandFailed(_without_file(path, variables) + format_problems(error.problems)) from error


def _without_file(path: Path | None, variables: Mapping[str, str]) -> str:
    """Return what comes first where there is no file: everything that is missing may be missing because of that."""
    if path is not None or variables.get("PORTAL_CONFIG", "").strip() or Path(FILE_NAME).exists():
        return ""
    return f"no {FILE_NAME} here; `portal init` makes one. By variables of the environment alone, "


def format_problems(problems: tuple[Problem, ...]) -> str:
    """Return *problems* as text: where, which key, what, and how to fix it."""
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"the configuration has {count}:"]
    for problem in problems:
        lines += ["", f"  {problem.place}: {problem.key}", f"    {problem.what}", f"    {problem.fix}"]
    return "\n".join(lines)
