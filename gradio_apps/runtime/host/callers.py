"""The person on whose behalf an app calls itself.

Gradio's MCP server runs a queued tool by calling the app over HTTP, with the headers of the original request.  A
header of the host's own among them identifies the person.
"""

import secrets
from collections import OrderedDict
from typing import Any, Final

from starlette.types import Scope

from gradio_apps.runtime.host.person import SIGN_IN, VISITOR

HEADER: Final = b"x-gradio-apps-caller"
_KEPT: Final = 1024
_CARRIED: Final = (VISITOR, "portal.api", SIGN_IN)
_MCP: Final = "/gradio_api/mcp"


class Callers:
    """Remembers the person of the latest requests."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, dict[str, Any]] = OrderedDict()

    def mark(self, scope: Scope) -> None:
        """Mark the request in *scope*, if the app may answer it by calling itself."""
        headers = [(name, value) for name, value in scope["headers"] if name != HEADER]
        if _MCP in scope["path"]:
            mark = secrets.token_urlsafe(32).encode()
            headers.append((HEADER, mark))
            self._known[mark] = {key: scope[key] for key in _CARRIED if key in scope}
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        scope["headers"] = headers

    def recall(self, scope: Scope) -> None:
        """Put the person into the *scope* of one of the app's own calls, if it has a mark."""
        marks = [value for name, value in scope["headers"] if name == HEADER]
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != HEADER]
        if len(marks) == 1:
            scope.update(self._known.get(marks[0], {}))
