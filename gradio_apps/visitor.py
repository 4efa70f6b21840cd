"""Who is in front of this app: the one typed way for an app's handlers to learn it.

``gr.Request.username`` says the name; this says the rest.  Nothing here reads a header or a
cookie: only the guard can put a person into the scope.
"""

import gradio as gr

from portal.contract import Person as Visitor

__all__ = ["Visitor", "visitor_of"]

_SCOPE_KEY = "portal.visitor"


def visitor_of(request: gr.Request | None) -> Visitor | None:
    """Return the person who sent *request*, or ``None`` where the app runs alone and nobody is signed in."""
    scope = getattr(getattr(request, "request", None), "scope", None)
    visitor = scope.get(_SCOPE_KEY) if isinstance(scope, dict) else None
    return visitor if isinstance(visitor, Visitor) else None
