"""What stands in for Chainlit where it is not installed: as much of it as a sign-in hook needs.

A module that says ``import chainlit as cl`` and decorates its function with ``@cl.oauth_callback`` works as it stands.
Where Chainlit is installed, everything is its own but that decorator: Chainlit's raises ``ValueError`` unless
variables of the environment turn on one of Chainlit's own providers, and the portal's come from elsewhere too.  And
when it is imported, which may be as late as in the hook, it does so in a folder that is gone afterwards: it would make
``.chainlit`` and ``.files`` in the working folder, and take that folder's ``.env``, the portal's secrets among it, into
the environment of the process.
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


class Person(Protocol):
    """What a hook is given and gives back: Chainlit's ``User``, or :class:`User`."""

    identifier: str
    display_name: str | None
    metadata: dict[str, Any]


@dataclass
class User:
    """Chainlit's ``cl.User``; a hook may change it or make one of its own."""

    identifier: str
    display_name: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def oauth_callback(function: _Function) -> _Function:
    """Return *function* as it is: ``PORTAL_SIGN_IN_HOOK`` names it."""
    return function


def __getattr__(name: str) -> object:
    """Say what is missing, and why.

    Raises:
        AttributeError: always.
    """
    raise AttributeError(f"chainlit is not installed; what stands in for it has User and oauth_callback, not {name}")


def prepare() -> None:
    """Have ``import chainlit`` find this module where there is no Chainlit, else Chainlit with our decorator."""
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
    """Finds what is Chainlit's where everybody finds it, and has it loaded by :class:`_Loader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the two modules that matter; ``None`` for all others."""
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
    """Loads a module of Chainlit's as *inner* does."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        """Return what the loader itself has, such as the source for tracebacks."""
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module to fill; ``None``: an ordinary one."""
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Fill *module*; of the one that defines it, the decorator is ours before anybody can take it from there."""
        if module.__name__ == _DEFINES_IT:
            self._inner.exec_module(module)
            vars(module)["oauth_callback"] = oauth_callback
            return
        with _temporary_root():
            self._inner.exec_module(module)


@contextmanager
def _temporary_root() -> Iterator[None]:
    """Have Chainlit make its folders where they are gone afterwards, and read no ``.env``; what is set stays."""
    with TemporaryDirectory(prefix="portal-chainlit-", ignore_cleanup_errors=True) as folder:
        ours = {name: value for name, value in ((_ROOT, folder), (_ENV_FILE, os.devnull)) if name not in os.environ}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in ours:
                os.environ.pop(name, None)


def user_class() -> Callable[..., Person]:
    """Return Chainlit's own ``User`` where the hook has loaded Chainlit, else :class:`User`."""
    found: Callable[..., Person] = getattr(sys.modules.get(_NAME), "User", User)
    return found
