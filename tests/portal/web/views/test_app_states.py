"""The state of an app, for its page."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from portal.contract.egress import Egress
from portal.rules.catalogue import Catalogue
from portal.web.views.app_states import AppStates
from portal.web.views.health import AppHealth, state_of
from tests.builders import an_app
from tests.portal.web.deployment import TESS, Deployment


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """Answer every request with *status* and *body*; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, b'{"state": "running"}', "running"),
        (503, b'{"state": "starting"}', "starting"),
        (503, b'{"state": "failed"}', "failed"),
        (503, b'{"state": "stopped"}', "stopped"),
        (503, b'{"state": "running"}', "unreachable"),
        (503, b'{"state": "<script>"}', "unreachable"),
        (503, b'{"state": ["stopped"]}', "unreachable"),
        (503, b'["stopped"]', "unreachable"),
        (502, b"<html>Bad Gateway</html>", "unreachable"),
        (503, b"[" * 100_000, "unreachable"),
        (503, b'{"state": "stopped"' + b" " * 5000 + b"}", "unreachable"),
        (500, b"\xff", "unreachable"),
        (404, b"", "unreachable"),
    ],
)
def test_a_state_is_what_the_guard_says_and_nothing_else(status: int, body: bytes, state: AppHealth) -> None:
    with answering(status, body) as port:
        assert state_of(an_app(url=f"http://forecast.demo.localhost:{port}"), egress=Egress()) == state


def test_where_nobody_answers_the_app_is_unreachable() -> None:
    with answering(200, b"") as port:
        pass
    assert state_of(an_app(url=f"http://127.0.0.1:{port}"), egress=Egress()) == "unreachable"


def test_an_app_that_answers_byte_by_byte_blocks_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.views.health._LONGEST", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                while not over.wait(0.05):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            app = an_app(url=f"http://127.0.0.1:{server.getsockname()[1]}")
            assert state_of(app, egress=Egress()) == "unreachable"
        finally:
            over.set()
            thread.join()


def test_people_who_may_open_the_app_get_its_state(tmp_path: Path) -> None:
    with answering(503, json.dumps({"state": "stopped"}).encode()) as port:
        app = an_app(internal_url=f"http://127.0.0.1:{port}")
        closed = an_app(slug="closed", url="https://closed.apps.example.com", open_to=frozenset())
        deployment = Deployment(tmp_path, catalogue=Catalogue((app, closed)))
        ours, strangers = deployment.signed_in(), deployment.browser()
        answer = ours.get("/app-states/forecast")
        assert (answer.status_code, answer.get_json()) == (200, {"state": "stopped"})
        assert answer.headers["Cache-Control"] == "no-store"
        assert strangers.get("/app-states/forecast").status_code == 401
        # It does not say which apps there are.
        refused = [ours.get(f"/app-states/{slug}") for slug in ("closed", "nothing")]
        assert [(one.status_code, one.get_json()) for one in refused] == [(404, {"state": "unknown"})] * 2
        assert deployment.signed_in(TESS).get("/app-states/forecast").status_code == 404


def test_an_app_is_asked_once_per_moment() -> None:
    asked: list[str] = []

    def ask(app: object) -> AppHealth:
        asked.append(str(app))
        return "stopped"

    states = AppStates(ask)
    assert {states.get(an_app()) for _ in range(50)} == {"stopped"}
    assert len(asked) < 50 / 10
    assert states.get(an_app(slug="other")) == "stopped"
