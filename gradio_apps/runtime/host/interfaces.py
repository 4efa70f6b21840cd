"""Finds the Gradio interface that an author's app has mounted below its root."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from starlette.routing import Mount

_GRADIO: Final = "gradio.routes"
"""Module of Gradio's own app, compared by name: Gradio may not be imported yet."""
_DEEPEST: Final = 8
_WRAPPED: Final = ("app", "__wrapped__")
"""Attributes in which middleware keeps its inner app: Starlette's, and that of the bridge between loops."""


def only_interface(app: Any) -> str | None:
    """Return the path of the only interface mounted below the root of *app*, with a trailing slash.

    ``None`` if there is none, one at the root, or several.
    """
    paths = list(islice(_interfaces(app, prefix="", depth=0), 2))
    return f"{paths[0]}/" if len(paths) == 1 and paths[0] else None


def _interfaces(app: Any, *, prefix: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if type(app).__module__ == _GRADIO:
        yield prefix
        return
    routes = getattr(app, "routes", None)
    if routes is None:
        inner = next((getattr(app, name) for name in _WRAPPED if getattr(app, name, None) is not None), None)
        if inner is not None:
            yield from _interfaces(inner, prefix=prefix, depth=depth + 1)
        return
    for route in routes:
        if isinstance(route, Mount) and "{" not in route.path:
            yield from _interfaces(route.app, prefix=prefix + route.path, depth=depth + 1)
