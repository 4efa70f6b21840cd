"""A portal over HTTP in a thread: publishes its key, redeems every good ticket once, renews every session."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import httpx

from portal.contract import Active, Person, sign_ticket
from portal.contract.introspection import HINT_TICKET
from tests.builders import a_ticket
from tests.portal.contract.forging import KEY, public_jwk

URL = "http://portal.demo.localhost:7800"
SLUG = "forecast"
SESSION = "app-session-1"
ANA = Person(
    subject="id-of-ana",
    username="ana@example.com",
    name="Ana Analyst",
    email="ana@example.com",
    signed_in_until=1 << 33,
)
BENS_SESSION = "app-session-of-ben"
BEN = replace(ANA, subject="id-of-ben", username="ben@example.com", name="Ben Builder", email="ben@example.com")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._say({"keys": [public_jwk(KEY)]})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        sid = SESSION if form["token_type_hint"] == [HINT_TICKET] else form["token"][0]
        self._say(
            Active(session=sid, person=BEN if sid == BENS_SESSION else ANA, next="/").to_json(issuer=URL, audience=SLUG)
        )

    def _say(self, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def a_portal() -> Iterator[str]:
    """Answer until the block is left; the value is where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def entered(client: httpx.Client, *, path: str = "", next: str = "/") -> tuple[httpx.Response, dict[str, str]]:  # noqa: A002 - the claim's name
    """Have Ana hand in a ticket at the app below *path*; return the answer, and the headers of her page's requests."""
    now = int(time.time())
    ticket = a_ticket(issuer=URL, audience=SLUG, subject=ANA.subject, issued_at=now, expires_at=now + 30, next=next)
    form = {"ticket": sign_ticket(ticket, key=KEY)}
    opened = client.post(f"{path}/.portal/session", data=form, headers={"origin": URL})
    assert opened.status_code == 303, opened.text
    return opened, {"cookie": opened.headers["set-cookie"].partition(";")[0], "sec-fetch-site": "same-origin"}
