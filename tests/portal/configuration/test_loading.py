import sys
from pathlib import Path

import pytest

from portal.configuration import load
from portal.errors import SettingsError
from portal.rules.catalogue import AppSpec
from portal.rules.policy import API_RIGHTS, RoleRule
from portal.settings import ProviderSpec, Secret
from tests.portal.configuration.reading import (
    APP,
    ENVIRON,
    GOOD,
    KEY,
    OTHER_KEY,
    PORTAL,
    PROVIDER,
    ROLES,
    TUTORIAL,
    keys,
    loaded,
    problems,
)


class TestAWholeConfiguration:
    def test_it_becomes_settings(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path)

        assert settings.url == "https://portal.example.com"
        assert settings.secret_keys == (Secret(KEY),)
        assert settings.data_dir == tmp_path / ".portal"
        assert settings.database_url == Secret(f"sqlite:///{tmp_path}/.portal/portal.db")
        assert settings.providers == (
            ProviderSpec(
                id="company",
                label="Company",
                provider_type="oidc",
                issuer="https://id.example.com",
                client_id="portal",
                client_secret=Secret("from-the-environment"),
            ),
        )
        assert settings.roles == (
            RoleRule(role="admin", when="contains(roles, 'Tenant Admin')"),
            RoleRule(role="analyst", groups=frozenset({"AI-Analysts"})),
        )
        assert settings.rights_of_roles == {"admin": frozenset(API_RIGHTS)}
        assert list(settings.catalogue) == [
            AppSpec(
                slug="forecast",
                title="Forecast",
                url="https://forecast.apps.example.com",
                open_to=frozenset({"analyst"}),
            )
        ]
        assert (settings.idle_lifetime, settings.absolute_lifetime) == (8 * 3600, 30 * 86400)
        assert (settings.internal_url, settings.site, settings.rate_limit_storage) == (None, None, "machine://")

    def test_the_environment_wins_over_the_file(self, tmp_path: Path) -> None:
        settings = loaded(
            tmp_path,
            GOOD,
            ENVIRON
            | {
                "PORTAL_URL": "https://other.example.com/",
                "PORTAL_APPS_URL": "https://{app}.other.example.com",
                "PORTAL_INTERNAL_URL": "http://127.0.0.1:7800",
                "PORTAL_DATA_DIR": str(tmp_path / "elsewhere"),
                "PORTAL_DATABASE_URL": "sqlite:////var/lib/x.db",
                "PORTAL_RATE_LIMIT_STORAGE": "redis://localhost:6379",
            },
        )

        assert settings.url == "https://other.example.com"
        assert settings.apps_url == "https://{app}.other.example.com"
        assert settings.internal_url == "http://127.0.0.1:7800"
        assert settings.data_dir == tmp_path / "elsewhere"
        assert settings.database_url == Secret("sqlite:////var/lib/x.db")
        assert settings.rate_limit_storage == "redis://localhost:6379"

    def test_paths_in_the_file_begin_at_the_file(self, tmp_path: Path) -> None:
        text = GOOD.replace("[portal]", '[portal]\ndata_dir = "state"')

        assert loaded(tmp_path, text).data_dir == tmp_path / "state"

    def test_a_folder_in_the_environment_begins_where_the_command_runs(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, GOOD, ENVIRON | {"PORTAL_DATA_DIR": "state"})

        assert settings.data_dir == Path.cwd() / "state"

    @pytest.mark.parametrize(
        ("written", "seconds"), [('"8h"', 28800), ('"90m"', 5400), ('"60s"', 60), ("3600", 3600), ('" 1 d "', 86400)]
    )
    def test_lifetimes_are_written_with_a_unit_or_in_seconds(self, tmp_path: Path, written: str, seconds: int) -> None:
        text = GOOD.replace("[portal]", f"[portal]\nidle_lifetime = {written}")

        assert loaded(tmp_path, text).idle_lifetime == seconds

    def test_a_key_for_rotation_stands_behind_the_first(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, GOOD, ENVIRON | {"PORTAL_SECRET_KEY": f" {KEY}, {OTHER_KEY}\n"})

        assert settings.secret_keys == (Secret(KEY), Secret(OTHER_KEY))

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_postgresql_is_understood_as_platforms_write_it(self, tmp_path: Path, scheme: str) -> None:
        settings = loaded(tmp_path, GOOD, ENVIRON | {"PORTAL_DATABASE_URL": f"{scheme}://u:p@db/portal"})

        assert settings.database_url == Secret("postgresql+psycopg://u:p@db/portal")

    @pytest.mark.parametrize(
        ("variables", "package", "extra"),
        [
            ({"PORTAL_DATABASE_URL": "postgres://u:p@db/portal"}, "psycopg", "postgresql"),
            ({"PORTAL_RATE_LIMIT_STORAGE": "redis+sentinel://:p@db"}, "redis", "redis"),
        ],
    )
    def test_what_a_store_needs_is_named_where_it_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], package: str, extra: str
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
        (problem,) = problems(tmp_path, GOOD, ENVIRON | variables)

        assert problem.key in variables
        assert f"pip install 'gradio-portal[{extra}]'" in problem.fix
        assert problems(tmp_path, GOOD, ENVIRON) == []


