from pathlib import Path

import pytest

from portal.configuration import cookie_mode
from portal.rules.catalogue import EVERYONE
from tests.portal.configuration.reading import APP, ENVIRON, GOOD, PORTAL, PROVIDER, ROLES, keys, loaded, problems

REST = PORTAL + PROVIDER + ROLES
HERE = """
[portal]
url = "http://portal.demo.localhost:7800"
apps_url = "http://{app}.demo.localhost:{port}"
"""
LOCAL = HERE + PROVIDER + ROLES


def an_app(lines: str, slug: str = "forecast") -> str:
    return f'[apps.{slug}]\nurl = "https://{slug}.apps.example.com"\n{lines}\n'


def sourced(lines: str = "", slug: str = "one") -> str:
    return f'[apps.{slug}]\nsource = "some.module"\n{lines}\n'


class TestOneApp:
    def test_all_of_it_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").touch()
        text = (
            REST
            + """
        [apps.forecast]
        source = "app.py"
        url = "https://forecast.example.com/app/"
        title = "The forecast"
        description = "Next quarter"
        icon = "📈"
        open_to = ["analyst", "everyone"]
        tenants = ["acme"]
        people = ["Ana@Example.com"]
        portal_api = ["audit:read"]
        browser = ["microphone", "clipboard-write"]
        start = "/ui?view=api"
        required = true
        shared_files = true
        env = { MODEL = "small", MAX_TOKENS = "7" }
        secrets = ["OPENAI_API_KEY"]
        port = 7900
        internal_url = "https://internal.example.com/"
        """
        )
        (app,) = loaded(tmp_path, text, ENVIRON | {"OPENAI_API_KEY": "x"}).catalogue

        assert app.source == str(tmp_path / "app.py")
        assert app.url == "https://forecast.example.com/app"
        assert (app.title, app.description, app.icon) == ("The forecast", "Next quarter", "📈")
        assert app.open_to == {"analyst", EVERYONE}
        assert app.tenants == frozenset({"acme"})
        assert app.people == {"ana@example.com"}
        assert app.portal_api == {"audit:read"}
        assert app.browser == ("microphone", "clipboard-write")
        assert app.start == "/ui?view=api"
        assert app.required is True
        assert app.shared_files is True
        assert app.env == (("MODEL", "small"), ("MAX_TOKENS", "7"))
        assert app.secrets == ("OPENAI_API_KEY",)
        assert (app.port, app.internal_url) == (7900, "https://internal.example.com")

    def test_one_that_says_nothing_is_open_to_nobody(self, tmp_path: Path) -> None:
        (app,) = loaded(tmp_path, REST + an_app("")).catalogue

        assert (app.open_to, app.people, app.portal_api) == (frozenset(), frozenset(), frozenset())
        assert (app.title, app.port, app.internal_url) == ("Forecast", None, None)

    def test_no_tenants_listed_is_not_no_list_of_tenants(self, tmp_path: Path) -> None:
        (app,) = loaded(tmp_path, REST + an_app("tenants = []")).catalogue

        assert app.tenants == frozenset()

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            ("url = 'https://forecast.apps.example.com?x'", "url"),
            ("url = 'http://forecast.apps.example.com'", "url"),
            ("url = 'https://x.test/a b'", "url"),
            ("url = 7", "url"),
            ("url = 'https://forecast.apps.example.com'\nport = 7900", "port"),
            ("url = 'https://forecast.apps.example.com'\nicon = 'forecasting'", "icon"),
            ("url = 'https://forecast.apps.example.com'\nopen_to = ['analysts']", "open_to"),
            ("url = 'https://forecast.apps.example.com'\nopen_to = ['Everyone']", "open_to"),
            ("url = 'https://forecast.apps.example.com'\nopen_to = 'analyst'", "open_to"),
            ("url = 'https://forecast.apps.example.com'\npeople = ['ana']", "people"),
            ("url = 'https://forecast.apps.example.com'\npeople = ['@example.com']", "people"),
            ("url = 'https://forecast.apps.example.com'\npeople = ['a@b@example.com']", "people"),
            ("url = 'https://forecast.apps.example.com'\npeople = ['\u212aim@example.com']", "people"),
            ("url = 'https://forecast.apps.example.com'\nportal_api = ['audit:write']", "portal_api"),
            ("url = 'https://forecast.apps.example.com'\nbrowser = ['microphone; camera *']", "browser"),
            ("url = 'https://forecast.apps.example.com'\nbrowser = ['Camera']", "browser"),
            ("url = 'https://forecast.apps.example.com'\nstart = 'ui'", "start"),
            ("url = 'https://forecast.apps.example.com'\nstart = '//evil.test'", "start"),
            ("url = 'https://forecast.apps.example.com'\nstart = 'https://evil.test/'", "start"),
            ("url = 'https://forecast.apps.example.com'\nstart = '/a/../b'", "start"),
            ("url = 'https://forecast.apps.example.com'\nstart = ['/ui']", "start"),
            ("url = 'https://forecast.apps.example.com'\nrequired = 'yes'", "required"),
            ("url = 'https://forecast.apps.example.com'\ntenants = 'acme'", "tenants"),
            ("url = 'https://forecast.apps.example.com'\ninternal_url = 'http://10.0.0.1'", "internal_url"),
            ("url = 'https://forecast.apps.example.com'\nenv = { MODEL = 'x' }", "env"),
            ("url = 'https://forecast.apps.example.com'\nsecrets = ['COMPANY_KEY']", "secrets"),
            ("source = 'gone.py'", "source"),
            ("source = 'folder/gone'", "source"),
            ("source = '../../etc/passwd.py'", "source"),
            ("source = 'not a module'", "source"),
            ("source = 7", "source"),
            ("title = 'neither source nor url'", "source"),
            ("source = 'm'\nport = '7900'", "port"),
            ("source = 'm'\nenv = 'x'", "env"),
            ("source = 'm'\nenv = { MODEL = 7 }", "env.MODEL"),
            ("source = 'm'\nenv = { 'A B' = 'x' }", "env.A B"),
            ("source = 'm'\nenv = { PORTAL_SECRET_KEY = 'x' }", "env.PORTAL_SECRET_KEY"),
            ("source = 'm'\nenv = { LD_PRELOAD = 'x' }", "env.LD_PRELOAD"),
            ("source = 'm'\nsecrets = ['UNSET_KEY']", "secrets"),
            ("source = 'm'\nsecrets = ['A B']", "secrets"),
        ],
    )
    def test_a_problem_is_reported_once_at_its_key(self, tmp_path: Path, line: str, key: str) -> None:
        text = REST + f"[apps.forecast]\n{line}\n"

        assert keys(tmp_path, text, ENVIRON | {"COMPANY_KEY": "x"}) == [f"apps.forecast.{key}"]

    def test_where_units_run_the_apps_theirs_need_not_be_known_here(self, tmp_path: Path) -> None:
        text = REST + sourced('secrets = ["OPENAI_API_KEY"]')

        assert keys(tmp_path, text) == ["apps.one.secrets"]
        by_units = text.replace("[portal]", '[portal]\napps_run_by = "systemd"')
        assert keys(tmp_path, by_units) == []
        assert keys(tmp_path, by_units.replace("OPENAI_API_KEY", "A B")) == ["apps.one.secrets"]

    @pytest.mark.parametrize(
        "name",
        ["PORTAL_SECRET_KEY", "PORTAL_DATABASE_URL", "SESSION_SECRET_KEY", "OAUTH_CLIENT_SECRET", "DATABASE_URL"],
    )
    def test_no_app_gets_the_portals_secrets(self, tmp_path: Path, name: str) -> None:
        text = REST + sourced(f'secrets = ["{name}"]')
        environ = ENVIRON | {"DATABASE_URL": "sqlite:///x", "PORTAL_DATABASE_URL": "sqlite:///x.db"}

        assert "apps.one.secrets" in keys(tmp_path, text, environ)

    def test_no_app_gets_the_secret_of_a_provider(self, tmp_path: Path) -> None:
        assert keys(tmp_path, REST + sourced('secrets = ["COMPANY_SECRET"]')) == ["apps.one.secrets"]

    @pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "DB_PASSWORD", "AWS_SECRET", "apikey", "TOKEN"])
    def test_env_must_not_contain_secrets(self, tmp_path: Path, name: str) -> None:
        found = problems(tmp_path, REST + sourced(f'env = {{ {name} = "s3cr3t" }}'))

        assert [problem.key for problem in found] == [f"apps.one.env.{name}"]
        assert "s3cr3t" not in str(found[0])

    def test_a_secret_in_the_place_of_a_name_is_not_repeated(self, tmp_path: Path) -> None:
        found = problems(tmp_path, REST + sourced('secrets = ["skproj0123456789abcdef"]'))

        assert [problem.key for problem in found] == ["apps.one.secrets"]
        assert "skproj" not in str(found[0])

    @pytest.mark.parametrize("slug", ["Forecast", "fore_cast", "-x", "x-", "'a.b'", "'ä'", "''", "x" * 64, "'a/b'"])
    def test_its_name_fits_in_addresses(self, tmp_path: Path, slug: str) -> None:
        text = (
            REST + f'[apps.{slug}]\nurl = "https://x.test"'
            if slug != "'ä'"
            else REST + '[apps."ä"]\nurl = "https://x.test"'
        )

        assert keys(tmp_path, text) == ["apps." + slug.strip("'")]

    def test_a_ticket_can_carry_all_roles_of_its_rule(self, tmp_path: Path) -> None:
        many = "".join(f'[roles.r{index}]\ngroups = ["g"]\n' for index in range(65))
        names = ", ".join(f'"r{index}"' for index in range(65))

        assert keys(tmp_path, PORTAL + PROVIDER + many + an_app(f"open_to = [{names}]")) == ["apps.forecast.open_to"]


