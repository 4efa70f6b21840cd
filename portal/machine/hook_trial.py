"""Trying the sign-in hook before anything relies on it: in a process of its own, by whoever will run it.

To load it is to run the company's code.  Where root starts the portal, that code must get nothing of root's; and a
process that has loaded it once would not see that it was changed.
"""

import json
import os
import subprocess
import sys
from typing import Final

from portal.contract.privileges import taken_up
from portal.errors import ENVIRONMENT, Problem
from portal.machine.failure import CommandFailed
from portal.machine.privilege_drop import environment_for, groups_of
from portal.machine.problems import format_problems
from portal.machine.processes import Program
from portal.machine.users import Account
from portal.settings import SIGN_IN_HOOK, Settings

PATIENCE: Final = 60.0
"""Seconds the hook's module may take to be loaded; what it imports may be large."""


def require_hook(settings: Settings, *, account: Account | None, patience: float = PATIENCE) -> None:
    """Load the sign-in hook, where there is one, as *account*, who runs the portal; ``None``: whoever asks.

    Raises:
        CommandFailed: tells why it cannot be loaded.
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
    who = trial.change_of_user
    try:
        with taken_up():  # to start a process as somebody else; it keeps nothing of that
            done = subprocess.run(  # noqa: S603 - our own module; the name is an argument, and no shell sees it
                trial.argv,
                env=dict(trial.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=patience,
                check=False,
                **who,
            )
    except subprocess.TimeoutExpired:
        return _problem(f"names a module that was not loaded within {patience:.0f} seconds.", "See what it waits for.")
    except OSError as error:
        return _problem(
            f"cannot be tried as {account or 'this user'}: {error.strerror}: {error.filename}.",
            "The portal's user must reach the interpreter and the working folder.",
        )
    try:
        verdict: dict[str, str] = json.loads(done.stdout)
        return None if not verdict else _problem(verdict["what"], verdict["fix"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return _problem(
            f"names a module that ended the process which loaded it, with code {done.returncode}.",
            "It must do nothing but define the function.",
        )


def _problem(what: str, fix: str) -> Problem:
    return Problem(place=ENVIRONMENT, key=SIGN_IN_HOOK, what=what, fix=fix)