class TestWhereTheFileIs:
    def test_the_environment_names_it(self, tmp_path: Path) -> None:
        file = tmp_path / "company.toml"
        file.write_text(GOOD, encoding="utf-8")

        assert load(ENVIRON | {"PORTAL_CONFIG": str(file)}).title == "Gradio Portal"

    def test_it_is_found_in_the_working_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "portal.toml").write_text(GOOD, encoding="utf-8")
        monkeypatch.chdir(tmp_path)

        assert load(ENVIRON).url == "https://portal.example.com"

    def test_it_may_be_absent_where_the_environment_says_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        settings = load(TUTORIAL)

        assert settings.url == "http://localhost:7860"
        assert settings.data_dir == tmp_path / ".portal"

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as caught:
            load(ENVIRON | {"PORTAL_CONFIG": str(tmp_path / "gone.toml")})

        assert [problem.key for problem in caught.value.problems] == ["(the file)"]
        assert str(tmp_path / "gone.toml") == caught.value.problems[0].place

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            (
                "[roles.extra]\ngroups = ['a']\n[portal]\ntitle = 'x'\n",
                "has a section a second time at line 3, column 8.",
            ),
            ("[roles.extra]\ngroups = ['a']\ngroups = ['s3cr3t']\n\n", "has a key a second time at line 3, column 20."),
        ],
    )
    def test_a_repeated_section_or_key_is_a_problem(self, tmp_path: Path, more: str, said: str) -> None:
        text = "[portal]\n"
        (problem,) = problems(tmp_path, text + more)
        first, _, line = said.partition(" line ")
        number, _, column = line.partition(",")

        assert problem.what == f"{first} line {int(number) + 1},{column}"

    @pytest.mark.parametrize("text", ["[portal", 'url = "https://', "[portal]\nclient_secret = 's3cr3t"])
    def test_a_file_that_is_no_toml_is_named_with_its_line_and_without_its_text(
        self, tmp_path: Path, text: str
    ) -> None:
        found = problems(tmp_path, text, {})

        assert [problem.key for problem in found] == ["(the file)", "PORTAL_SECRET_KEY"]
        assert "line" in str(found[0]) or "end of document" in str(found[0])
        assert "s3cr3t" not in str(found[0])

    def test_a_file_that_is_no_text_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "portal.toml"
        file.write_bytes(b"\xff\xfe\x00")

        with pytest.raises(SettingsError, match="UTF-8"):
            load(ENVIRON, path=file)

    def test_a_byte_order_mark_is_no_problem(self, tmp_path: Path) -> None:
        assert keys(tmp_path, "\ufeff" + GOOD) == []