class TestSources:
    @pytest.mark.parametrize("name", ["app.py", "folder/app.py", "space", "with space.py"])
    def test_files_and_folders_begin_at_the_configuration(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if not name.endswith(".py"):
            path.mkdir()
            (path / "app.py").touch()
        else:
            path.touch()
        (app,) = loaded(tmp_path, LOCAL + f'[apps.one]\nsource = "{name}"').catalogue

        assert app.source == str(path)

    @pytest.mark.parametrize(
        ("readme", "said"),
        [
            (None, "app.py: no such file"),
            ("app_file: main.py", "main.py: no such file"),
            ("app_file: ../portal.toml", "app_file is outside the folder."),
            ("sdk: static", "sdk is 'static', but only gradio can be run here."),
        ],
    )
    def test_a_folder_must_be_that_of_a_space(self, tmp_path: Path, readme: str | None, said: str) -> None:
        (tmp_path / "space").mkdir()
        if readme is not None:
            (tmp_path / "space" / "README.md").write_text(f"---\n{readme}\n---\n")
        (problem,) = problems(tmp_path, LOCAL + '[apps.one]\nsource = "space"')

        assert problem.key == "apps.one.source"
        assert problem.what.startswith("names 'space', which cannot be run: ")
        assert said in problem.what

    def test_modules_keep_their_name(self, tmp_path: Path) -> None:
        (app,) = loaded(tmp_path, LOCAL + sourced()).catalogue

        assert app.source == "some.module"

    def test_free_ports_are_assigned_in_order(self, tmp_path: Path) -> None:
        text = LOCAL + sourced("port = 7811", "one") + sourced("", "two") + sourced("", "three") + sourced("", "four")
        apps = loaded(tmp_path, text).catalogue

        assert [app.port for app in apps] == [7811, 7810, 7812, 7813]
        assert [app.url for app in apps][:2] == ["http://one.demo.localhost:7811", "http://two.demo.localhost:7810"]
        assert [app.internal_url for app in apps][:2] == ["http://127.0.0.1:7811", "http://127.0.0.1:7810"]

    def test_the_first_port_can_be_configured(self, tmp_path: Path) -> None:
        text = LOCAL.replace("[portal]", "[portal]\napps_port = 9000") + sourced()

        assert [app.port for app in loaded(tmp_path, text).catalogue] == [9000]

    def test_ports_end(self, tmp_path: Path) -> None:
        text = LOCAL.replace("[portal]", "[portal]\napps_port = 65535") + sourced("", "one") + sourced("", "two")

        assert keys(tmp_path, text) == ["apps.two.port"]

    def test_on_loopback_apps_run_without_asking(self, tmp_path: Path) -> None:
        assert keys(tmp_path, LOCAL + sourced()) == []

    def test_elsewhere_running_them_as_the_portals_user_must_be_accepted(self, tmp_path: Path) -> None:
        found = problems(tmp_path, (REST + sourced()).replace("trust_apps = true", ""))

        assert [problem.key for problem in found] == ["apps.one.source"]
        assert "database, keys and environment" in found[0].what
        assert "trust_apps" in found[0].fix


class TestAddresses:
    @pytest.mark.parametrize(
        ("apps_url", "url"),
        [
            ("https://{app}.apps.example.com", "https://one.apps.example.com"),
            ("https://ai-apps.example.com/{app}/", "https://ai-apps.example.com/one"),
            ("https://portal.example.com/run/{app}/", "https://portal.example.com/run/one"),
            ("https://apps.example.com:{port}", "https://apps.example.com:7810"),
        ],
    )
    def test_they_come_from_the_template(self, tmp_path: Path, apps_url: str, url: str) -> None:
        text = REST.replace("https://{app}.apps.example.com", apps_url) + sourced()

        assert [app.url for app in loaded(tmp_path, text).catalogue] == [url]

    @pytest.mark.parametrize(
        "apps_url",
        [
            "https://apps.example.com",
            "http://{app}.apps.example.com",
            "https://{name}.apps.example.com",
            "https://{app}.apps.example.com?x",
            "{app}",
        ],
    )
    def test_a_template_that_cannot_be_used_is_one_problem(self, tmp_path: Path, apps_url: str) -> None:
        text = REST.replace("https://{app}.apps.example.com", apps_url) + sourced()

        assert keys(tmp_path, text) == ["portal.apps_url"]
        assert keys(tmp_path, REST + sourced(), ENVIRON | {"PORTAL_APPS_URL": apps_url}) == ["PORTAL_APPS_URL"]

    def test_without_a_template_each_app_says_its_own(self, tmp_path: Path) -> None:
        text = REST.replace('apps_url = "https://{app}.apps.example.com"', "") + sourced()

        assert keys(tmp_path, text) == ["apps.one.url"]

    @pytest.mark.parametrize("port", [7811, 7810])
    def test_no_two_share_a_port(self, tmp_path: Path, port: int) -> None:
        text = LOCAL + sourced(f"port = {port}", "one") + sourced(f"port = {port}", "two")

        assert keys(tmp_path, text) == ["apps.two.port"]

    def test_none_has_the_portals_port(self, tmp_path: Path) -> None:
        assert keys(tmp_path, LOCAL + sourced("port = 7800")) == ["apps.one.port"]
        assert keys(
            tmp_path,
            LOCAL + sourced("port = 7790"),
            ENVIRON | {"PORTAL_INTERNAL_URL": "http://127.0.0.1:7790"},
        ) == ["apps.one.port"]

    def test_assigned_ports_avoid_the_portals_own(self, tmp_path: Path) -> None:
        text = LOCAL.replace("[portal]", "[portal]\napps_port = 7800") + sourced()

        assert [app.port for app in loaded(tmp_path, text).catalogue] == [7801]

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("https://x.test", "https://x.test/"),
            ("https://x.test", "https://X.test:443"),
            ("https://x.test", "https://x.test/a"),
            ("https://x.test/a", "https://x.test/a/b"),
            ("https://x.test/a/b", "https://x.test/a"),
        ],
    )
    def test_no_two_lie_in_each_other(self, tmp_path: Path, one: str, two: str) -> None:
        text = REST + f'[apps.one]\nurl = "{one}"\n[apps.two]\nurl = "{two}"'

        assert keys(tmp_path, text) == ["apps.two.url"]

    def test_neighbours_do_not(self, tmp_path: Path) -> None:
        text = REST + '[apps.one]\nurl = "https://x.test/a"\n[apps.two]\nurl = "https://x.test/ab"'

        assert keys(tmp_path, text) == []

    @pytest.mark.parametrize(
        "url",
        [
            "https://portal.example.com",
            "https://portal.example.com:443/",
            "https://portal.example.com/apps/one",
            "https://portal.example.com/oauth",
            "https://portal.example.com/static/x",
            "https://portal.example.com/.portal",
            "http://127.0.0.1:7900",
            "https://app.demo.localhost",
        ],
    )
    def test_none_is_the_portals_own_or_nobodys(self, tmp_path: Path, url: str) -> None:
        assert keys(tmp_path, REST + f'[apps.one]\nurl = "{url}"') == ["apps.one.url"]

    def test_a_path_of_the_portals_origin_is_for_trusted_apps(self, tmp_path: Path) -> None:
        app = '[apps.one]\nurl = "https://portal.example.com/run/one"'

        assert keys(tmp_path, REST + app) == []
        assert keys(tmp_path, REST.replace("trust_apps = true", "") + app) == ["apps.one.url"]

    def test_so_is_another_port_of_the_portals_host(self, tmp_path: Path) -> None:
        """Browsers keep one cookie jar for a host: the app on port 8443 would be sent the portal's session."""
        app = '[apps.one]\nurl = "https://portal.example.com:8443"'

        assert keys(tmp_path, REST + app) == []
        assert keys(tmp_path, REST.replace("trust_apps = true", "") + app) == ["apps.one.url"]

    @pytest.mark.parametrize(
        ("portal", "app"),
        [
            ("http://127.0.0.1:7800", "http://localhost:7900"),
            ("http://portal.demo.localhost:7800", "http://127.0.0.1:7900"),
        ],
    )
    def test_a_frame_that_no_cookie_reaches_is_a_problem(self, tmp_path: Path, portal: str, app: str) -> None:
        text = LOCAL.replace("http://portal.demo.localhost:7800", portal) + f'[apps.one]\nurl = "{app}"'

        assert keys(tmp_path, text) == ["apps.one.url"]

    def test_names_under_one_localhost_name_share_a_site(self, tmp_path: Path) -> None:
        settings = loaded(tmp_path, LOCAL + sourced())

        assert [cookie_mode(settings, app) for app in settings.catalogue] == ["lax"]


