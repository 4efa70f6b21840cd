"""Health checks are short, and only an explicit answer counts."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from portal.machine.readiness import HealthCheck, state_of
from portal.machine.startup import StartupMonitor, app_health_check
from portal.rules.catalogue import Catalogue
from tests.builders import an_app, settings_for
from tests.ports import free_ports


class Answering(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.body = b"{}"
        self.asked: list[tuple[str, str]] = []

    @property
    def check(self) -> HealthCheck:
        return HealthCheck(port=self.server_port, host="portal.example.com", path="/readyz")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast("Answering", self.server)
        server.asked.append((self.headers["Host"], self.path))
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[Answering]:
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, b"{}", "running"),
        (503, b'{"state": "starting"}', "starting"),
        (503, b'{"state": "failed"}', "failed"),
        (500, b"<html>", "starting"),
        (503, b"[]", "starting"),
        (404, b"", "starting"),
    ],
)
def test_the_state_follows_from_the_answer(answering: Answering, status: int, body: bytes, state: str) -> None:
    answering.status, answering.body = status, body

    assert state_of(answering.check) == state
    assert answering.asked == [("portal.example.com", "/readyz")]


def test_no_answer_means_it_is_starting() -> None:
    (port,) = free_ports(1)

    assert state_of(HealthCheck(port=port, host="x", path="/")) == "starting"


def test_an_apps_health_lies_under_its_path() -> None:
    app = an_app(url="https://ai.example.com/run/forecast", port=7810)

    assert app_health_check(app) == HealthCheck(port=7810, host="ai.example.com", path="/run/forecast/.portal/health")


class TestStartupMonitor:
    def monitor(self, answering: Answering, folder: Path, said: list[str]) -> StartupMonitor:
        apps = tuple(an_app(slug=slug, title=slug.title(), source="x", port=answering.server_port) for slug in "ab")
        settings = settings_for(folder, catalogue=Catalogue(apps))
        return StartupMonitor(settings, checks=(answering.check,), announce=lambda: said.append("open"))

    def test_it_announces_once_and_then_reports_the_apps(
        self, answering: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said: list[str] = []
        monitor = self.monitor(answering, tmp_path, said)
        answering.status = 503
        monitor.look()
        assert said == []
        answering.status = 200
        for _ in range(5):
            monitor.look()

        assert said == ["open"]
        assert capsys.readouterr().out == "All apps are running.\n"

    def test_a_failed_app_is_reported_with_the_end_of_its_log(
        self, answering: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "a.log").write_text("Traceback\nNameError: x", encoding="utf-8")
        monitor = self.monitor(answering, tmp_path, [])
        monitor.look()
        answering.status, answering.body = 503, json.dumps({"state": "failed"}).encode()
        monitor.look()
        answering.status = 200
        monitor.look()
        out = capsys.readouterr().out

        assert "A could not be started." in out
        assert "  NameError: x" in out
        assert "All apps" not in out

    @pytest.mark.parametrize("given", [{"secrets": ("API_KEY",)}, {"env_file": "/etc/apps/a.env"}])
    def test_a_log_that_may_contain_secrets_is_not_shown(
        self, answering: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: dict[str, Any]
    ) -> None:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "a.log").write_text("the key is sk-1234567890", encoding="utf-8")
        app = an_app(slug="a", title="A", source="x", port=answering.server_port, **given)
        settings = settings_for(tmp_path, catalogue=Catalogue((app,)))
        monitor = StartupMonitor(settings, checks=(), announce=lambda: None)
        answering.status, answering.body = 503, json.dumps({"state": "failed"}).encode()
        monitor.look()

        assert capsys.readouterr().out == "\nA could not be started. portal apps logs a shows the reason.\n"

    def test_a_slow_app_is_checked_again(
        self, answering: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monitor = self.monitor(answering, tmp_path, [])
        monitor.look()
        answering.status = 503
        for _ in range(3):
            monitor.look()
        assert capsys.readouterr().out == ""
        monitor._since -= 3600
        for _ in range(2):
            monitor.look()

        assert capsys.readouterr().out.count("is still starting") == 2