class TestSecurityContact:
    @pytest.mark.parametrize("written", ["mailto:security@example.com", "https://example.com/security?a=b"])
    def test_it_is_an_address(self, tmp_path: Path, written: str) -> None:
        text = GOOD.replace("[portal]", f'[portal]\nsecurity_contact = "{written}"')
        assert loaded(tmp_path, text).security_contact == written
        assert loaded(tmp_path, GOOD).security_contact is None

    @pytest.mark.parametrize(
        "written", ["security@example.com", "http://example.com", "javascript:x", "mailto:a@b c", "https://a\\nEvil: b"]
    )
    def test_nothing_else_is(self, tmp_path: Path, written: str) -> None:
        (problem,) = problems(tmp_path, GOOD.replace("[portal]", f'[portal]\nsecurity_contact = "{written}"'))
        assert problem.key == "portal.security_contact"


class TestAudit:
    @pytest.mark.parametrize(
        ("written", "file"), [("stdout", None), ("/var/log/portal/audit.jsonl", "/var/log/portal/audit.jsonl")]
    )
    def test_the_audit_goes_to_standard_output_or_a_file(self, tmp_path: Path, written: str, file: str | None) -> None:
        settings = loaded(tmp_path, GOOD.replace("[portal]", f'[portal]\naudit_log = "{written}"'))
        assert (settings.audit_log, settings.of_command.audit_log) == (written, file)
        assert loaded(tmp_path, GOOD).audit_log is None

    @pytest.mark.parametrize("written", ["audit.jsonl", "STDOUT", "./stdout", "file:///var/log/a", "/a\\u0000"])
    def test_and_nowhere_else(self, tmp_path: Path, written: str) -> None:
        (problem,) = problems(tmp_path, GOOD.replace("[portal]", f'[portal]\naudit_log = "{written}"'))
        assert problem.key == "portal.audit_log"

    @pytest.mark.parametrize("written", ['"23h"', "0", '"11000d"', "true"])
    def test_the_audit_is_kept_for_a_day_to_ten_years(self, tmp_path: Path, written: str) -> None:
        (problem,) = problems(tmp_path, GOOD.replace("[portal]", f"[portal]\naudit_retention = {written}"))
        assert problem.key == "portal.audit_retention"
        kept = loaded(tmp_path, GOOD.replace("[portal]", '[portal]\naudit_retention = "400d"'))
        assert kept.audit_retention == 400 * 86400


class TestSignInsPerMinute:
    def test_it_is_a_number(self, tmp_path: Path) -> None:
        text = GOOD.replace("[portal]", "[portal]\nsign_ins_per_minute = 2000")
        assert loaded(tmp_path, text).sign_ins_per_minute == 2000
        assert loaded(tmp_path, GOOD).sign_ins_per_minute == 600

    @pytest.mark.parametrize("written", ["0", "-1", "1000001", '"600"', "true", "6.5"])
    def test_nothing_else_is(self, tmp_path: Path, written: str) -> None:
        (problem,) = problems(tmp_path, GOOD.replace("[portal]", f"[portal]\nsign_ins_per_minute = {written}"))
        assert problem.key == "portal.sign_ins_per_minute"
        assert "1 to 1000000" in problem.fix


