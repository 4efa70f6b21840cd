"""The declarations of the settings against the code that reads and uses them, and against the documents."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from portal.configuration import load
from portal.configuration.all_settings import NAMES, SECTIONS, VARIABLES
from portal.configuration.app_tables import AppSection
from portal.configuration.declaration import Setting, default_of
from portal.configuration.portal_table import PortalSection
from portal.configuration.provider_tables import EndpointsSection
from portal.contract.egress import read_egress
from portal.errors import SettingsError
from portal.rules.catalogue import AppSpec
from portal.settings import Endpoints, Settings
from portal.sign_in.provider_types import PROVIDER_TYPES
from tests.architecture.generated import names_in
from tests.architecture.pages import ALL
from tests.architecture.settings_tables import toml
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
IN_FILE = [(section.name, key, one) for section in SECTIONS for key, one in section.settings().items()]


class RecordingEnvironment(dict[str, str]):
    """An environment that records which of its variables are looked up."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]


def test_no_setting_is_declared_twice() -> None:
    names = [f"{section}.{key}" for section, key, _ in IN_FILE] + [one.name for one in VARIABLES]

    assert len(names) == len(set(names))


def test_the_page_has_every_generated_table_and_no_other_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables = [f"settings of {one}" for one in ("the portal", "providers", "roles", "apps")]
    by_hand = re.sub(r"<!-- generated: [^>]+ -->.*?<!-- end -->", "", text, flags=re.DOTALL)

    assert names_in(text) == [*tables, "environment variables"]
    assert [line for line in by_hand.splitlines() if line.startswith("| `")] == []


def test_rows_have_four_cells() -> None:
    assert {re.sub(r"`[^`]*`", "", row).count("|") for row in rows()} == {5}


def test_every_variable_is_written_in_capitals() -> None:
    assert [name for name in NAMES if not re.fullmatch(r"[A-Z_]+", name)] == []


def test_every_declared_variable_is_read(tmp_path: Path) -> None:
    (tmp_path / "portal.toml").touch()
    tutorial = {one.name: one.example for one in VARIABLES if one.example.startswith("https://api.descope.com/")}
    client = {"OAUTH_CLIENT_ID": "portal", "OAUTH_CLIENT_SECRET": "client-secret"}
    callback = {"OAUTH_REDIRECT_URI": "https://portal.example.com/auth/callback"}
    own = {"PORTAL_CONFIG": str(tmp_path / "portal.toml"), "SESSION_SECRET_KEY": KEY}
    environ = RecordingEnvironment({**tutorial, **client, **callback, **own})
    load(environ)
    read_egress(environ, authorities=None)

    assert NAMES - environ.names == set()


@pytest.mark.parametrize(("section", "key", "setting"), IN_FILE, ids=lambda one: one if isinstance(one, str) else "")
def test_every_example_works(section: str, key: str, setting: Setting, tmp_path: Path) -> None:
    """Every example can be copied into a file without other problems."""
    written = {name: dict(lines) for name, lines in WHOLE.items()}
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
    assert {field.name for field in fields(AppSpec)} - {"slug"} == AppSection.keys()


def test_every_field_of_the_endpoints_can_be_configured() -> None:
    assert {field.name for field in fields(Endpoints)} == EndpointsSection.keys()


def test_every_field_of_the_settings_can_be_configured() -> None:
    of_other_sections = {"catalogue", "providers", "rights_of_roles", "roles"}
    of_variables = {"database_url", "rate_limit_storage", "secret_keys", "sign_in_hook"}
    names = {field.name for field in fields(Settings)} - of_other_sections - of_variables

    assert names - {"egress"} == PortalSection.keys() - {"ca_file"}


def test_the_documents_have_the_defaults_of_the_code(tmp_path: Path) -> None:
    text = '[portal]\nurl = "https://portal.example.com"\n[[providers]]\n' + _lines(WHOLE["providers"])
    (tmp_path / "portal.toml").write_text(text, encoding="utf-8")
    settings = load(ENVIRON, path=tmp_path / "portal.toml")
    defaults = {cells[1].strip(" `"): cells[3].strip() for row in rows() if (cells := row.split("|"))}

    assert defaults["portal.title"] == f'"{settings.title}"'
    assert defaults["portal.data_dir"] == f'"{settings.data_dir.name}"'
    assert defaults["portal.idle_lifetime"] == f'"{settings.idle_lifetime // 3600}h"'
    assert defaults["portal.absolute_lifetime"] == f'"{settings.absolute_lifetime // 86400}d"'
    assert defaults["portal.lifetime_without_refresh"] == f'"{settings.lifetime_without_refresh // 3600}h"'
    assert defaults["portal.refresh_interval"] == f'"{settings.refresh_interval // 60}m"'
    assert defaults["portal.audit_retention"] == f'"{settings.audit_retention // 86400}d"'
    assert defaults["portal.sign_ins_per_minute"] == str(settings.sign_ins_per_minute)
    assert defaults["PORTAL_RATE_LIMIT_STORAGE"] == settings.rate_limit_storage


def test_the_keys_that_the_pages_set_in_a_sentence_exist() -> None:
    known = {key for section in SECTIONS for key in section.settings()}
    known |= {option.key for one in PROVIDER_TYPES.values() for option in one.options}
    set_in_pages = {
        (str(where), found[1])
        for where in ALL
        for span in where.spans()
        if (found := re.match(r"(?:[a-z]+\.)?([a-z_]+) = (?:[\"'\[{0-9]|true|false)", span)) is not None
    }

    assert {one for one in set_in_pages if one[1] not in known} == set()
    assert len(set_in_pages) > 20


def test_a_default_without_a_text_must_be_described_in_words() -> None:
    assert default_of(Settings, "url") is None
    with pytest.raises(TypeError, match="has no text in TOML"):
        toml(default_of(Settings, "egress"))


def test_a_missing_required_setting_is_a_problem(tmp_path: Path) -> None:
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
