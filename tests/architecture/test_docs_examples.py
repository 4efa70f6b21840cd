"""The examples of the documentation work: Python is executed, TOML is read, the recipe runs, tables match the code."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gradio_apps.runtime.guard.bodies import MAX_BODY, MAX_DEPTH, MAX_VALUES
from gradio_apps.runtime.host.gradio_minors import MINORS
from gradio_apps.runtime.supervisor.environment import PASSED_ON
from gradio_apps.runtime.supervisor.logs import LARGEST
from portal.configuration import load
from portal.configuration.addresses import cookie_mode
from portal.contract import Person
from portal.rules.catalogue import AppSpec
from portal.rules.identity import Affiliation
from portal.rules.policy import may_open, standing_in
from tests.architecture.pages import ALL, Page, page
from tests.architecture.sources import ROOT, modules_of
from tests.builders import an_identity
from tests.gradio_apps.requests import FakeAccess, a_person, a_request, a_visit

README = page("README.md")
APPS = page("docs/apps.md")
KEY = "zB1k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p"
ENVIRON = {"PORTAL_SECRET_KEY": KEY, "COMPANY_CLIENT_SECRET": "client-secret"}


def executed(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "example", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own documentation
    return namespace


def example(where: Page, function: str) -> Callable[..., Any]:
    """Return *function* of the example that defines it, executed."""
    code = next(one for one in where.blocks("python") if f"def {function}(" in one)
    defined: Callable[..., Any] = executed(code)[function]
    return defined


@pytest.mark.parametrize("where", ALL, ids=str)
def test_every_python_example_runs(where: Page) -> None:
    for code in where.blocks("python"):
        assert executed(code)


@pytest.mark.parametrize("where", [README, APPS], ids=str)
def test_the_greeting_greets(where: Page) -> None:
    greet = example(where, "greet")

    assert greet(a_visit()) == "Hello, Ana Analyst"
    assert greet(a_request()) == "Nobody is signed in."


def test_a_route_of_an_apps_own_knows_the_person() -> None:
    assert example(APPS, "mine")(a_visit().request) == {"visitor": "ana@example.com"}


def test_the_example_of_the_portals_api_raises_a_sentence() -> None:
    """An app that runs alone has no portal; the message of the error may be shown."""
    who_is_signed_in = example(APPS, "who_is_signed_in")

    with pytest.raises(Exception, match="runs without the portal"):
        who_is_signed_in(a_request())
    with pytest.raises(Exception, match="The portal cannot do this at the moment"):
        who_is_signed_in(a_visit(access=FakeAccess(base_url="http://127.0.0.1:9")))


def test_the_table_of_a_visitor_has_the_fields_of_a_visitor() -> None:
    cells = [row[0] for row in APPS.rows("Who is there")]

    assert [name for cell in cells for name in re.findall(r"`(\w+)`", cell)] == [one.name for one in fields(Person)]
    assert a_person().username == "ana@example.com"


def test_every_argument_that_is_the_portals_is_named() -> None:
    first_cells = " ".join(row[0] for row in APPS.rows("What is different"))

    overrides = {name for minor in MINORS.values() for name in minor.launch}
    assert {name for name in overrides if f"`{name}`" not in first_cells} == set()


def test_the_environment_and_the_sizes_are_those_of_the_code() -> None:
    text = APPS.section("What is different").partition("**Environment.**")[2]

    assert {name for name in PASSED_ON if f"`{name}`" not in text} == set()
    assert f"up to {MAX_BODY >> 20} MiB, a million values and {MAX_DEPTH} levels" in APPS.text
    assert MAX_VALUES == 1_000_000
    assert f"{LARGEST >> 20} MiB, and one older file" in APPS.text


def written(text: str, folder: Path) -> Path:
    """Write *text* as a ``portal.toml``, and beside it the sources and interpreters that it names."""
    for app in tomllib.loads(text)["apps"].values():
        for named in (app[key] for key in ("source", "python") if key in app):
            (folder / named).parent.mkdir(parents=True, exist_ok=True)
            (folder / named).touch(mode=0o700)
    file = folder / "portal.toml"
    file.write_text(text, encoding="utf-8")
    return file


def settings_in(table: Mapping[str, Any]) -> int:
    return sum(
        settings_in(value) if isinstance(value, Mapping) else sum(map(settings_in, value)) if _is_tables(value) else 1
        for value in table.values()
    )


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def test_the_file_of_the_readme_is_a_portal(tmp_path: Path) -> None:
    [text] = README.blocks("toml")

    settings = load(ENVIRON, path=written(text, tmp_path))

    [app] = settings.catalogue
    [provider] = settings.providers
    assert "Ten settings" in README.prose
    assert settings_in(tomllib.loads(text)) == 10
    assert f"{settings.url}/auth/oauth/{provider.id}/callback" in README.prose
    assert f"127.0.0.1:{app.port}" in README.prose
    assert app.url in README.prose
    assert cookie_mode(settings, app) == "partitioned"  # which works on every site, so no more settings are needed


@pytest.mark.usefixtures("processes")
def test_the_recipe_of_the_readme_makes_that_portal_in_an_empty_folder(tmp_path: Path) -> None:
    [recipe] = [text for text in README.blocks("sh") if "portal init" in text]
    [written_out] = README.blocks("toml")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["sh", "-eu"], input=recipe, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "COMPANY_CLIENT_SECRET='the-client-secret'" in (tmp_path / ".env").read_text(encoding="utf-8")
    made = tomllib.loads((tmp_path / "portal.toml").read_text(encoding="utf-8"))
    shown = tomllib.loads(written_out)
    assert shown["portal"].items() <= made["portal"].items()
    assert shown["providers"][0].items() <= made["providers"][0].items()
    assert shown["apps"]["forecast"]["source"] == made["apps"]["forecast"]["source"]


def test_the_role_of_the_readme_opens_its_app(tmp_path: Path) -> None:
    [text] = README.blocks("toml")
    settings = load(ENVIRON, path=written(text, tmp_path))
    [app] = settings.catalogue

    def opens(*groups: str) -> bool:
        person = an_identity(affiliations=(Affiliation(groups=frozenset(groups)),))
        standings = [standing_in(person, tenant=one, rules=settings.roles) for one in person.tenants]
        return any(may_open(app, standing=standing) for standing in standings)

    assert opens("AI-Analysts")
    assert not opens("Other")


def test_the_files_of_the_page_for_apps_can_be_loaded(tmp_path: Path) -> None:
    [of_readme] = README.blocks("toml")
    apps: dict[str, AppSpec] = {}
    for text in APPS.blocks("toml"):
        texts = of_readme + text.replace("forecast", "another")  # the README has a forecast of its own
        secrets = [name for app in tomllib.loads(texts)["apps"].values() for name in app.get("secrets", ())]
        environ = ENVIRON | dict.fromkeys(secrets, "a-secret")
        apps |= {app.slug: app for app in load(environ, path=written(texts, tmp_path)).catalogue}

    assert apps["interpreter"].browser == ("microphone", "clipboard-write")
    assert {"forecast", "interpreter", "another"} == set(apps)


def test_the_commands_of_the_pages_exist() -> None:
    commands = {one.name.rpartition(".")[2] for one in modules_of("portal") if one.name.startswith("portal.cli.")}
    spelt = {"try_app": "try"}
    known = {spelt.get(name, name.replace("_", "-")) for name in commands}
    used = {
        found
        for where in ALL
        for text in (*where.blocks("sh"), *where.spans())
        for found in re.findall(r"(?:^|/bin/)portal ([a-z][a-z-]*)\b", text, re.MULTILINE)
    }

    assert used <= known
    assert used >= {"try", "check", "serve", "explain"}


def test_the_targets_of_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {
        found
        for where in ALL
        for text in (*where.blocks("sh"), *where.spans())
        for found in re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    }

    assert used <= targets
    assert used >= {"demo", "test", "check"}