class TestEveryProblemAtOnce:
    def test_all_parts_are_read_to_the_end(self, tmp_path: Path) -> None:
        text = """
        [portal]
        url = "http://portal.example.com/"
        idle_lifetime = "soon"
        colour = "red"
        [[providers]]
        id = "Company"
        issuer = "id.example.com"
        client_secret = "s3cr3t-in-the-file"
        [roles.admin]
        when = "contains(roles"
        [apps.forecast]
        open_to = ["analyst"]
        [pages]
        """
        found = problems(tmp_path, text, {})

        assert {problem.key for problem in found} == {
            "PORTAL_SECRET_KEY",
            "pages",
            "portal.colour",
            "portal.url",
            "portal.idle_lifetime",
            "providers[0].client_secret",
            "providers[0].id",
            "providers[0].issuer",
            "providers[0].client_id",
            "providers[0].client_secret_env",
            "roles.admin.when",
            "apps.forecast.source",
            "apps.forecast.open_to",
        }
        assert {problem.place for problem in found} == {"environment", str(tmp_path / "portal.toml")}
        assert all(problem.what.endswith(".") and problem.fix for problem in found)
        assert "s3cr3t" not in "".join(map(str, found))

    def test_nothing_at_all_is_three_problems(self, tmp_path: Path) -> None:
        assert keys(tmp_path, "", {}) == ["PORTAL_SECRET_KEY", "portal.url", "providers"]


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("text", "key", "hint"),
        [
            ("[portal]\ntitel = 'x'", "portal.titel", "'title'"),
            ("[portel]", "portel", "'portal'"),
            ("[apps.forecast]\nurl = 'https://x.test'\nroles = ['admin']", "apps.forecast.roles", "open_to"),
            ("[apps.forecast]\nurl = 'https://x.test'\nzzz = 1", "apps.forecast.zzz", "Known:"),
            ("[[providers]]\nid = 'company'\ntyppe = 'oidc'", "providers.company.typpe", "'type'"),
            (
                "[[providers]]\nid = 'company'\n[providers.endpoints]\nuser_info = 'x'",
                "providers.company.endpoints.user_info",
                "'userinfo'",
            ),
            ("[roles.admin]\nwehn = 'x'", "roles.admin.wehn", "'when'"),
            ("[[roles.admin]]\ngruops = ['x']", "roles.admin[0].gruops", "'groups'"),
        ],
    )
    def test_they_are_problems_with_a_hint(self, tmp_path: Path, text: str, key: str, hint: str) -> None:
        fixes = {problem.key: problem.fix for problem in problems(tmp_path, text)}

        assert hint in fixes[key]

    @pytest.mark.parametrize(
        ("text", "key", "hint"),
        [
            ("[portal]\nsecret_key = 's3cr3t'", "portal.secret_key", "PORTAL_SECRET_KEY"),
            ("[portal]\ndatabase_url = 's3cr3t'", "portal.database_url", "PORTAL_DATABASE_URL"),
            ("[portal]\nrate_limit_storage = 's3cr3t'", "portal.rate_limit_storage", "PORTAL_RATE_LIMIT_STORAGE"),
            (
                "[[providers]]\nid = 'company'\nclient_secret = 's3cr3t'",
                "providers.company.client_secret",
                "client_secret_env",
            ),
            ("[[providers]]\nid = 'company'\nsecret = 's3cr3t'", "providers.company.secret", "client_secret_env"),
        ],
    )
    def test_secrets_do_not_stand_in_the_file(self, tmp_path: Path, text: str, key: str, hint: str) -> None:
        found = {problem.key: problem for problem in problems(tmp_path, text)}

        assert "secret" in found[key].what
        assert hint in found[key].fix
        assert "s3cr3t" not in "".join(map(str, found.values()))


@pytest.mark.parametrize("title", ["\u7d20\u6750 AI", "AI\u00a0Lab", "\U0001f469\u200d\U0001f4bb Lab", "x" * 3000])
def test_a_text_holds_whatever_can_be_shown(tmp_path: Path, title: str) -> None:
    text = GOOD.replace("[portal]", f'[portal]\ntitle = "{title}"', 1)

    assert loaded(tmp_path, text).title == title


