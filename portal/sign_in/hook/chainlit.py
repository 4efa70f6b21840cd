"""Replaces Chainlit if it is not installed: as much of it as a sign-in hook needs.

A module that imports ``chainlit as cl`` and decorates its function with ``@cl.oauth_callback`` works unchanged.  If
Chainlit is installed, only that decorator is replaced: Chainlit's raises ``ValueError`` unless environment variables
turn on one of Chainlit's own providers.  Chainlit is imported, perhaps as late as in the hook, with a temporary folder
as its root: else it would create ``.chainlit`` and ``.files`` in the working folder, and load that folder's ``.env``,
with the portal's secrets, into the environment.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final, Protocol, TypeVar

_NAME: Final = "chainlit"
_DEFINES_IT: Final = "chainlit.callbacks"
"""The module that defines Chainlit's ``oauth_callback``; the package takes it from there when it is imported."""
_ROOT: Final = "CHAINLIT_APP_ROOT"
_ENV_FILE: Final = "CHAINLIT_ENV_FILE"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class ChainlitUser(Protocol):
    """Argument and result of a hook: Chainlit's ``User``, or :class:`User`."""

    identifier: str
    display_name: str | None
    metadata: dict[str, Any]


@dataclass
class User:
    """Chainlit's ``cl.User``; a hook may change it or create another."""

    identifier: str
    display_name: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def oauth_callback(function: _Function) -> _Function:
    """Return *function* as it is: ``PORTAL_SIGN_IN_HOOK`` names it."""
    return function


def __getattr__(name: str) -> object:
    """Raise an error that names what is missing.

    Raises:
        AttributeError: always.
    """
    raise AttributeError(f"chainlit is not installed; its replacement has User and oauth_callback, but not {name}")


def prepare() -> None:
    """Have ``import chainlit`` find this module if Chainlit is not installed, else Chainlit with this decorator."""
    if _NAME not in sys.modules and find_spec(_NAME) is None:
        sys.modules[_NAME] = sys.modules[__name__]
        return
    for name in (_NAME, _DEFINES_IT):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "oauth_callback"):
            vars(module)["oauth_callback"] = oauth_callback
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds Chainlit's modules as usual, and has them loaded by :class:`_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the two modules; ``None`` for all others."""
        if fullname not in {_NAME, _DEFINES_IT}:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(Loader):
    """Loads a module of Chainlit as *inner* does."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the loader itself, such as the source for tracebacks."""
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module to fill; ``None``: an ordinary one."""
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Fill *module*; in the one that defines the decorator, replace it before it is imported from there."""
        if module.__name__ == _DEFINES_IT:
            self._inner.exec_module(module)
            vars(module)["oauth_callback"] = oauth_callback
            return
        with _temporary_root():
            self._inner.exec_module(module)


@contextmanager
def _temporary_root() -> Iterator[None]:
    """Give Chainlit a temporary root and no ``.env``, unless the variables for them are set."""
    with TemporaryDirectory(prefix="portal-chainlit-", ignore_cleanup_errors=True) as folder:
        variables = {
            name: value for name, value in ((_ROOT, folder), (_ENV_FILE, os.devnull)) if name not in os.environ
        }
        os.environ.update(variables)
        try:
            yield
        finally:
            for name in variables:
                os.environ.pop(name, None)


def user_class() -> Callable[..., ChainlitUser]:
    """Return Chainlit's own ``User`` if the hook has loaded Chainlit, else :class:`User`."""
    user: Callable[..., ChainlitUser] = getattr(sys.modules.get(_NAME), "User", User)
    return user
