"""The documentation of the settings, held against the code both ways."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from portal.configuration import load
from portal.configuration.documented import SETTINGS, Setting, keys_under
from portal.errors import SettingsError
from portal.rules.catalogue import AppSpec
from portal.settings import Endpoints, Settings
from tests.architecture.sources import ROOT
from tests.certificates import issue

PAGE = ROOT / "docs" / "settings.md"
KEY = "zB1k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p"

WHOLE = {
    "portal": {"url": '"https://portal.example.com"', "trust_apps": "true"},
    "providers": {
        "id": '"company"',
        "issuer": '"https://id.example.com"',
        "client_id": '"portal"',
        "client_secret_env": '"COMPANY_CLIENT_SECRET"',
    },
    "providers.endpoints": {
        "authorize": '"https://id.example.com/authorize"',
        "token": '"https://id.example.com/token"',
        "jwks": '"https://id.example.com/jwks"',
    },
    "roles.admin": {"groups": '["Admins"]'},
    "apps.user-dashboard": {"source": '"some.module"', "url": '"https://one.apps.example.com"'},
    "apps.admin-dashboard": {"url": '"https://two.apps.example.com"'},
}
ENVIRON = {
    "PORTAL_SECRET_KEY": KEY,
    "COMPANY_CLIENT_ID": "portal",
    "COMPANY_CLIENT_SECRET": "client-secret",
    "OPENAI_API_KEY": "key",
}
IN_FILE = [one for one in SETTINGS if one.where == "portal.toml"]


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]


def test_every_setting_has_its_row_and_every_row_its_setting() -> None:
    assert rows() == [one.markdown() for one in SETTINGS]


def test_no_setting_is_there_twice() -> None:
    names = [one.name for one in SETTINGS]

    assert len(names) == len(set(names))


def test_rows_have_four_cells() -> None:
    assert {re.sub(r"`[^`]*`", "", row).count("|") for row in rows()} == {5}


def test_every_setting_of_the_environment_is_a_variable() -> None:
    assert [one.name for one in SETTINGS if one.where == "environment" and not re.fullmatch(r"[A-Z_]+", one.name)] == []


@pytest.mark.parametrize("setting", IN_FILE, ids=lambda one: one.name)
def test_every_example_works(setting: Setting, tmp_path: Path) -> None:
    """What the documentation shows can be copied into a file that is otherwise sound."""
    written = {section: dict(lines) for section, lines in WHOLE.items()}
    section, _, key = setting.name.rpartition(".")
    section = {"roles.<name>": "roles.admin", "apps.<slug>": "apps.user-dashboard"}.get(section, section)
    written[section][key] = setting.example
    if key in {"allowed_organisations", "allowed_tenants"}:
        written[section]["type"] = '"github"' if key == "allowed_organisations" else '"descope"'
        del written[section]["issuer"], written["providers.endpoints"]
    if key == "hidden":
        written[section]["domains"] = '["example.com"]'
    if key == "client_id_env":
        del written[section]["client_id"]
    if key == "url" and section.startswith("apps"):
        written[section].pop("port", None)
    if key == "python":
        program = tmp_path / setting.example.strip('"')
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)
    if key == "ca_file":
        issue(tmp_path, ["portal.example.com"]).authority.rename(tmp_path / setting.example.strip('"'))
    file = tmp_path / "portal.toml"
    file.write_text(
        "\n".join(
            f"[[{name}]]\n{_lines(lines)}" if name == "providers" else f"[{name}]\n{_lines(lines)}"
            for name, lines in written.items()
        ),
        encoding="utf-8",
    )

    settings = load(ENVIRON, path=file)

    assert settings.provider("company") is not None


def _lines(lines: dict[str, str]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in lines.items())


def test_the_whole_file_of_the_page_is_sound(tmp_path: Path) -> None:
    text = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "portal.toml").write_text(text, encoding="utf-8")

    settings = load(ENVIRON, path=tmp_path / "portal.toml")

    assert [app.slug for app in settings.catalogue] == list(tomllib.loads(text)["apps"])


def test_every_field_of_an_app_can_be_configured() -> None:
    assert {field.name for field in fields(AppSpec)} - {"slug"} == keys_under("apps.<slug>")


def test_every_field_of_the_endpoints_can_be_configured() -> None:
    assert {field.name for field in fields(Endpoints)} == keys_under("providers.endpoints")


def test_every_field_of_the_settings_can_be_configured() -> None:
    elsewhere = {
        "catalogue": "apps.<slug>.source",
        "database_url": "PORTAL_DATABASE_URL",
        "egress": "portal.ca_file",
        "providers": "providers.id",
        "rate_limit_storage": "PORTAL_RATE_LIMIT_STORAGE",
        "rights_of_roles": "roles.<name>.rights",
        "roles": "roles.<name>.when",
        "secret_keys": "PORTAL_SECRET_KEY",
        "sign_in_hook": "PORTAL_SIGN_IN_HOOK",
    }
    names = {one.name for one in SETTINGS}

    for field in fields(Settings):
        assert elsewhere.get(field.name, f"portal.{field.name}") in names


def test_the_defaults_of_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    text = '[portal]\nurl = "https://portal.example.com"\n[[providers]]\n' + _lines(WHOLE["providers"])
    (tmp_path / "portal.toml").write_text(text, encoding="utf-8")
    settings = load(ENVIRON, path=tmp_path / "portal.toml")
    said = {one.name: one.default for one in SETTINGS}

    assert said["portal.title"] == f'"{settings.title}"'
    assert said["portal.data_dir"] == f'"{settings.data_dir.name}"'
    assert said["portal.idle_lifetime"] == f'"{settings.idle_lifetime // 3600}h"'
    assert said["portal.absolute_lifetime"] == f'"{settings.absolute_lifetime // 86400}d"'
    assert said["PORTAL_RATE_LIMIT_STORAGE"] == settings.rate_limit_storage


def test_what_is_required_is_missed(tmp_path: Path) -> None:
    (tmp_path / "portal.toml").write_text("[[providers]]\n[apps.one]\n", encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        load({}, path=tmp_path / "portal.toml")

    missed = {problem.key for problem in caught.value.problems}
    assert missed == {
        "PORTAL_SECRET_KEY",
        "portal.url",
        "providers[0].id",
        "providers[0].issuer",
        "providers[0].client_id",
        "providers[0].client_secret_env",
        "apps.one.source",
    }
