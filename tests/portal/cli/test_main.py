"""The command as it is typed: what it prints, and its exit code."""

import errno
import io
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal.cli import main
from portal.cli.demo import default_folder
from portal.contract.local_sockets import listen_at
from portal.demo.running import announcement
from tests.portal.demo.test_setup import a_sample
from tests.portal.sign_in.hook.company import written
from tests.ports import free_ports

GOOD = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
title = "Example AI"
landing = ["forecast"]
trust_apps = true

[[providers]]
id = "company"
label = "Example Company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"

[roles.admin]
when = "contains(roles, 'Tenant Admin')"
[roles.analyst]
groups = ["AI-Analysts"]
provider = "company"

[apps.forecast]
url = "https://forecast.apps.example.com"
open_to = ["analyst"]
tenants = ["acme"]
people = ["ana@example.com"]
[apps.admin-dashboard]
source = "gradio_apps.admin_dashboard"
open_to = ["admin"]
portal_api = ["audit:read"]
[apps.closed]
url = "https://closed.apps.example.com"
"""
SECRET = "zB1-kept-from-everybody-0123456789abcdefgh"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good portal.toml, and its secrets in .env."""
    for name in ("PORTAL_CONFIG", "PORTAL_URL", "PORTAL_SECRET_KEY", "PORTAL_DATA_DIR", "PORTAL_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"PORTAL_SECRET_KEY={SECRET}\nCOMPANY_CLIENT_SECRET=client-secret-of-ours\n")
    file = tmp_path / "portal.toml"
    file.write_text(GOOD, encoding="utf-8")
    return file


class TestCheck:
    def test_it_says_what_is_on(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        del config
        assert main(["check"]) == 0
        out = capsys.readouterr().out

        for words in (
            "The configuration has no problems.",
            "Example AI at https://portal.example.com",
            "8 hours without use, and after 30 days in any case",
            "Isolation: own-origin",
            "company: Example Company (oidc), https://id.example.com",
            "callback https://portal.example.com/auth/oauth/company/callback",
            "claims   read again every 15 minutes, with a refresh token",
            "a sign-in without one ends after 8 hours",
            "admin: when contains(roles, 'Tenant Admin')",
            "analyst: group AI-Analysts, from company only",
            "open to analyst, ana@example.com in acme",
            "open to nobody: open_to and people are empty",
            "runs elsewhere",
            "runs here, on port 7810, from gradio_apps.admin_dashboard",
            "may use of the portal's API: audit:read",
        ):
            assert words in out
        assert SECRET not in out
        assert "client-secret-of-ours" not in out

    def test_it_prints_json(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", "--json"]) == 0
        out = capsys.readouterr().out
        report = json.loads(out)

        assert SECRET not in out
        assert (report["problems"], report["url"]) == ([], "https://portal.example.com")
        assert report["isolation"] == {"browser": "own-origin", "machine": "portal-user", "shared": None}
        [provider] = report["providers"]
        assert (provider["id"], provider["type"]) == ("company", "oidc")
        assert provider["callback"] == "https://portal.example.com/auth/oauth/company/callback"
        assert provider["refresh"] is True
        assert (report["refresh_interval"], report["lifetime_without_refresh"]) == (900, 28800)
        assert [(role["role"], role["groups"]) for role in report["roles"]] == [
            ("admin", []),
            ("analyst", ["AI-Analysts"]),
        ]
        assert {app["app"]: (app["port"], app["open_to"]) for app in report["apps"]} == {
            "forecast": (None, ["analyst"]),
            "admin-dashboard": (7810, ["admin"]),
            "closed": (None, []),
        }
        config.write_text(GOOD.replace('"analyst"]', '"analist"]'), encoding="utf-8")
        assert main(["check", "--json"]) == 2
        [problem] = json.loads(capsys.readouterr().out)["problems"]
        assert (problem["place"], problem["key"]) == ("portal.toml", "apps.forecast.open_to")
        assert "Did you mean 'analyst'?" in problem["fix"]
        config.write_text(GOOD.replace("[portal]", '[portal]\ndata_dir = "portal.toml"'), encoding="utf-8")
        assert main(["check", "--json"]) == 2
        [problem] = json.loads(capsys.readouterr().out)["problems"]
        assert problem["place"] is None
        assert "is not a folder" in problem["what"]

    @pytest.mark.parametrize(
        ("portal", "provider", "expected"),
        [
            ('refresh_interval = "1m"', "", "read again every 1 minute, with a refresh token"),
            ('lifetime_without_refresh = "1h"', "", "a sign-in without one ends after 1 hour"),
            ('absolute_lifetime = "2h"\nidle_lifetime = "1h"', "", "a sign-in without one ends after 2 hours"),
            ('lifetime_without_refresh = "1d"', "refresh = false", "claims   as of sign-in, which ends after 1 day"),
        ],
    )
    def test_it_says_how_current_roles_are(
        self, config: Path, capsys: pytest.CaptureFixture[str], portal: str, provider: str, expected: str
    ) -> None:
        text = GOOD.replace("[portal]", f"[portal]\n{portal}").replace("[[providers]]", f"[[providers]]\n{provider}")
        config.write_text(text, encoding="utf-8")
        assert main(["check"]) == 0

        assert expected in capsys.readouterr().out

    @pytest.mark.usefixtures("processes")
    def test_it_loads_the_sign_in_hook(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with written(config.parent, company_rules="def who(provider_id, token): ..."):
            monkeypatch.setenv("PORTAL_SIGN_IN_HOOK", "company_rules:who")
            assert main(["check"]) == 0
            assert "then company_rules:who decides who may sign in" in capsys.readouterr().out
            for command in ("check", "serve"):
                monkeypatch.setenv("PORTAL_SIGN_IN_HOOK", "company_rules:wo")
                assert main([command]) == 2
                message = capsys.readouterr().err
                assert "PORTAL_SIGN_IN_HOOK" in message
                assert "Did you mean 'who'?" in message

    def test_it_names_every_problem_at_once(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config.write_text(
            GOOD.replace("https://portal.example.com", "http://portal.example.com").replace('"analyst"]', '"analist"]'),
            encoding="utf-8",
        )
        assert main(["check"]) == 2
        err = capsys.readouterr().err

        assert "problems:" in err
        assert "portal.toml: portal.url" in err
        assert "Use https." in err
        assert "apps.forecast.open_to" in err
        assert "Did you mean 'analyst'?" in err

    def test_one_problem_is_one(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (config.parent / ".env").unlink()
        (config.parent / ".env").write_text(f"PORTAL_SECRET_KEY={SECRET}\n")
        assert main(["check", "--config", str(config)]) == 2

        assert "the configuration has one problem:" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["check", "serve"])
    def test_a_data_folder_that_is_none_is_a_problem(
        self, config: Path, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        config.write_text(GOOD.replace("[portal]", '[portal]\ndata_dir = "forecast.py"'))
        (config.parent / "forecast.py").touch()
        [port] = free_ports(1)
        assert main(["check"] if command == "check" else ["serve", "--port", str(port)]) != 0

        assert f"data folder {config.parent / 'forecast.py'} is not a folder; name another" in capsys.readouterr().err

    def test_a_port_that_no_web_server_can_have_is_worth_a_note(
        self, config: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config.write_text(GOOD.replace("https://{app}.apps.example.com", "https://apps.example.com:{port}"))
        assert main(["check"]) == 0

        assert "For apps.example.com, a reverse proxy must listen on port 7810, where admin-dashboard" in (
            capsys.readouterr().out
        )

    def test_units_say_who_the_portal_runs_as(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check"]) == 0
        assert "the portal runs as whoever starts it" in capsys.readouterr().out
        config.write_text(GOOD.replace("trust_apps = true", 'apps_run_by = "systemd"'))
        assert main(["check"]) == 0
        assert "the portal runs as gradio-portal, as in its unit" in capsys.readouterr().out

    def test_a_space_does_not_control_the_terminal(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        space = config.parent / "space"
        space.mkdir()
        (space / "app.py").touch()
        (space / "README.md").write_text('---\nhf_oauth: true\nhf_oauth_scopes: ["\\e[2J"]\n---\n')
        config.write_text(GOOD.replace('source = "gradio_apps.admin_dashboard"', 'source = "space"'))
        assert main(["check"]) == 0

        assert "hf_oauth_scopes (\\x1b[2J) of its README" in capsys.readouterr().out

    def test_odd_lifetimes_are_said_as_they_are(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config.write_text(GOOD.replace("[portal]", "[portal]\nidle_lifetime = 90\nabsolute_lifetime = '90m'"))
        assert main(["check"]) == 0

        assert "after 90 seconds without use, and after 90 minutes in any case" in capsys.readouterr().out


CLAIMS = {
    "iss": "https://id.example.com",
    "sub": "ana",
    "name": "Ana Analyst",
    "email": "ana@example.com",
    "email_verified": True,
    "groups": ["AI-Analysts"],
}


class TestExplain:
    def test_it_says_which_rule_gave_what(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        (tmp_path / "claims.json").write_text(json.dumps(CLAIMS))
        assert main(["explain", "--claims", str(tmp_path / "claims.json")]) == 0
        out = capsys.readouterr().out

        assert "analyst: group 'AI-Analysts'" in out
        assert "admin-dashboard: missing-role" in out

    def test_it_reads_standard_input_and_answers_in_json(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(CLAIMS)))
        assert main(["explain", "--claims", "-", "--json", "--provider", "company"]) == 0

        answer = json.loads(capsys.readouterr().out)
        assert answer["identity"]["subject"] == "ana"
        assert [app["allowed"] for app in answer["tenants"][0]["apps"] if app["app"] == "closed"] == [False]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    def test_claims_are_read_as_any_system_writes_them(
        self, config: Path, tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        (tmp_path / "claims.json").write_bytes(json.dumps(CLAIMS).encode(encoding))
        assert main(["explain", "--claims", "claims.json", "--userinfo", "claims.json"]) == 0

        assert "analyst: group 'AI-Analysts'" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("option", "code", "message"),
        [
            (("--tenant", "nosuch"), 1, "they do not belong to the tenant 'nosuch'"),
            (("--provider", "company"), 0, "In (no tenant)"),
            (("--provider", "compani"), 2, "portal: no provider is called 'compani'. Did you mean 'company'?"),
            (("--provider", "nosuch"), 2, "portal: no provider is called 'nosuch'. Known: company."),
        ],
    )
    def test_what_there_is_not_is_said_and_reported_by_the_exit_code(
        self, config: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], *, code: int, message: str
    ) -> None:
        config.with_name("claims.json").write_text(json.dumps(CLAIMS))
        assert main(["explain", "--claims", "claims.json", *option]) == code
        printed = capsys.readouterr()
        assert message in printed.out + printed.err

    def test_userinfo_and_answers_come_from_files_of_their_own(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config.write_text(
            GOOD.replace('issuer = "https://id.example.com"', 'type = "github"').replace("AI-Analysts", "acme")
        )
        (tmp_path / "user.json").write_text('{"id": 7, "login": "octo"}')
        (tmp_path / "orgs.json").write_text('[{"state": "active", "organization": {"login": "acme", "id": 1}}]')
        assert main(["explain", "--claims", "user.json", "--answer", "memberships=orgs.json"]) == 0
        out = capsys.readouterr().out

        assert "analyst: group 'acme'" in out
        assert "missing: emails, teams" in out
        assert main(["explain", "--claims", "user.json", "--userinfo", "orgs.json"]) == 2
        assert "one JSON object" in capsys.readouterr().err

    @pytest.mark.parametrize("answer", ["user.json", "=user.json", "user="])
    def test_an_answer_without_a_name_or_a_file_is_a_mistake(
        self, config: Path, tmp_path: Path, answer: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        (tmp_path / "user.json").write_text("{}")

        assert main(["explain", "--claims", "user.json", "--answer", answer]) == 2
        assert "NAME=FILE" in capsys.readouterr().err

    def test_claims_that_sign_nobody_in_are_a_failure(
        self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        (tmp_path / "claims.json").write_text("{}")

        assert main(["explain", "--claims", str(tmp_path / "claims.json")]) == 1
        assert "Refused" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("content", "message"),
        [("[]", "one JSON object"), ("{", "not JSON"), (None, "cannot be read"), ("\udcff", "JSON")],
    )
    def test_claims_that_cannot_be_read_are_named(
        self, config: Path, tmp_path: Path, content: str | None, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del config
        file = tmp_path / "claims.json"
        if content is not None:
            file.write_bytes(content.encode("utf-8", "surrogateescape"))

        assert main(["explain", "--claims", str(file)]) == 2
        assert message in capsys.readouterr().err


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class TestTakenPorts:
    def test_a_demo_names_the_port_and_how_to_choose_another(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with listening() as port:
            assert main(["demo", "--port", str(port), "--no-browser", "--data-dir", str(tmp_path / "d")]) == 2
        err = capsys.readouterr().err

        assert f"Port {port}, for the portal, is taken." in err
        assert f"portal demo --port {port + 100}" in err
        assert not (tmp_path / "d").exists()

    def test_a_trial_says_how_to_be_typed_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        app = tmp_path / "my app.py"
        app.touch()
        with listening() as port:
            assert main(["try", str(app), "--port", str(port), "--data-dir", str(tmp_path / "d")]) == 2

        assert f"portal try '{app}' --port" in capsys.readouterr().err

    def test_serve_names_it_too(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        del config
        with listening() as port:
            assert main(["serve", "--port", str(port)]) == 2

        assert f"Port {port}, for the portal, is taken." in capsys.readouterr().err

    def test_serve_says_that_another_one_runs_before_it_speaks_of_ports(
        self, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del config
        with tempfile.TemporaryDirectory() as data, listening() as port:
            monkeypatch.setenv("PORTAL_DATA_DIR", data)
            with listen_at(Path(data) / "serve.sock"):
                assert main(["serve", "--port", str(port)]) == 1
            err = capsys.readouterr().err

        assert "portal serve is already running with the data folder" in err
        assert "`portal reload`" in err
        assert "is taken" not in err


class TestMistakes:
    @pytest.mark.parametrize(
        "arguments", [["frobnicate"], ["demo", "--port", "x"], ["explain"], ["try"], ["serve", "--prot", "1"]]
    )
    def test_wrong_words_are_a_mistake(self, arguments: list[str]) -> None:
        assert main(arguments) == 2

    def test_a_port_without_room_is_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["demo", "--port", "65535"]) == 2
        assert "--port must be" in capsys.readouterr().err

    def test_serving_a_bad_configuration_is_a_mistake(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        config.write_text("[portal]\n", encoding="utf-8")

        assert main(["serve"]) == 2
        assert "portal.url" in capsys.readouterr().err

    def test_an_app_that_is_not_there_is_a_mistake(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["try", str(tmp_path / "none.py")]) == 2
        assert "There is no file" in capsys.readouterr().err

    def test_a_folder_that_cannot_be_used_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").touch()

        assert main(["demo", "--port", "0", "--data-dir", str(tmp_path / "file" / "d")]) == 2
        assert "cannot be used: Not a directory. Choose another with --data-dir." in capsys.readouterr().err

    @pytest.mark.usefixtures("processes")
    def test_a_damaged_database_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "portal.db").write_bytes(b"this is no database" * 500)

        assert main(["demo", "--port", "0", "--no-browser", "--data-dir", str(tmp_path)]) == 1
        assert f"The database in {tmp_path} cannot be used." in capsys.readouterr().err

    def test_interrupted_early_it_ends_quietly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Interrupted(io.StringIO):
            def read(self, size: int | None = -1) -> str:
                del size
                raise KeyboardInterrupt

        monkeypatch.setattr("sys.stdin", Interrupted())

        assert main(["explain", "--claims", "-"]) == 130


def test_the_announcement_names_one_address_and_who_can_sign_in(tmp_path: Path) -> None:
    text = announcement(a_sample(tmp_path))

    assert text.count("http") == 1
    assert "http://portal.demo.localhost:7800" in text
    for name in ("Ada Admin", "Ana Analyst", "Uwe User", "Tess Two-Tenants"):
        assert name in text
    assert "--plain-names" in text
    assert "--plain-names" not in announcement(a_sample(tmp_path, plain_names=True))


def test_demos_on_other_ports_share_no_folder() -> None:
    assert default_folder(7800) == Path(".portal/demo")
    assert default_folder(7900) == Path(".portal/demo-7900")
    assert default_folder(0) == Path(".portal/demo-any")


def test_what_this_user_may_not_look_at_is_named(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/srv/closed")

    monkeypatch.chdir(config.parent)
    monkeypatch.setattr("portal.cli.check.users_of", closed)

    assert main(["check"]) == 1
    assert capsys.readouterr().err == (
        "portal: /srv/closed: Permission denied. Use the command as a user who has access to it.\n"
    )
