"""One request as the guard reads it: the connection, what it presents, and what the app may see of its headers."""

from dataclasses import dataclass

from gradio_apps.runtime.guard.asgi import Receive, Scope, Send
from gradio_apps.runtime.guard.headers import RawHeaders
from gradio_apps.runtime.guard.request_authorization import Presented


@dataclass(slots=True)
class Request:
    """One HTTP request."""

    scope: Scope
    receive: Receive
    send: Send
    presented: Presented
    headers: RawHeaders
    """Without what an app must not see."""
