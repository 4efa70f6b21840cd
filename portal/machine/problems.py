"""Reading the configuration for a command, and formatting its problems."""

import os
from collections.abc import Mapping
from pathlib import Path

from portal.configuration import environment, load
from portal.configuration.loading import FILE_NAME, chosen_file
from portal.errors import Problem, SettingsError
from portal.machine.failure import CommandFailed
from portal.settings import Settings


def configured(
    path: Path | None, *, environ: Mapping[str, str] = os.environ, unmade: bool = False
) -> tuple[Settings, dict[str, str]]:
    """Return the settings of *path* (else ``PORTAL_CONFIG``, else ``portal.toml``) and the environment they came from.

    With *unmade*, interpreters of apps need not exist yet.

    Raises:
        CommandFailed: lists every problem.
    """
    try:
        variables = environment(environ, Path.cwd())
    except OSError as error:
        raise CommandFailed(
            f"{error.filename} cannot be read: {error.strerror}. Use a user who may read it."
        ) from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{Path.cwd() / '.env'} is not UTF-8 text. Save it as UTF-8.") from error
    try:
        return load(variables, path=path, may_lack_python=unmade), variables
    except SettingsError as error:
        raise CommandFailed(_without_file(path, variables) + format_problems(error.problems)) from error


def _without_file(path: Path | None, variables: Mapping[str, str]) -> str:
    """Return the introduction if there is no file: all other problems may follow from that."""
    if chosen_file(path, variables) is not None or Path(FILE_NAME).exists():
        return ""
    return f"there is no {FILE_NAME} here; `portal init` creates one. From environment variables alone, "


def format_problems(problems: tuple[Problem, ...]) -> str:
    """Return *problems* as text: place, key, what is wrong, and the fix."""
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"the configuration has {count}:"]
    for problem in problems:
        lines += ["", f"  {problem.place}: {problem.key}", f"    {problem.what}", f"    {problem.fix}"]
    return "\n".join(lines)
