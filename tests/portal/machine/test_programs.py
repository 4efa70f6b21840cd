"""Command lines and environments of the started processes."""

import json
from pathlib import Path

import pytest

from portal.contract import TrustedProxies, read_network
from portal.machine.programs import (
    harmless,
    portal_program,
    provider_program,
    supervisor_document,
    supervisor_program,
    with_shared_metrics,
)
from portal.rules.catalogue import Catalogue
from portal.settings import Secret
from tests.builders import PORTAL, an_app, settings_for


@pytest.mark.parametrize(
    "name",
    [
        "PORTAL_CONFIG",
        "PORTAL_SECRET_KEY",
        "PORTAL_DATABASE_URL",
        "OAUTH_CLIENT_SECRET",
        "OPENID_PROVIDER_URL",
        "SESSION_SECRET_KEY",
        "GRADIO_SERVER_PORT",
        "GUNICORN_CMD_ARGS",
        "WEB_CONCURRENCY",
        "FLASK_DEBUG",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "LD_PRELOAD",
        "XPATH",
    ],
)
def test_a_demo_gets_no_settings_or_secrets_of_the_environment(name: str) -> None:
    assert harmless({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "name", ["HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "https_proxy", "SSL_CERT_FILE", "PYTHONPATH"]
)
def test_a_demo_gets_harmless_variables(name: str) -> None:
    assert harmless({name: "x"}) == {name: "x"}


def test_the_portal_listens_on_loopback_with_threads_and_the_settings_of_its_own() -> None:
    program = portal_program(port=7800, environ={"A": "b"}, cwd=Path("/x"), log=None, workers=2, threads=8)
    words = " ".join(program.argv)

    assert "gunicorn --config python:portal.server.settings portal.wsgi:app" in words
    assert "--bind 127.0.0.1:7800" in words
    assert "--workers 2 --threads 8" in words
    assert program.environ["A"] == "b"


def test_the_provider_is_started_on_its_port() -> None:
    program = provider_program(port=7801, environ={}, cwd=Path("/x"), log=Path("/x/log"))

    assert program.argv[1:] == ["-m", "portal.demo.provider", "--port", "7801"]


class TestSupervisor:
    def test_its_configuration_has_every_app_with_a_source(self, tmp_path: Path) -> None:
        here = an_app(
            slug="here",
            title="Here",
            url="https://here.apps.example.com",
            source="/srv/here.py",
            port=7810,
            env=(("MODEL", "small"),),
            secrets=("OPENAI_API_KEY", "NOT_SET"),
        )
        trusted = TrustedProxies((read_network("10.0.0.0/8"),))
        settings = settings_for(
            tmp_path, catalogue=Catalogue((here, an_app(slug="elsewhere"))), trusted_proxies=trusted
        )
        document = supervisor_document(
            settings,
            port=7800,
            secret_of=lambda slug: Secret(f"secret of {slug}"),
            environ={"OPENAI_API_KEY": "sk", "OTHER": "x"},
            grace=20,
        )

        assert document == {
            "portal": {
                "url": PORTAL,
                "internal_url": "http://127.0.0.1:7800",
                "trusted_proxies": "10.0.0.0/8",
                "ca_file": None,
            },
            "apps": [
                {
                    "slug": "here",
                    "title": "Here",
                    "url": "https://here.apps.example.com",
                    "source": "/srv/here.py",
                    "host": "127.0.0.1",
                    "port": 7810,
                    "secret": "secret of here",
                    "cookies": "partitioned",
                    "shared_files": False,
                    "env": {"MODEL": "small", "OPENAI_API_KEY": "sk"},
                    "log": str(tmp_path / "logs" / "here.log"),
                    "temp": str(tmp_path / "tmp" / "here"),
                    "cwd": None,
                    "secret_names": ["OPENAI_API_KEY", "NOT_SET"],
                    "python": None,
                    "start_timeout": 600,
                    "drain_timeout": 120,
                    "memory": None,
                    "history": str(tmp_path / "starts" / "here.json"),
                    "env_file": None,
                    "user": None,
                }
            ],
            "control": str(tmp_path / "supervisor.sock"),
            "grace": 20,
            "owner": None,
        }

    def test_a_configured_internal_url_is_used(self, tmp_path: Path) -> None:
        settings = settings_for(tmp_path, internal_url="http://127.0.0.1:9000")
        document = supervisor_document(settings, port=7800, secret_of=Secret, environ={}, grace=20)

        assert document["portal"] == {
            "url": PORTAL,
            "internal_url": "http://127.0.0.1:9000",
            "trusted_proxies": "",
            "ca_file": None,
        }

    def test_secrets_go_by_pipe_and_not_by_argument_or_variable(self) -> None:
        program = supervisor_program(document={"apps": [{"secret": "hush"}]}, environ={}, cwd=Path("/x"), log=None)

        assert json.loads(program.document or "") == {"apps": [{"secret": "hush"}]}
        assert "hush" not in " ".join(program.argv)
        assert program.environ == {}


def test_workers_share_metrics_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").touch()
    environ = with_shared_metrics({"A": "b"}, tmp_path / "metrics")

    assert environ == {"A": "b", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    assert list((tmp_path / "metrics").iterdir()) == []
    assert (tmp_path / "metrics").stat().st_mode & 0o777 == 0o700


def test_the_operators_own_metrics_folder_is_not_changed(tmp_path: Path) -> None:
    own = {"PROMETHEUS_MULTIPROC_DIR": "/run/portal"}

    assert with_shared_metrics(own, tmp_path / "metrics") == own
    assert not (tmp_path / "metrics").exists()
