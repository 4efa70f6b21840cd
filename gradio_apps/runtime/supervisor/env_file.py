"""The variables of an app's ``env_file``, read at each start: restarting the app picks up a changed secret."""

import os
from dataclasses import replace
from pathlib import Path

from gradio_apps.runtime.supervisor.document import AppPlan
from portal.contract.env_files import LARGEST, EnvFileError, problem_of_mode, read_env_file
from portal.contract.privileges import as_root


class EnvFileUnusable(OSError):
    """An app's ``env_file`` cannot be used; ``strerror`` says why, and quotes nothing of it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(None, f"its env_file {path} cannot be used: {reason}")


def with_env_file(app: AppPlan) -> AppPlan:
    """Return *app* with the variables of its ``env_file``, all of them secret; they win over ``env``.

    Raises:
        EnvFileUnusable: it cannot be read, is open to others, or has a line that is not a variable.
    """
    path = app.env_file
    if path is None:
        return app
    try:
        variables = read_env_file(_content(path))
    except EnvFileError as error:
        raise EnvFileUnusable(path, str(error)) from None
    except OSError as error:
        raise EnvFileUnusable(path, error.strerror or "it cannot be read") from None
    names = tuple(dict.fromkeys((*app.secret_names, *variables)))
    return replace(app, env={**app.env, **variables}, secret_names=names)


def _content(path: Path) -> bytes:
    with as_root():  # best is a file of root's, which neither portal nor app can read
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        problem = problem_of_mode(os.fstat(descriptor).st_mode)
        if problem is not None:
            raise EnvFileError(problem)
        return file.read(LARGEST + 1)
