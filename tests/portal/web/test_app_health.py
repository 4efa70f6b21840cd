"""The states of apps, from their guards."""

import contextlib
import socket
import threading

import pytest

from portal.contract.egress import Egress
from portal.web.app_health import AppHealth, apps_that_are_down, state_of
from tests.builders import an_app
from tests.portal.web.deployment import guard_answering


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
    with guard_answering(status, body) as (port, _):
        assert state_of(an_app(url=f"http://forecast.demo.localhost:{port}"), egress=Egress()) == state


def test_where_nobody_answers_the_app_is_unreachable() -> None:
    with guard_answering(200) as (port, _):
        pass
    assert state_of(an_app(url=f"http://127.0.0.1:{port}"), egress=Egress()) == "unreachable"


def test_an_app_that_answers_byte_by_byte_blocks_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.app_health._LONGEST", 0.3)
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


def test_an_app_that_must_be_up_is_asked_under_its_own_name() -> None:
    with guard_answering(200) as (port, asked):
        app = an_app(url=f"http://forecast.demo.localhost:{port}/run", required=True)
        assert apps_that_are_down([app], egress=Egress()) == []
    assert asked == [("/run/.portal/health", f"forecast.demo.localhost:{port}")]


def test_the_internal_address_comes_first() -> None:
    with guard_answering(200) as (port, asked):
        app = an_app(internal_url=f"http://127.0.0.1:{port}", required=True)
        assert apps_that_are_down([app], egress=Egress()) == []
    assert asked == [("/.portal/health", "forecast.apps.example.com")]


def test_an_app_that_starts_or_redirects_is_not_up() -> None:
    for status in (503, 302, 404):
        with guard_answering(status) as (port, _):
            assert apps_that_are_down([an_app(internal_url=f"http://127.0.0.1:{port}")], egress=Egress()) == [
                "forecast"
            ]