class TestTypes:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("portal = 1", "portal"),
            ("roles = []", "roles"),
            ("apps = 'x'", "apps"),
            ("providers = {}", "providers"),
            ("providers = [1]", "providers"),
            ("[portal]\ntitle = 7", "portal.title"),
            ("[portal]\ntitle = ''", "portal.title"),
            ('[portal]\ntitle = "a\\nb"', "portal.title"),
            ("[portal]\ntitle = '" + "x" * 17_000 + "'", "portal.title"),
            ('[portal]\ntitle = "a\u202eb"', "portal.title"),
            ("[portal]\nlanding = 'forecast'", "portal.landing"),
            ("[portal]\nlanding = [1]", "portal.landing"),
            ("[portal]\nlanding = ['']", "portal.landing"),
            ("[portal]\ntrust_apps = 'true'", "portal.trust_apps"),
            ("[portal]\ntrust_apps = 1", "portal.trust_apps"),
            ("[portal]\napps_port = '7810'", "portal.apps_port"),
            ("[portal]\napps_port = true", "portal.apps_port"),
            ("[portal]\napps_port = 0", "portal.apps_port"),
            ("[portal]\napps_port = 65536", "portal.apps_port"),
            ("[portal]\nidle_lifetime = true", "portal.idle_lifetime"),
            ("[portal]\nidle_lifetime = 59", "portal.idle_lifetime"),
            ("[portal]\nidle_lifetime = -1", "portal.idle_lifetime"),
            ("[portal]\nidle_lifetime = 8.5", "portal.idle_lifetime"),
            ("[portal]\nidle_lifetime = '8 weeks'", "portal.idle_lifetime"),
            ("[portal]\nabsolute_lifetime = '401d'", "portal.absolute_lifetime"),
            ("[portal]\nidle_lifetime = '2d'\nabsolute_lifetime = '1d'", "portal.idle_lifetime"),
            ("[[providers]]\nid = 'company'\nendpoints = 'x'", "providers.company.endpoints"),
            ("[apps]\nforecast = 'x'", "apps.forecast"),
            ("[roles]\nadmin = 'x'", "roles.admin"),
            ("[roles]\nadmin = []", "roles.admin"),
            ("[roles]\nadmin = [1]", "roles.admin"),
        ],
    )
    def test_a_wrong_type_is_a_problem_and_no_crash(self, tmp_path: Path, text: str, key: str) -> None:
        assert key in keys(tmp_path, text)


class TestSecretKeys:
    @pytest.mark.parametrize(
        "value",
        [
            "short",
            KEY[:31],
            f"{KEY},short",
            "change-me-change-me-change-me-change-me",
            "CHANGE_ME_0123456789abcdefghijklmnopqrs",
            "your-secret-key-goes-here-0123456789abc",
            "replace-this-with-a-random-string-012345",
            "example0123456789abcdefghijklmnopqrstuv",
            "a" * 64,
            "0123456" * 10,
        ],
    )
    @pytest.mark.parametrize("name", ["PORTAL_SECRET_KEY", "SESSION_SECRET_KEY"])
    def test_what_can_be_guessed_is_refused_and_not_repeated(self, tmp_path: Path, name: str, value: str) -> None:
        found = problems(tmp_path, GOOD, {"COMPANY_SECRET": "x", name: value})

        assert [problem.key for problem in found] == [name]
        assert value not in str(found[0])

    @pytest.mark.parametrize("value", ["", "  ", None])
    def test_none_is_refused(self, tmp_path: Path, value: str | None) -> None:
        environ = {"COMPANY_SECRET": "x"} | ({} if value is None else {"PORTAL_SECRET_KEY": value})

        assert keys(tmp_path, GOOD, environ) == ["PORTAL_SECRET_KEY"]

    def test_only_separators_are_no_key(self, tmp_path: Path) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {"PORTAL_SECRET_KEY": ", ,"}) == ["PORTAL_SECRET_KEY"]

    def test_the_tutorials_name_is_read_where_ours_is_not_set(self, tmp_path: Path) -> None:
        environ = {"COMPANY_SECRET": "x", "SESSION_SECRET_KEY": OTHER_KEY}

        assert loaded(tmp_path, GOOD, environ).secret_keys == (Secret(OTHER_KEY),)
        assert loaded(tmp_path, GOOD, environ | {"PORTAL_SECRET_KEY": KEY}).secret_keys == (Secret(KEY),)

    def test_it_is_no_client_secret_too(self, tmp_path: Path) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {"COMPANY_SECRET": KEY}) == ["PORTAL_SECRET_KEY"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_it_may_stand_in_a_file(self, tmp_path: Path, encoding: str) -> None:
        (tmp_path / "key").write_text(f"{KEY}\n", encoding=encoding)
        environ = {"COMPANY_SECRET": "x", "PORTAL_SECRET_KEY_FILE": str(tmp_path / "key")}

        assert loaded(tmp_path, GOOD, environ).secret_keys == (Secret(KEY),)

    def test_a_file_that_cannot_be_read_is_one_problem(self, tmp_path: Path) -> None:
        environ = {"COMPANY_SECRET": "x", "PORTAL_SECRET_KEY_FILE": str(tmp_path / "gone")}

        assert keys(tmp_path, GOOD, environ) == ["PORTAL_SECRET_KEY_FILE"]

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xff"])
    def test_a_file_without_a_secret_is_one_problem(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "key").write_bytes(content)
        environ = {"COMPANY_SECRET": "x", "PORTAL_SECRET_KEY_FILE": str(tmp_path / "key")}

        assert keys(tmp_path, GOOD, environ) == ["PORTAL_SECRET_KEY_FILE"]

    def test_a_secret_is_set_once(self, tmp_path: Path) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {"PORTAL_SECRET_KEY_FILE": "/x"}) == ["PORTAL_SECRET_KEY"]


