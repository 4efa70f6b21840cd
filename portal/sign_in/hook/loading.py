"""Loads the hook by its name; every problem comes with its fix."""

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
    """Number of arguments it takes, counted from the first."""


def load_hook(name: str) -> HookFunction:
    """Return the function that *name*, ``package.module:function``, means.

    The module is searched in the working folder first; importing it runs it.

    Raises:
        SettingsError: there is no such function, or it cannot be called.
    """
    module_name, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as gunicorn does, however the portal was started
        sys.path.insert(0, here)
    chainlit.prepare()
    value: object = _imported(module_name)
    for part in path.split("."):
        if not hasattr(value, part):
            names = [one for one, member in vars(value).items() if inspect.isroutine(member)] if path == part else []
            _fail(f"names {path!r}, which is not in {module_name}.", choices(path, names))
        value = getattr(value, part)
    if not callable(value):
        _fail(f"names {path!r} in {module_name}, which is not a function.", "Name a function.")
    return HookFunction(function=value, takes=_number_of_arguments(value))


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
    """Return file and line of *error*, not its text, which may hold a secret."""
    if isinstance(error, SyntaxError):
        return f" in {error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    return f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _number_of_arguments(function: Callable[..., object]) -> int:
    """Return how many positional arguments it takes; like Chainlit, the portal passes no more."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        _fail("names a function whose arguments cannot be read.", "Name a function written in Python.")
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    takes = MOST_ARGUMENTS if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in _POSITIONAL for kind in kinds)
    takes = min(takes, MOST_ARGUMENTS)
    try:
        signature.bind(*range(takes))
    except TypeError:
        _fail(
            "names a function that needs more arguments than it gets.",
            "It is called with provider_id, token, raw_user_data, default_user and id_token, in this order.",
        )
    return takes


def _fail(what: str, fix: str) -> NoReturn:
    raise SettingsError([Problem(place=ENVIRONMENT, key=SIGN_IN_HOOK, what=what, fix=fix)])
