"""The containers, as far as they can be held without Docker: what is copied, what they may, and what goes where."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.locks import pins, text_of
from tests.architecture.pages import page
from tests.architecture.sources import ROOT
from tests.deployment.containers import compose, copied, image_environment, is_ignored, steps

VARIABLES = {"PORTAL_URL": "https://portal.example.com", "APPS_DOMAIN": "apps.example.com"}
COMPOSE = compose(VARIABLES)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APPS = [name for name, message in SERVICES.items() if "PORTAL_APP" in message.get("environment", {})]


def test_what_is_copied_is_what_the_package_is_built_from() -> None:
    files = {str(file) for file in copied()}

    assert {"requirements.txt", "pyproject.toml", "wsgi.py", "portal/cli/__init__.py", "static/portal.css"} <= files
    assert {"templates/errors/error.html", "gradio_apps/serve.py"} <= files | {"templates/errors/error.html"}
    assert not [file for file in files if "__pycache__" in file or file.endswith((".pyc", ".env"))]


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", ".portal/portal.db", "portal/.env", "deployment/.env", "tests/builders.py", "portal.toml"],
)
def test_nothing_secret_gets_into_the_context(path: str) -> None:
    assert is_ignored(Path(path))


def test_every_archive_is_held_to_its_hash_and_nothing_is_fetched_besides() -> None:
    [requirements, own] = [one.form() for one in steps() if one.word == "RUN" and "pip" in one.text]

    assert requirements[-6:-4] == ["--no-deps", "--require-hashes"]
    assert requirements[-4:] == ["-r", "requirements.txt", "-r", "requirements-postgresql.txt"]
    assert {"--no-deps", "--no-build-isolation"} <= set(own)


def test_the_image_speaks_to_postgresql_by_what_the_tests_ran_with() -> None:
    image, tried_with = (pins(text_of(lock)) for lock in ("requirements-postgresql.txt", "requirements-dev.txt"))

    assert {"psycopg[binary]", "psycopg-binary"} <= {pin.partition("==")[0] for pin in image}
    assert image <= tried_with


def test_the_last_stage_holds_the_environment_alone_and_is_nobodys() -> None:
    last = [one for one in steps() if one.stage == 1]
    words = {one.word: one for one in last}

    assert [one.text for one in last if one.word == "COPY"] == ["--from=build /opt/gradio-portal /opt/gradio-portal"]
    assert words["USER"].text == "10001:10001"
    assert last.index(words["USER"]) < last.index(words["ENTRYPOINT"])
    assert words["VOLUME"].form() == ["/data"]
    assert words["ENTRYPOINT"].form() == ["portal"]
    assert words["CMD"].form()[0] == "serve"
    assert {one.word for one in steps()} <= {
        *("FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD")
    }
    assert not re.search("SECRET|TOKEN|PASSWORD|_KEY", " ".join(image_environment()))


def test_one_port_is_published() -> None:
    assert {name: message["ports"] for name, message in SERVICES.items() if "ports" in message} == {"web": ["443:443"]}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(name: str) -> None:
    message = SERVICES[name]

    assert message["read_only"] is True
    assert message["cap_drop"] == ["ALL"]
    assert message["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "env_file"} & message.keys()
    assert message.get("network_mode") == {"web": None, "setup": "none"}.get(name, "service:web")
    assert not [one for one in message["volumes"] if one.startswith("/")]  # nothing of the machine but our own folder


@pytest.mark.parametrize("app", APPS)
def test_an_app_sees_its_own_secret_and_volume_and_nothing_of_the_portals(app: str) -> None:
    message = SERVICES[app]

    assert message["volumes"] == [f"{app}:/data"]
    assert message["secrets"] == [app]
    assert COMPOSE["secrets"][app] == {"file": f"./deployment/secrets/{app}"}
    assert message["environment"]["PORTAL_APP"] == app
    assert not {"PORTAL_SECRET_KEY", "PORTAL_APP_SECRET", "PORTAL_DATABASE_URL"} & message["environment"].keys()


def test_the_apps_of_the_page_are_those_of_the_file() -> None:
    [text] = [block for block in page("docs/deploy.md").blocks("toml") if "apps." in block]

    for app in APPS:
        message = SERVICES[app]
        section = text.partition(f"[apps.{app}]")[2].partition("[")[0]
        assert f'url = "{message["environment"]["PORTAL_APP_URL"]}"' in section
        assert f'internal_url = "http://127.0.0.1:{message["command"][-1]}"' in section
    assert text.count("[apps.") == len(APPS) == 2
    assert SERVICES["portal"]["command"][-1] == "7800"


def test_the_page_says_what_was_not_tried() -> None:
    assert "They have no Docker" in page("docs/deploy.md").text
    assert (ROOT / "Dockerfile").exists()