class TestStores:
    @pytest.mark.parametrize("url", ["mysql://u:s3cr3t@db/x", "sqlite://", "s3cr3t", "http://s3cr3t"])
    def test_a_database_that_is_not_known_is_refused_and_not_repeated(self, tmp_path: Path, url: str) -> None:
        found = problems(tmp_path, GOOD, ENVIRON | {"PORTAL_DATABASE_URL": url})

        assert [problem.key for problem in found] == ["PORTAL_DATABASE_URL"]
        assert "s3cr3t" not in str(found[0])

    def test_a_store_for_rate_limits_that_is_not_known_is_refused(self, tmp_path: Path) -> None:
        found = problems(tmp_path, GOOD, ENVIRON | {"PORTAL_RATE_LIMIT_STORAGE": "s3cr3t"})

        assert [problem.key for problem in found] == ["PORTAL_RATE_LIMIT_STORAGE"]
        assert "s3cr3t" not in str(found[0])

    @pytest.mark.parametrize("name", ["PORTAL_DATABASE_URL", "PORTAL_RATE_LIMIT_STORAGE"])
    def test_their_addresses_may_stand_in_files(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {f"{name}_FILE": str(tmp_path / "gone")}) == [f"{name}_FILE"]


class TestVariablesThatAreNearlyOurs:
    @pytest.mark.parametrize(
        "name", ["PORTAL_SECRETKEY", "PORTAL_SECRET_KEYS", "PORTAL_DATA_DIRS", "PORTAL_DATABASEURL", "PORTAL_CONFG"]
    )
    def test_a_misspelt_name_is_not_silently_without_effect(self, tmp_path: Path, name: str) -> None:
        environ = {key: value for key, value in ENVIRON.items() if key != "PORTAL_SECRET_KEY"} | {
            "SESSION_SECRET_KEY": KEY
        }

        assert keys(tmp_path, GOOD, environ | {name: "x"}) == [name]

    @pytest.mark.parametrize(
        "name",
        [
            "PORTAL_PORT",
            "PORTAL_SERVICE_HOST",
            "PORTAL_PORT_7860_TCP",
            "PORTAL_APP",
            "PORTAL_APP_URL",
            "PORTAL_APP_SECRET_FILE",
            "SECRET_KEY",
            "HOME",
        ],
    )
    def test_what_others_put_into_the_environment_is_none_of_ours(self, tmp_path: Path, name: str) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {name: "x"}) == []


class TestTheAddressOfThePortal:
    @pytest.mark.parametrize(
        ("written", "url"),
        [
            ("https://Portal.Example.com", "https://portal.example.com"),
            ("https://portal.example.com/", "https://portal.example.com"),
            ("https://portal.example.com:443", "https://portal.example.com"),
            ("https://portal.example.com:8443/", "https://portal.example.com:8443"),
        ],
    )
    def test_it_is_written_in_one_way(self, tmp_path: Path, written: str, url: str) -> None:
        assert loaded(tmp_path, GOOD, ENVIRON | {"PORTAL_URL": written}).url == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://portal.example.com",
            "https://portal.example.com/portal",
            "https://portal.example.com?x",
            "https://user@portal.example.com",
            "portal.example.com",
            "https://",
            "https://portal_example.com",
        ],
    )
    def test_it_is_an_origin_of_its_own(self, tmp_path: Path, url: str) -> None:
        assert keys(tmp_path, GOOD, ENVIRON | {"PORTAL_URL": url}) == ["PORTAL_URL"]
        assert keys(tmp_path, GOOD.replace("https://portal.example.com", url)) == ["portal.url"]

    @pytest.mark.parametrize("site", ["example.com", "portal.example.com", "Example.COM"])
    def test_its_site_can_be_configured(self, tmp_path: Path, site: str) -> None:
        assert loaded(tmp_path, GOOD.replace("[portal]", f'[portal]\nsite = "{site}"')).site == site.lower()

    @pytest.mark.parametrize(
        "site",
        ["com", "co.uk", "com.au", "other.test", "https://example.com", "127.0.0.1", "xample.com"],
    )
    def test_its_site_is_one_it_lies_in(self, tmp_path: Path, site: str) -> None:
        assert keys(tmp_path, GOOD.replace("[portal]", f'[portal]\nsite = "{site}"')) == ["portal.site"]


