"""The person who uses this app, for its handlers.

``gr.Request.username`` is the name; this is the rest.  It reads no header and no cookie: only the guard can put a
person into the scope.
"""

import gradio as gr

from portal.contract import Person as Visitor

__all__ = ["Visitor", "visitor_of"]

_SCOPE_KEY = "portal.visitor"


def visitor_of(request: gr.Request | None) -> Visitor | None:
    """Return the person who sent *request*, or ``None`` without the portal."""
    scope = getattr(getattr(request, "request", None), "scope", None)
    visitor = scope.get(_SCOPE_KEY) if isinstance(scope, dict) else None
    return visitor if isinstance(visitor, Visitor) else None
