"""The README's recipe at a provider that sends groups only with the scope of that name, and where that is reported."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.cli import main
from portal.configuration import environment, load
from portal.settings import Settings
from portal.sign_in.providers.flow import CodeFlow
from tests.provider.browser import Browser, Portal
from tests.provider.process import CLIENT_SECRET, Person, RunningProvider, a_client, running_provider

URL = "http://portal.demo.localhost:7800"
LINE = 'Write scopes = ["openid", "profile", "email", "groups"] in the [[providers]] with id = "company".'
WHAT = "roles.analyst reads groups, which needs the scope groups. The portal does not request it."


@pytest.fixture(scope="module")
def theirs(processes: None) -> Iterator[RunningProvider]:
    with running_provider(a_client(URL), scoped_claims={"groups": ["groups"]}) as provider:
        yield provider


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PORTAL_CONFIG", "PORTAL_URL", "PORTAL_DATA_DIR", "PORTAL_DATABASE_URL", "OAUTH_PROMPT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        f"PORTAL_SECRET_KEY=zB1-kept-from-everybody-0123456789abcdefgh\nCOMPANY_CLIENT_SECRET={CLIENT_SECRET}\n"
    )
    (tmp_path / "forecast.py").touch()
    return tmp_path


def recipe(folder: Path, theirs: RunningProvider, *, scopes: str = "") -> Settings:
    (folder / "portal.toml").write_text(
        f'[portal]\nurl = "{URL}"\napps_url = "http://{{app}}.demo.localhost:{{port}}"\n'
        f'[[providers]]\nid = "company"\nissuer = "{theirs.issuer}"\nclient_id = "portal"\n'
        f'client_secret_env = "COMPANY_CLIENT_SECRET"\n{scopes}'
        '[roles.analyst]\ngroups = ["AI-Analysts"]\n'
        '[apps.forecast]\nsource = "forecast.py"\nopen_to = ["analyst"]\n'
    )
    return load(environment({}, folder))


def sign_in(settings: Settings, folder: Path, account: str) -> tuple[Portal, Browser]:
    portal = Portal(
        folder / "data",
        url=settings.url,
        providers=settings.providers,
        roles=settings.roles,
        catalogue=settings.catalogue,
    )
    [spec] = settings.providers
    portal.providers[spec.id] = CodeFlow(spec)
    portal.now = int(time.time())
    browser = Browser(portal)
    browser.get(Person(account).sign_in(browser.begin()))
    return portal, browser


@pytest.mark.usefixtures("processes")
class TestWithoutTheScope:
    def test_check_and_providers_test_name_it_with_the_line_to_write(
        self, theirs: RunningProvider, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recipe(folder, theirs)
        for command in (["check"], ["providers", "test", "company"]):
            assert main(command) == 0
            message = " ".join(capsys.readouterr().out.split())

            assert WHAT in message, command
            assert LINE in message, command

    def test_the_refusal_says_to_admins_what_came_instead(self, theirs: RunningProvider, folder: Path) -> None:
        settings = recipe(folder, theirs)
        portal, browser = sign_in(settings, folder, "ana")

        assert browser.get("/apps/forecast/").status_code == 403
        denied, signed_in = portal.services.audit.recent(issuer=theirs.issuer, tenant="", limit=2)
        looked = "(roles look for groups; the provider sent email, email_verified, name, sub, tenants)"
        assert denied.detail == f"missing-role {looked}"
        assert signed_in.detail == f"no role {looked}"


@pytest.mark.usefixtures("processes")
class TestWithTheScope:
    def test_the_line_lets_the_analyst_in_and_nothing_is_reported(
        self, theirs: RunningProvider, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scopes = LINE.partition("Write ")[2].partition(" in the")[0]
        settings = recipe(folder, theirs, scopes=f"{scopes}\n")
        portal, browser = sign_in(settings, folder, "ana")

        assert browser.get("/apps/forecast/").status_code == 200
        assert portal.services.audit.recent(issuer=theirs.issuer, tenant="", limit=1)[0].detail == ""
        assert main(["check"]) == 0
        assert "needs the scope" not in capsys.readouterr().out

    def test_init_asks_for_it_where_it_is_offered(self, theirs: RunningProvider, folder: Path) -> None:
        (folder / ".env").unlink()
        flags = ("--url", URL, "--issuer", theirs.issuer, "--client-id", "portal", "--client-secret-file", "secret")
        (folder / "secret").write_text(CLIENT_SECRET)
        assert main(["init", *flags]) == 0
        [spec] = load(environment({}, folder)).providers

        assert spec.scopes == ("openid", "profile", "email", "groups")


def test_a_provider_that_is_away_is_no_reason_to_keep_silent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(folder, RunningProvider(issuer="http://127.0.0.1:9", accounts={}))
    assert main(["check"]) == 0
    message = " ".join(capsys.readouterr().out.split())

    assert "roles.analyst reads groups, which many providers send only with the scope groups" in message
    assert f"If this provider has that scope: {LINE}" in message
    assert "To find out: portal providers test company" in message
