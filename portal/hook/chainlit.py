"""What stands in for Chainlit where it is not installed: as much of it as a sign-in hook needs.

A module that says ``import chainlit as cl`` and decorates its function with ``@cl.oauth_callback`` works as it stands.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final, Protocol, TypeVar

_NAME: Final = "chainlit"
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


def user_class() -> Callable[..., Person]:
    """Return Chainlit's own ``User`` where the hook has loaded Chainlit, else :class:`User`."""
    found: Callable[..., Person] = getattr(sys.modules.get(_NAME), "User", User)
    return found
