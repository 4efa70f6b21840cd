"""From the name of the hook to the function: every way in which it cannot be one is a problem with its fix."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from portal.errors import ENVIRONMENT, Problem, SettingsError, choices
from portal.settings import SIGN_IN_HOOK
from portal.sign_in.hook import chainlit

MOST_ARGUMENTS: Final = 5
"""``provider_id``, ``token``, ``raw_user_data``, ``default_user``, ``id_token``; a hook may take fewer."""
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFunction:
    """The company's function."""

    function: Callable[..., object]
    takes: int
    """How many of the arguments it takes, from the first."""


def load_hook(name: str) -> HookFunction:
    """Return the function that *name*, ``package.module:function``, means.

    The module is looked for in the working folder first, and is run by being imported.

    Raises:
        SettingsError: there is no such function, or none that can be asked.
    """
    module_name, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # where gunicorn looks too, whatever has started it
        sys.path.insert(0, here)
    chainlit.prepare()
    found: object = _imported(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            names = [one for one, value in vars(found).items() if inspect.isroutine(value)] if path == part else []
            _fail(f"names {path!r}, which is not in {module_name}.", choices(path, names))
        found = getattr(found, part)
    if not callable(found):
        _fail(f"names {path!r} in {module_name}, which is no function.", "Name a function.")
    return HookFunction(function=found, takes=_number_of_arguments(found))


def _imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            _fail(
                f"names the module {name!r}, which cannot be found.",
                "It is looked for in the working folder and among the installed packages.",
            )
        _fail(f"needs the module {error.name!r}, which cannot be found.", "Install it beside the portal.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the company's code: anything may go wrong in it
        where = _location_of(error)
        _fail(
            f"names a module that cannot be loaded: {type(error).__name__}{where}.",
            f'To see the whole error: python -c "import {name}"',
        )


def _location_of(error: BaseException) -> str:
    """Return file and line of *error*, not its text: that may repeat a secret."""
    if isinstance(error, SyntaxError):
        return f" in {error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    return f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _number_of_arguments(function: Callable[..., object]) -> int:
    """Return how many arguments to give it by position; Chainlit leaves out what a function does not take."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        _fail("names what does not say which arguments it takes.", "Name a function written in Python.")
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    takes = MOST_ARGUMENTS if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in _POSITIONAL for kind in kinds)
    takes = min(takes, MOST_ARGUMENTS)
    try:
        signature.bind(*range(takes))
    except TypeError:
        _fail(
            "names a function that asks for more than there is to give.",
            "It is called with provider_id, token, raw_user_data, default_user and id_token, in this order.",
        )
    return takes


def _fail(what: str, fix: str) -> NoReturn:
    raise SettingsError([Problem(place=ENVIRONMENT, key=SIGN_IN_HOOK, what=what, fix=fix)])
