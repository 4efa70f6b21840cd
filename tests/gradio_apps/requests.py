"""What handlers are given: a ``gr.Request`` around the scope that the guard filled."""

from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from starlette.requests import Request

from gradio_apps.runtime.guard.http_client import PortalClientSettings
from portal.contract import Person
from tests.builders import NOW, PORTAL
from tests.gradio_apps.guard import deployment as guarded


def a_person(**changes: Any) -> Person:
    """Ana in Acme, as the guard knows her, for three more days."""
    return guarded.a_person(**{"signed_in_until": NOW + 3 * 86400, **changes})


DIRECT = PortalClientSettings(proxy=None, tls=None)


@dataclass
class FakeAccess:
    """The guard's part of the portal's API: gives a token that says what it was asked for."""

    base_url: str = "http://127.0.0.1:7800"
    headers: dict[str, str] = field(default_factory=lambda: {"Host": "portal.example.com"})
    refusal: Exception | None = None
    client_settings: PortalClientSettings = DIRECT

    def token(self, scopes: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        return f"token-for-{scopes}"


def a_request(**scope: object) -> gr.Request:
    """A request as a handler gets it, with *scope* as the guard left it."""
    return gr.Request(Request({"type": "http", "headers": [], "query_string": b"", "path": "/", **scope}))


def a_visit(person: Person | None = None, *, access: object = None) -> gr.Request:
    """A request of *person* (Ana, if nobody is given)."""
    return a_request(**{"portal.visitor": person or a_person(), "portal.api": access})


__all__ = ["NOW", "PORTAL", "FakeAccess", "a_person", "a_request", "a_visit"]
