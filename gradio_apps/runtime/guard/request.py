"""One HTTP request as the guard reads it."""

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
    """Only those that the app may see."""
