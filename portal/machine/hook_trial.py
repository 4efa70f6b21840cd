"""Loading the sign-in hook as a test, in a separate process, as the portal's user.

Loading it runs the company's code.  If root starts the portal, that code must not run as root; and a process that has
loaded it once would not notice changes.
"""

import json
import os
import subprocess
import sys
from typing import Final

from portal.contract.privileges import as_root
from portal.errors import ENVIRONMENT, Problem
from portal.machine.failure import CommandFailed
from portal.machine.privilege_drop import environment_for, groups_of
from portal.machine.problems import format_problems
from portal.machine.processes import Program
from portal.machine.users import Account
from portal.settings import SIGN_IN_HOOK, Settings

PATIENCE: Final = 60.0
"""Seconds for loading the hook's module; it may import large packages."""


def require_hook(settings: Settings, *, account: Account | None, patience: float = PATIENCE) -> None:
    """Load the sign-in hook, if there is one, as *account*, the portal's user; ``None``: the current user.

    Raises:
        CommandFailed: says why it cannot be loaded.
    """
    if settings.sign_in_hook is None:
        return
    problem = _problem_of(settings.sign_in_hook, account=account, patience=patience)
    if problem is not None:
        raise CommandFailed(format_problems((problem,)))


def _problem_of(name: str, *, account: Account | None, patience: float) -> Problem | None:
    is_other = account is not None and os.getuid() == 0
    trial = Program(
        name="the sign-in hook",
        argv=[sys.executable, "-m", "portal.sign_in.hook.trial", name],
        environ=os.environ if account is None else environment_for(account, os.environ),
        account=account if is_other else None,
        groups=groups_of(account) if account is not None and is_other else (),
    )
    change_of_user = trial.change_of_user
    try:
        with as_root():  # to start a process as another user, which does not inherit it
            done = subprocess.run(  # noqa: S603 - our own module; the name is an argument, and no shell sees it
                trial.argv,
                env=dict(trial.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=patience,
                check=False,
                **change_of_user,
            )
    except subprocess.TimeoutExpired:
        return _problem(f"names a module that was not loaded within {patience:.0f} seconds.", "See what it waits for.")
    except OSError as error:
        return _problem(
            f"cannot be tried as {account or 'this user'}: {error.strerror}: {error.filename}.",
            "The portal's user must be able to read the interpreter and the working folder.",
        )
    try:
        result: dict[str, str] = json.loads(done.stdout)
        return None if not result else _problem(result["what"], result["fix"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return _problem(
            f"names a module that ended the process when it was loaded, with exit code {done.returncode}.",
            "The module must only define the function.",
        )


def _problem(what: str, fix: str) -> Problem:
    return Problem(place=ENVIRONMENT, key=SIGN_IN_HOOK, what=what, fix=fix)
