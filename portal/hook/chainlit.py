"""What stands in for Chainlit where it is not installed: as much of it as a sign-in hook needs.

A module that says ``import chainlit as cl`` and decorates its function with ``@cl.oauth_callback`` works as it stands.
Where Chainlit is installed, everything is its own but that decorator: Chainlit's raises ``ValueError`` unless
variables of the environment turn on one of Chainlit's own providers, and the portal's come from elsewhere too.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, Protocol, TypeVar

_NAME: Final = "chainlit"
_DEFINES_IT: Final = "chainlit.callbacks"
"""The module that defines Chainlit's ``oauth_callback``; the package takes it from there when it is imported."""
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


class _Finder(MetaPathFinder):
    """Finds Chainlit's :data:`_DEFINES_IT` where it is, and has our :func:`oauth_callback` put into it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _DEFINES_IT:
            return None
        others = (one for one in sys.meta_path if one is not self)
        spec = next((found for one in others if (found := one.find_spec(fullname, path, target)) is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module as *real* does, and puts our :func:`oauth_callback` in the place of its own."""

    def __init__(self, real: Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._real  # it is asked for the module's source
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        self._real.exec_module(module)
        _put_into(module)


_FINDER: Final = _Finder()


def stand_in() -> None:
    """Have ``import chainlit`` find this module; where there is a Chainlit, have its decorator be ours.

    Nothing of Chainlit is imported by this: a hook that does not need it is not to wait for it.
    """
    if _NAME not in sys.modules and find_spec(_NAME) is None:
        sys.modules[_NAME] = sys.modules[__name__]
        return
    for module in (sys.modules.get(_DEFINES_IT), sys.modules.get(_NAME)):
        if module is not None:
            _put_into(module)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _put_into(module: ModuleType) -> None:
    vars(module)["oauth_callback"] = oauth_callback


def user_class() -> Callable[..., Person]:
    """Return Chainlit's own ``User`` where the hook has loaded Chainlit, else :class:`User`."""
    found: Callable[..., Person] = getattr(sys.modules.get(_NAME), "User", User)
    return found
