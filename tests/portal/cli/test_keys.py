"""``portal keys`` as it is typed: with a database alone, and with an app that listens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.access.signing_keys import ANNOUNCEMENT
from portal.cli import main
from portal.clock import rfc3339, system_clock
from portal.contract import Rejected, verify_logout_token
from portal.machine.failure import ENDED, MISTAKEN
from portal.settings import HOUR, Secret
from portal.storage.database import Database
from tests.portal.access.listening_app import ListeningApp, listening
from tests.portal.cli.test_main import GOOD, SECRET, config
from tests.portal.store_deployment import Deployment, a_deployment

__all__ = ["config"]


@pytest.fixture
def app() -> Iterator[ListeningApp]:
    with listening() as one:
        yield one


@pytest.fixture
def portal(app: ListeningApp, config: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Deployment]:
    """The stores of a configuration whose app listens; the first key is of an hour ago."""
    address = f'internal_url = "http://127.0.0.1:{app.port}"\nopen_to = ["analyst"]'
    only_this = GOOD.partition("[apps.admin-dashboard]")[0]
    config.write_text(only_this.replace('open_to = ["analyst"]', address), encoding="utf-8")
    assert main(["migrate"]) == 0
    capsys.readouterr()
    database = Database(Secret(f"sqlite:///{config.parent / '.portal' / 'portal.db'}"))
    made = a_deployment(database, config.parent / ".portal", secret_keys=(Secret(SECRET),))
    made.keys.ensure(system_clock() - HOUR)
    yield made
    database.close()


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["keys", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = MISTAKEN) -> str:
    assert main(["keys", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(output_of(capsys, "list", "--json"))["keys"]
    return keys


def signing(portal: Deployment) -> str:
    now = system_clock()
    portal.keys.refresh(now)
    return str(portal.keys.signing_key(now).kid)


class TestList:
    def test_each_key_has_a_state_and_what_it_is_for(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        revoked = signing(portal)
        output_of(capsys, "revoke", revoked)
        current = signing(portal)
        output_of(capsys, "rotate")
        out = output_of(capsys, "list")

        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        used = "tickets, logout notifications and the doctor's probe tokens"
        assert re.fullmatch(
            rf"\S+  next\n  is published; signs {used} from {time}\n"
            rf"{current}  signing\n  signs {used} since {time}, until {time}\n"
            rf"{revoked}  revoked\n  revoked {time}; began to sign {time}; nothing that it signed is accepted\n",
            out,
        )

    def test_json_has_times(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        retired = signing(portal)
        output_of(capsys, "rotate", "--now")
        first, second = listed(capsys)

        assert (first["kid"], first["state"], first["readable"]) == (signing(portal), "signing", True)
        assert (second["kid"], second["state"]) == (retired, "retired")
        assert second["since"] < first["since"] < second["until"] < first["until"]

    def test_before_the_first_start_there_is_none(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        del config
        assert output_of(capsys, "list") == "No keys yet: the portal makes the first one when it starts.\n"
        assert listed(capsys) == []

    def test_a_key_of_a_lost_secret_is_marked(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del portal
        monkeypatch.setenv("PORTAL_SECRET_KEY", "zB1-another-key-0123456789abcdefghijklmnopqr")

        assert "cannot be read with PORTAL_SECRET_KEY" in output_of(capsys, "list")
        assert [one["readable"] for one in listed(capsys)] == [False]


class TestRotate:
    def test_when_it_signs_is_said_and_a_second_time_changes_nothing(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = signing(portal)
        kid = output_of(capsys, "rotate").split()[0]

        assert re.fullmatch(rf"{kid} was announced before, and signs from \S+Z\.\n", output_of(capsys, "rotate"))
        again = json.loads(output_of(capsys, "rotate", "--json"))
        assert (again["kid"], again["changed"]) == (kid, False)
        now = system_clock()
        assert rfc3339(now) < again["signs_from"] <= rfc3339(now + ANNOUNCEMENT)
        assert signing(portal) == first
        assert app.received == []

    def test_at_once(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        first = signing(portal)
        out = output_of(capsys, "rotate", "--now")

        assert out == f"{signing(portal)} signs. Apps fetch it when they need it, within 30 seconds.\n"
        assert signing(portal) != first
        assert output_of(capsys, "rotate", "--now") == (
            f"{signing(portal)} has just begun to sign. Nothing was changed.\n"
        )


class TestRevoke:
    def test_the_app_gets_a_notification_that_only_the_new_key_signed(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stolen, now = signing(portal), system_clock()
        known = portal.keys.key_set(now)
        out = output_of(capsys, "revoke", stolen)
        (token,) = app.tokens
        issuer = portal.settings.url

        assert out == f"{stolen} is revoked.\n{signing(portal)} signs.\n"
        assert portal.notified() == set()
        with pytest.raises(Rejected, match="unknown-key"):
            verify_logout_token(token, keys=known, issuer=issuer, audience="forecast", now=now)
        keys = portal.keys.key_set(system_clock())
        verify_logout_token(token, keys=keys, issuer=issuer, audience="forecast", now=now)

    def test_an_app_that_is_away_is_notified_later(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        app.status = 503
        assert main(["keys", "revoke", signing(portal)]) == 0
        err = capsys.readouterr().err

        assert err == (
            "portal: notification of forecast failed: status 503. The portal notifies the app again while it runs.\n"
        )
        assert len(portal.notified()) == 1

    def test_a_second_time_changes_nothing(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stolen = signing(portal)
        first = json.loads(output_of(capsys, "revoke", stolen, "--json"))

        assert output_of(capsys, "revoke", stolen) == "Revoked before. Nothing was changed.\n"
        again = json.loads(output_of(capsys, "revoke", stolen, "--json"))
        assert first == {"revoked": [stolen], "signing": signing(portal)}
        assert again == {"revoked": [], "signing": signing(portal)}
        assert len(app.received) == 1

    def test_several_go_together(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        output_of(capsys, "rotate", "--now")
        both = {one["kid"] for one in listed(capsys)}
        output_of(capsys, "revoke", *both)

        assert {one["kid"] for one in listed(capsys) if one["state"] == "revoked"} == both
        assert signing(portal) not in both

    @pytest.mark.parametrize("kid", ["unknown", "", "x\x1b[2J", "x\udce9"])
    def test_an_unknown_key_is_a_mistake(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], kid: str
    ) -> None:
        first = signing(portal)

        error = error_of(capsys, "revoke", first, kid)
        assert error.startswith("portal: no key is called ")
        assert error.rstrip("\n").isprintable()
        assert "Missing argument" in error_of(capsys, "revoke")
        assert signing(portal) == first

    def test_the_audit_and_its_log_name_the_operator(
        self, portal: Deployment, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = config.parent / "audit.jsonl"
        with_log = config.read_text(encoding="utf-8").replace("[portal]", f'[portal]\naudit_log = "{log}"', 1)
        config.write_text(with_log, encoding="utf-8")
        monkeypatch.setattr("os.getuid", lambda: 0)
        monkeypatch.setenv("SUDO_USER", "olga")
        output_of(capsys, "rotate")
        output_of(capsys, "revoke", signing(portal))
        rotated, *revoked = portal.events()

        assert rotated[0] == "key-rotated"
        assert {event for event, _ in revoked} == {"key-revoked"}
        assert all("by olga as " in detail and detail.endswith(" on the command line") for _, detail in portal.events())
        logged = [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]
        assert [(line["event"], line["detail"]) for line in logged] == portal.events()


@pytest.mark.parametrize("arguments", [("list",), ("rotate",), ("revoke", "some")])
def test_a_database_that_cannot_be_used_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    (config.parent / ".portal").mkdir()
    (config.parent / ".portal" / "portal.db").write_bytes(b"no database at all " * 500)

    assert "The database cannot be used" in error_of(capsys, *arguments, code=ENDED)
