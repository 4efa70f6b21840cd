"""The log and the reference."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.web.request_log import JsonLines, ReferenceFilter, configure_logging, new_reference
from tests.portal.web.deployment import Deployment


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """A stream that our logging writes to, for one test."""
    root, ours = logging.getLogger(), logging.getLogger("portal")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    configure_logging(stream)
    yield stream
    root.handlers[:], level, level_of_ours = before[0], before[1], before[2]
    root.setLevel(level)
    ours.setLevel(level_of_ours)


def lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_one_line_with_route_status_and_reference(deployment: Deployment, log: io.StringIO) -> None:
    answer = deployment.browser().get("/apps/forecast/?code=secret-code")
    (line,) = [line for line in lines(log) if line["logger"] == "portal.requests"]
    assert line["route"] == "/apps/<slug>/"
    assert (line["method"], line["status"], line["client"]) == ("GET", 303, "127.0.0.1")
    assert line["reference"] == answer.headers["X-Request-Id"]


def test_health_checks_leave_no_line(deployment: Deployment, log: io.StringIO) -> None:
    """`portal serve` asks for readiness until the portal is ready, and whatever watches it asks for ever."""
    for path in ("/readyz", "/healthz"):
        assert deployment.browser().get(path).status_code == 200
    assert lines(log) == []


def test_every_line_says_when_in_one_way(deployment: Deployment, log: io.StringIO) -> None:
    deployment.signed_in()
    found = lines(log)
    assert {line["logger"] for line in found} >= {"portal.audit", "portal.requests"}
    for line in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(line["at"])), line


def test_the_client_in_the_log_is_the_one_behind_our_web_server(deployment: Deployment, log: io.StringIO) -> None:
    browser = deployment.browser()
    said = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    browser.get("/sign-in", headers=said)
    browser.get("/sign-in", headers=said, environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    browser.get("/sign-in", environ_overrides={"REMOTE_ADDR": ""})
    clients = [line["client"] for line in lines(log) if line["logger"] == "portal.requests"]
    assert clients == ["203.0.113.7", "192.0.2.9", None]


def test_no_query_no_path_and_no_id_reaches_the_log(deployment: Deployment, log: io.StringIO) -> None:
    browser = deployment.browser()
    for path in ("/sign-in?next=/secret-1", "/secret-2?x=secret-3", "/apps/secret-4/.portal/launch?next=/secret-5"):
        browser.get(path)
    browser.get("/auth/oauth/company/callback?state=secret-6&code=secret-7")
    browser.post("/api/sign-ins/secret-8/end", headers={"Authorization": "Bearer secret-9"})
    assert "secret-" not in log.getvalue()


def test_every_line_of_a_request_carries_its_reference(deployment: Deployment, log: io.StringIO) -> None:
    answer = deployment.browser().get("/auth/oauth/company/callback?state=unknown&code=x")
    references = {line["reference"] for line in lines(log)}
    assert references == {answer.headers["X-Request-Id"]}
    assert answer.headers["X-Request-Id"] in answer.text


def test_a_clients_own_reference_is_not_taken_over(deployment: Deployment) -> None:
    answer = deployment.browser().get("/healthz", headers={"X-Request-Id": "forged"})
    assert answer.headers["X-Request-Id"] != "forged"


def test_static_files_are_not_logged(deployment: Deployment, log: io.StringIO) -> None:
    deployment.browser().get("/static/portal.css").close()
    assert log.getvalue() == ""


def test_the_audit_is_part_of_its_line(deployment: Deployment, log: io.StringIO) -> None:
    deployment.signed_in()
    (line,) = [line for line in lines(log) if line["logger"] == "portal.audit"]
    assert (line["message"], line["event"], line["tenant"]) == ("audit", "signed-in", "acme")
    assert line["reference"]


def test_what_happens_in_the_portal_is_in_the_audit_log(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    deployment = Deployment(tmp_path / "data", audit_log=str(file))
    browser = deployment.signed_in()
    browser.get("/apps/admin-dashboard/")
    browser.get("/apps/admin-dashboard/")

    written = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    assert [line["event"] for line in written] == ["signed-in", "app-denied", "app-denied"]
    assert [line["id"] for line in written] == [1, 2, 3]
    assert written[0]["fields"]["browser"].endswith("Firefox/150.0")
    assert written[1]["fields"]["denial"] == "missing-role"


def test_line_breaks_cannot_forge_a_line() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, 'first\n{"forged": 1}', None, None)
    assert "\n" not in JsonLines().format(record)


def test_a_traceback_is_part_of_its_line() -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, "it failed", None, (ValueError, ValueError("why"), None))
    assert ReferenceFilter().filter(record)
    line = json.loads(JsonLines().format(record))
    assert "ValueError: why" in line["exception"]
    assert "reference" not in line


def test_references_are_eight_letters_that_can_be_read_aloud() -> None:
    references = {new_reference() for _ in range(200)}
    assert len(references) == 200
    assert all(len(reference) == 8 and not set(reference) & set("il1o0") for reference in references)