class TestParts:
    def test_the_parts_of_the_good_one_are_needed(self, tmp_path: Path) -> None:
        assert keys(tmp_path, PROVIDER + ROLES + APP) == ["portal.url"]
        assert keys(tmp_path, PORTAL + ROLES + APP) == ["providers"]
        assert keys(tmp_path, PORTAL + PROVIDER + APP) == ["apps.forecast.open_to"]
        assert keys(tmp_path, PORTAL + PROVIDER + ROLES) == []


class TestTrustedProxies:
    def test_the_file_names_them_and_the_environment_wins(self, tmp_path: Path) -> None:
        text = GOOD.replace("[portal]", '[portal]\ntrusted_proxies = ["127.0.0.1", "10.0.0.0/8"]')
        of_file = loaded(tmp_path, text)
        of_environment = loaded(tmp_path, text, {**ENVIRON, "PORTAL_TRUSTED_PROXIES": "192.0.2.1, 2001:db8::/32"})

        assert [str(one) for one in of_file.trusted_proxies.networks] == ["127.0.0.1/32", "10.0.0.0/8"]
        assert [str(one) for one in of_environment.trusted_proxies.networks] == ["192.0.2.1/32", "2001:db8::/32"]
        assert loaded(tmp_path).trusted_proxies.networks == ()

    @pytest.mark.parametrize("text", ["10.0.0.1/8", "0.0.0.0/0", "proxy.example.com"])
    def test_what_is_no_network_is_named_where_it_stands(self, tmp_path: Path, text: str) -> None:
        file = GOOD.replace("[portal]", f'[portal]\ntrusted_proxies = ["{text}", "10.0.0.0/8"]')
        [of_file] = problems(tmp_path, file)
        [of_environment] = problems(tmp_path, GOOD, {**ENVIRON, "PORTAL_TRUSTED_PROXIES": f"{text} 10.0.0.0/8"})

        assert (of_file.key, of_environment.key) == ("portal.trusted_proxies", "PORTAL_TRUSTED_PROXIES")
        assert text in of_file.what
        assert text in of_environment.what


class TestMetrics:
    @pytest.mark.parametrize(
        ("said", "networks"),
        [
            ("", ["127.0.0.1/32", "::1/128"]),
            ("metrics_from = []", []),
            ('metrics_from = ["10.1.2.3", "10.2.0.0/16"]', ["10.1.2.3/32", "10.2.0.0/16"]),
        ],
    )
    def test_this_machine_unless_others_are_named(self, tmp_path: Path, said: str, networks: list[str]) -> None:
        settings = loaded(tmp_path, GOOD.replace("[portal]", f"[portal]\n{said}"))

        assert [str(one) for one in settings.metrics_from] == networks

    @pytest.mark.parametrize("text", ["10.0.0.1/8", "0.0.0.0/0", "prometheus.example.com"])
    def test_what_is_no_network_is_a_problem(self, tmp_path: Path, text: str) -> None:
        [problem] = problems(tmp_path, GOOD.replace("[portal]", f'[portal]\nmetrics_from = ["{text}"]'))

        assert problem.key == "portal.metrics_from"
        assert text in problem.what
