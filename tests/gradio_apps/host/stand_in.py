"""Hosts one sample app in this process, behind a stand-in for the guard: ``stand_in.py DESCRIPTOR SOURCE``.

The stand-in believes the header ``x-test-person`` and shows the host's state to anyone.
"""

import json
import logging
import os
import socket
import sys
from pathlib import Path

from starlette.types import Receive, Scope, Send

from gradio_apps.runtime.guard.person import session_of
from gradio_apps.runtime.guard.settings import GuardSettings
from gradio_apps.runtime.host import HostedApp, ServerThread, read_source, run
from portal.contract import Person

UNTIL = 4_000_000_000
SETTINGS = GuardSettings(
    portal_url="http://127.0.0.1:1", app="sample", app_url="http://127.0.0.1:2", secret="a-secret-of-the-tests"
)


class BelievingGuard:
    """ASGI middleware that lets in anyone with a name."""

    def __init__(self, host: HostedApp) -> None:
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == "/test-state":
                state = json.dumps({"state": self._host.state, "login_button": self._host.login_button})
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": state.encode()})
                return
            name = dict(scope["headers"]).get(b"x-test-person", b"").decode()
            if name:
                person = Person(
                    subject=f"id-of-{name}",
                    username=name,
                    name=name.title(),
                    tenant="acme",
                    roles=frozenset({"analyst"}),
                    signed_in_until=UNTIL,
                )
                scope["portal.visitor"] = person
                scope["session"] = session_of(person, SETTINGS)
        await self._host(scope, receive, send)


if __name__ == "__main__":
    log = logging.getLogger("gradio_portal")
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)
    listening = socket.socket(fileno=int(sys.argv[1]))
    source = read_source(sys.argv[2], base=Path.cwd())
    hosted = HostedApp()
    front = ServerThread(BelievingGuard(hosted), host=hosted, sock=listening)
    front.start()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    run(source, host=hosted, server=front, linger=float(os.environ.get("LINGER", "0")))
