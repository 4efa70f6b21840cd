"""What stands in for Chainlit where it is not installed: as much of it as a sign-in hook needs.

A module that says ``import chainlit as cl`` and decorates its function with ``@cl.oauth_callback`` works as it stands.
Where Chainlit is installed, everything is its own but that decorator: Chainlit's raises ``ValueError`` unless
variables of the environment turn on one of Chainlit's own providers, and the portal's come from elsewhere too.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
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


def stand_in() -> None:
    """Have ``import chainlit`` find this module, unless there is a Chainlit."""
    if _NAME not in sys.modules and find_spec(_NAME) is None:
        sys.modules[_NAME] = sys.modules[__name__]


def replace_decorator() -> bool:
    """Have the decorator of a Chainlit that was imported be ours; say whether it was not."""
    modules = [module for name in (_NAME, _DEFINES_IT) if (module := sys.modules.get(name)) is not None]
    others = [module for module in modules if vars(module).get("oauth_callback", oauth_callback) is not oauth_callback]
    for module in others:
        vars(module)["oauth_callback"] = oauth_callback
    return bool(others)


def user_class() -> Callable[..., Person]:
    """Return Chainlit's own ``User`` where the hook has loaded Chainlit, else :class:`User`."""
    found: Callable[..., Person] = getattr(sys.modules.get(_NAME), "User", User)
    return found
