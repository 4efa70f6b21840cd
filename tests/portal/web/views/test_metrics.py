"""``/metrics``: its values, who may read it, and that it has no personal data."""

import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal.contract.introspection import HINT_TICKET
from portal.contract.supervisor_messages import State, WorkKind
from portal.rules.catalogue import Catalogue
from portal.web.metrics import NAMES, Metrics
from portal.web.views.metrics import is_direct, is_listed
from tests.architecture.pages import page
from tests.builders import an_app as an_app_spec
from tests.builders import an_identity
from tests.gradio_apps.supervisor.supervising import a_document, an_app, is_state, supervised, the_app
from tests.portal.web.deployment import Deployment

DIRECT = "http://127.0.0.1:7800"
HERE = Catalogue((an_app_spec(source="app.py", port=7810),))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder whose name leaves room for the name of a Unix socket."""
    with TemporaryDirectory() as name:
        yield Path(name)


def scraped(deployment: Deployment) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = deployment.browser().get("/metrics", base_url=DIRECT)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(deployment: Deployment, name: str, **labels: str) -> float | None:
    return scraped(deployment).get((name, frozenset(labels.items())))


class TestWhatIsCounted:
    def test_sign_ins_launches_and_what_lives(self, deployment: Deployment) -> None:
        browser = deployment.signed_in()
        ticket = deployment.launched(browser)
        assert value(deployment, "portal_app_sessions_live") == 0
        deployment.ask("forecast", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})

        assert value(deployment, "portal_sign_ins_total", provider="company") == 1
        assert value(deployment, "portal_sign_ins_live") == 1
        assert value(deployment, "portal_launches_total", app="forecast") == 1
        assert value(deployment, "portal_app_sessions_live") == 1
        deployment.now += 9 * 3600
        assert value(deployment, "portal_sign_ins_live") == 0
        assert value(deployment, "portal_app_sessions_live") == 0

    def test_refusals_by_code(self, deployment: Deployment) -> None:
        browser = deployment.signed_in()
        browser.get("/nothing")
        browser.get("/apps/closed/")
        deployment.browser().get("/auth/oauth/company/callback?state=unknown&code=code")
        ticket = deployment.launched(browser)
        for _ in range(2):
            deployment.ask("forecast", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})

        counted = {
            dict(labels)["code"]: number for (name, labels), number in scraped(deployment).items() if "refusals" in name
        }
        assert counted == {"http-404": 1, "open-to-nobody": 1, "attempt-unknown": 1, "already-redeemed": 1}

    def test_pushes_that_arrived_and_that_did_not(self, deployment: Deployment) -> None:
        assert value(deployment, "portal_pushes_total", outcome="failed") == 0
        browser = deployment.signed_in()
        ticket = deployment.launched(browser)
        deployment.ask("forecast", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})
        deployment.services.metrics.count_notifications(2, 1)

        assert value(deployment, "portal_pushes_total", outcome="delivered") == 2
        assert value(deployment, "portal_pushes_total", outcome="failed") == 1

    def test_times_by_route_never_by_path(self, deployment: Deployment) -> None:
        deployment.browser().get("/apps/some-secret-name/")
        deployment.browser().get("/some-path-of-somebody")
        routes = {
            dict(labels).get("route") for name, labels in scraped(deployment) if name == "portal_request_seconds_count"
        }

        assert routes == {"/apps/<slug>/"}
        assert value(deployment, "portal_request_seconds_count", route="/metrics") == 1

    def test_without_a_database_the_other_metrics_remain(self, deployment: Deployment) -> None:
        deployment.signed_in()
        deployment.services.database.close()
        (deployment.settings.data_dir / "portal.db").rename(deployment.settings.data_dir / "away")
        message = scraped(deployment)

        assert message["portal_database_up", frozenset()] == 0
        assert ("portal_sign_ins_live", frozenset()) not in message
        assert message["portal_sign_ins_total", frozenset({("provider", "company")})] == 1

    def test_nothing_of_a_person_is_in_it(self, deployment: Deployment) -> None:
        browser = deployment.signed_in(an_identity(name="Ana Unmistakable", email="unmistakable@example.com"))
        ticket = deployment.launched(browser, path="/?secret=query")
        deployment.ask("forecast", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})
        text = deployment.browser().get("/metrics", base_url=DIRECT).text

        for private in ("nmistakable", an_identity().id, "query", "acme", ticket, "Firefox", "127.0.0.1"):
            assert private not in text
        assert set(re.findall(r'(\w+)="', text)) == {"provider", "app", "outcome", "route", "le"}


class TestForWhom:
    @pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    @pytest.mark.parametrize("base", [DIRECT, "http://localhost:7800", "http://[::1]:7800"])
    def test_this_machine_by_default(self, deployment: Deployment, peer: str, base: str) -> None:
        answer = deployment.browser().get("/metrics", base_url=base, environ_overrides={"REMOTE_ADDR": peer})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("peer", ["10.0.0.7", "203.0.113.9", "2001:db8::1", "", "no address"])
    def test_strangers_see_a_page_that_is_not_there(self, deployment: Deployment, peer: str) -> None:
        browser = deployment.browser()
        answer = browser.get("/metrics", base_url=DIRECT, environ_overrides={"REMOTE_ADDR": peer})
        assert answer.status_code == 404
        assert "portal_" not in answer.text

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Forwarded-For": "203.0.113.9"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Forwarded-For": ""},
            {"Forwarded": "for=127.0.0.1"},
            {"X-Real-Ip": "203.0.113.9"},
            {"Via": "1.1 front"},
            {"X-Forwarded-Proto": "https"},
        ],
    )
    def test_requests_through_a_reverse_proxy_are_refused(
        self, deployment: Deployment, headers: Mapping[str, str]
    ) -> None:
        assert deployment.browser().get("/metrics", base_url=DIRECT, headers=headers).status_code == 404

    @pytest.mark.parametrize("host", ["portal.example.com", "portal.example.com:443"])
    def test_a_reverse_proxy_is_recognised_by_the_host_name(self, deployment: Deployment, host: str) -> None:
        """Browsers name the portal; a Prometheus that is on the list asks an address of this machine."""
        answer = deployment.browser().get("/metrics", base_url=DIRECT, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code == 404

    def test_a_portal_of_this_machine_has_no_other_name(self) -> None:
        own = "http://portal.demo.localhost:7800"
        assert is_direct("portal.demo.localhost:7800", own_url=own)
        assert not is_direct("other.demo.localhost:7800", own_url=own)

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[", "a b", ""]
    )
    def test_another_host_name_is_refused(self, deployment: Deployment, host: str) -> None:
        """A page whose name suddenly means 127.0.0.1 (DNS rebinding) reads nothing."""
        answer = deployment.browser().get("/metrics", base_url=DIRECT, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code in {400, 404}
        assert "portal_" not in answer.text

    def test_a_list_of_ones_own(self, tmp_path: Path) -> None:
        deployment = Deployment(tmp_path, metrics_from=(ip_network("10.1.0.0/16"),))
        for peer, status in (("10.1.2.3", 200), ("10.2.0.1", 404), ("127.0.0.1", 404)):
            answer = deployment.browser().get("/metrics", base_url=DIRECT, environ_overrides={"REMOTE_ADDR": peer})
            assert answer.status_code == status

    def test_an_empty_list_is_nobody(self) -> None:
        assert not is_listed("127.0.0.1", ())
        assert not is_listed(None, (ip_network("127.0.0.1"),))

    def test_only_get_requests_are_allowed(self, deployment: Deployment) -> None:
        assert deployment.browser().post("/metrics", base_url=DIRECT).status_code == 405


class TestApps:
    @pytest.mark.usefixtures("processes")
    def test_states_of_the_apps_of_the_catalogue(self, folder: Path) -> None:
        deployment = Deployment(folder, catalogue=HERE)
        document = a_document(an_app(folder), an_app(folder, "another"), control=str(folder / "supervisor.sock"))
        with supervised(document) as supervisor:
            supervisor.event("app-ready", app="forecast")
            the_app(folder / "supervisor.sock", is_state("running"))
            message = scraped(deployment)
            states = {
                state: value(deployment, "portal_app_state", app="forecast", state=state) for state in get_args(State)
            }
            text = deployment.browser().get("/metrics", base_url=DIRECT).text

        assert message["portal_supervisor_up", frozenset()] == 1
        assert states == {"crashed": 0, "running": 1, "starting": 0, "stopped": 0}
        forecast = {(name, *sorted(labels)): number for (name, labels), number in message.items() if "_app_" in name}
        assert forecast["portal_app_memory_bytes", ("app", "forecast")] > 1_000_000
        assert forecast["portal_app_start_seconds", ("app", "forecast")] >= 0
        assert forecast["portal_app_restarts_total", ("app", "forecast")] == 0
        assert forecast["portal_app_replacements_failed_total", ("app", "forecast")] == 0
        assert forecast["portal_app_leaving", ("app", "forecast")] == 0
        assert {forecast["portal_app_open", ("app", "forecast"), ("kind", kind)] for kind in get_args(WorkKind)} == {0}
        assert "another" not in text, "labels come from the catalogue"

    def test_an_unreachable_supervisor_is_reported(self, folder: Path) -> None:
        message = scraped(Deployment(folder, catalogue=HERE))

        assert message["portal_supervisor_up", frozenset()] == 0
        assert not [name for name, _ in message if name.startswith("portal_app_") and "sessions" not in name]

    @pytest.mark.parametrize(
        "answer", [b"", b"nonsense\n", b"[]\n", b'{"ok": true}\n', b'{"ok": false, "problem": "no"}\n'], ids=len
    )
    def test_a_supervisor_with_another_answer_is_unreachable(self, folder: Path, answer: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "supervisor.sock"))
            listening.listen()

            def serve() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            message = value(Deployment(folder, catalogue=HERE), "portal_supervisor_up")
            thread.join()
        assert message == 0

    def test_without_apps_here_nobody_is_asked(self, deployment: Deployment) -> None:
        assert value(deployment, "portal_supervisor_up") is None


def test_every_metric_is_documented_and_every_one_documented_is_there(folder: Path) -> None:
    deployment = Deployment(folder, catalogue=HERE)
    deployment.signed_in().get("/nothing")
    deployment.services.metrics.count_launch("forecast")
    text = deployment.browser().get("/metrics", base_url=DIRECT).text
    served = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    assert served == set(NAMES)
    assert page("docs/operate.md").codes("Metrics") == sorted(NAMES)


@pytest.mark.usefixtures("processes")
def test_workers_are_counted_together_also_those_that_ended(tmp_path: Path) -> None:
    code = """
        from portal.web.metrics import Metrics
        counted = Metrics()
        counted.count_sign_in("company"); counted.observe_request("/", 0.2); counted.count_notifications(1, 0)
        print(counted.exposition((3, 4)).decode())
    """
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    said = ""
    for _ in range(3):
        said = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    assert 'portal_sign_ins_total{provider="company"} 3.0' in said
    assert 'portal_request_seconds_count{route="/"} 3.0' in said
    assert "portal_sign_ins_live 3.0" in said
    assert "# HELP portal_sign_ins_total Completed sign-ins, by provider." in said
    assert "_created" not in said


def test_two_portals_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count_refusal("denied")
    assert b'code="denied"' in one.exposition(None)
    assert b'code="denied"' not in other.exposition(None)