class TestReferences:
    @pytest.mark.parametrize("landing", ['["forecst"]', '["forecast", "gone"]'])
    def test_landing_apps_exist(self, tmp_path: Path, landing: str) -> None:
        assert keys(tmp_path, GOOD.replace("[portal]", f"[portal]\nlanding = {landing}")) == ["portal.landing"]

    def test_an_app_with_a_problem_is_no_second_problem(self, tmp_path: Path) -> None:
        text = GOOD.replace("[portal]", '[portal]\nlanding = ["forecast"]').replace(APP, APP.replace("https", "ftp"))

        assert keys(tmp_path, text) == ["apps.forecast.url"]

    def test_rights_that_no_role_gives_are_a_problem(self, tmp_path: Path) -> None:
        app = an_app('portal_api = ["audit:read"]')
        analysts = '[roles.analyst]\ngroups = ["g"]\n'

        assert keys(tmp_path, PORTAL + PROVIDER + analysts + app) == ["apps.forecast.portal_api"]
        assert keys(tmp_path, PORTAL + PROVIDER + analysts + 'rights = ["audit:read"]\n' + app) == []


class TestWhatAProcessGets:
    def test_time_memory_and_an_interpreter(self, tmp_path: Path) -> None:
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "python3").touch(mode=0o755)
        (tmp_path / "venv" / "python").symlink_to("python3")
        text = LOCAL + sourced('python = "venv/python"\nstart_timeout = "1h"\nmemory = "2 GB"') + sourced(slug="two")
        one, two = loaded(tmp_path, text).catalogue

        # As it is written: a virtual environment's python is a link, and knows its place by its name.
        assert one.python == str(tmp_path / "venv" / "python")
        assert (one.start_timeout, one.memory) == (3600, 2_000_000_000)
        assert (two.python, two.start_timeout, two.memory) == (None, 600, None)

    @pytest.mark.parametrize(
        ("line", "value"),
        [
            ("start_timeout = 90", 90),
            ('start_timeout = "1s"', 1),
            ('memory = "64 MB"', 64_000_000),
            ('memory = "1.5GiB"', 3 << 29),
            ('memory = "100 MiB"', 100 << 20),
        ],
    )
    def test_ways_to_write_them(self, tmp_path: Path, line: str, value: int) -> None:
        [app] = loaded(tmp_path, LOCAL + sourced(line)).catalogue

        assert value in {app.start_timeout, app.memory}

    @pytest.mark.parametrize(
        "line",
        [
            "start_timeout = 0",
            "start_timeout = 3601",
            "start_timeout = true",
            'start_timeout = "soon"',
            'start_timeout = "2h"',
            "memory = 2",
            'memory = "2"',
            'memory = "63 MB"',
            'memory = "2 TB"',
            'memory = "-2 GB"',
            'python = "nowhere/python"',
            'python = "."',
            "python = 3",
        ],
    )
    def test_what_cannot_be_is_a_problem(self, tmp_path: Path, line: str) -> None:
        assert keys(tmp_path, LOCAL + sourced(line)) == [f"apps.one.{line.partition(' ')[0]}"]

    @pytest.mark.parametrize("line", ["start_timeout = 90", 'memory = "2 GB"', "shared_files = true"])
    def test_an_app_elsewhere_gets_them_there(self, tmp_path: Path, line: str) -> None:
        assert keys(tmp_path, REST + an_app(line)) == [f"apps.forecast.{line.partition(' ')[0]}"]
