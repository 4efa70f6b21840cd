"""The factory and the WSGI entry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from portal.web.app import create_app, resource_folder
from portal.web.services import Services, app_credentials
from tests.builders import NOW, settings_for
from tests.portal.web.deployment import Deployment

SECRET = "Zq3vJ8mWn5xTb1RkYd7LhPc9GfS2uA6eQoIyXtBw0Kj"

ROUTES = {
    "/",
    "/.portal/probe/echo",
    "/.well-known/jwks.json",
    "/.well-known/security.txt",
    "/account",
    "/account/sign-ins/<sign_in_id>/end",
    "/api/audit",
    "/api/sign-ins",
    "/api/sign-ins/<sign_in_id>/end",
    "/api/sign-ins/end",
    "/app-states/<slug>",
    "/apps/<slug>/",
    "/apps/<slug>/<path_of_app:rest>",
    "/apps/<slug>/.portal/launch",
    "/auth",
    "/auth/auth/callback",
    "/auth/callback",
    "/auth/error",
    "/auth/login",
    "/auth/logout",
    "/auth/oauth/<provider>",
    "/auth/oauth/<provider>/backchannel-logout",
    "/auth/oauth/<provider>/callback",
    "/auth/oauth/<provider>/frontchannel-logout",
    "/gradio",
    "/gradio/admin",
    "/gradio/user",
    "/healthz",
    "/login",
    "/login/callback",
    "/logout",
    "/metrics",
    "/oauth/introspect",
    "/oauth/token",
    "/readyz",
    "/robots.txt",
    "/sign-in",
    "/signed-in",
    "/sign-out",
    "/signed-out",
    "/static/<path:filename>",
    "/tenant",
}


def test_the_portal_answers_these_routes_and_no_others(deployment: Deployment) -> None:
    assert {rule.rule for rule in deployment.app.url_map.iter_rules()} == ROUTES


def test_it_can_be_built_from_settings_alone(tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path))
    assert app.test_client().get("/healthz").status_code == 200


def test_templates_see_nothing_ambient(deployment: Deployment) -> None:
    for name in ("request", "session", "g", "config", "url_for"):
        with deployment.app.test_request_context(), pytest.raises(UndefinedError):
            deployment.app.jinja_env.from_string(f"{{{{ {name} }}}}").render()


def test_a_get_request_sets_no_cookie(deployment: Deployment) -> None:
    for path in ("/sign-in", "/", "/healthz", "/nothing"):
        assert "Set-Cookie" not in deployment.browser().get(path).headers


def test_secrets_of_apps_are_the_same_for_what_starts_the_apps(deployment: Deployment) -> None:
    built: Services = deployment.services
    beside = app_credentials(deployment.settings, built.database, clock=lambda: NOW)
    assert beside.secret_of("forecast") == built.credentials.secret_of("forecast")


def test_an_incomplete_installation_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="nothing folder"):
        resource_folder("nothing")


def run_wsgi(folder: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("COV")}
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(root), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("processes")
def test_a_configuration_that_is_not_safe_stops_the_server_with_every_problem(tmp_path: Path) -> None:
    ended = run_wsgi(tmp_path, "import wsgi")
    assert ended.returncode == 4
    assert "PORTAL_SECRET_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("processes")
def test_gunicorn_finds_the_app_and_the_outbox_runs(tmp_path: Path) -> None:
    (tmp_path / "portal.toml").write_text('[portal]\nurl = "http://127.0.0.1:7800"\n')
    code = (
        "import threading, wsgi\n"
        "print(wsgi.app.test_client().get('/healthz').status_code)\n"
        "print([thread.name for thread in threading.enumerate() if thread.name == 'portal-outbox'])\n"
    )
    provider = {
        "OPENID_PROVIDER_URL": "https://id.example.com",
        "OAUTH_CLIENT_ID": "portal",
        "OAUTH_CLIENT_SECRET": "client-secret",
    }
    ended = run_wsgi(tmp_path, code, PORTAL_SECRET_KEY=SECRET, **provider)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "200\n['portal-outbox']\n"


@pytest.mark.usefixtures("processes")
def test_a_database_that_cannot_be_used_stops_the_server(tmp_path: Path) -> None:
    (tmp_path / "portal.toml").write_text('[portal]\nurl = "http://127.0.0.1:7800"\n')
    (tmp_path / "broken.db").write_text("this is no database, whatever its name says" * 50)
    environ = {
        "PORTAL_SECRET_KEY": SECRET,
        "PORTAL_DATABASE_URL": f"sqlite:///{tmp_path / 'broken.db'}",
        "OPENID_PROVIDER_URL": "https://id.example.com",
        "OAUTH_CLIENT_ID": "portal",
        "OAUTH_CLIENT_SECRET": "client-secret",
    }
    ended = run_wsgi(tmp_path, "import wsgi", **environ)
    assert ended.returncode == 4, ended.stderr
    assert "database cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
