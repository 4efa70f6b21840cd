"""``portal sign-ins`` as it is typed: with a database alone, and with apps that listen."""

import json
import pwd
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.access.audit import MOST_OF_ONE
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection, SignIn
from portal.cli import main
from portal.cli.operators import operator_of
from portal.clock import rfc3339, system_clock
from portal.machine.failure import ENDED, MISTAKEN
from portal.machine.problems import configured
from portal.rules.identity import Affiliation, Identity
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from portal.web.services import build_services
from tests.builders import an_identity
from tests.portal.access.listening_app import ListeningApp, listening
from tests.portal.cli.test_main import GOOD, SECRET, config
from tests.portal.store_deployment import Deployment, a_deployment
from tests.processes import PATIENCE

__all__ = ["config"]

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"
BOB = an_identity(
    subject="bob",
    name="Bob",
    email="bob@example.com",
    email_verified=False,
    affiliations=(Affiliation(tenant="beta", groups=frozenset({"AI-Analysts"})),),
)
FORMER = an_identity(provider="former", issuer="https://former.example.com", subject="old", name="Old", email=None)
"""Signed in with a provider that has left the configuration since."""


@pytest.fixture
def portal(config: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Deployment]:
    """The stores of the configuration, which the commands open too."""
    assert main(["migrate"]) == 0
    capsys.readouterr()
    database = Database(Secret(f"sqlite:///{config.parent / '.portal' / 'portal.db'}"))
    yield a_deployment(database, config.parent / ".portal", secret_keys=(Secret(SECRET),))
    database.close()


def begin(
    portal: Deployment, person: Identity | None = None, *, tenant: str = "acme", browser: str = FIREFOX
) -> SignIn:
    """Sign a person in, a minute ago."""
    return portal.sign_ins.begin(person or an_identity(), tenant=tenant, browser=browser, now=system_clock() - 60)


def living(portal: Deployment) -> set[str]:
    return {one.id for one in portal.sign_ins.selected(Selection(everyone=True), now=system_clock())}


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["sign-ins", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = MISTAKEN) -> str:
    assert main(["sign-ins", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err


class TestList:
    def test_everyone_who_is_signed_in_is_listed(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        ana, bob = begin(portal), begin(portal, BOB, tenant="beta", browser="curl")
        ended = begin(portal)
        portal.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=system_clock())
        out = output_of(capsys, "list")

        assert f"{ana.id}  Ana Analyst <ana@example.com>\n  company, tenant acme, Firefox on Linux\n  since 20" in out
        assert f"{bob.id}  Bob <bob@example.com (not verified)>\n  company, tenant beta, curl\n" in out
        assert re.search(r"^  since \S+T\d\d:\d\d:\d\dZ, last seen \S+Z, until \S+Z ", out, re.MULTILINE)
        assert ended.id not in out
        assert out.endswith("\n2 sign-ins.\n")

    def test_nobody_is_a_list_too(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        del portal
        assert output_of(capsys, "list") == "No sign-ins.\n"
        assert json.loads(output_of(capsys, "list", "--json")) == {"sign_ins": []}

    def test_json_has_all_of_it(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        bob = begin(portal, BOB, tenant="beta")
        begin(portal, replace(BOB, name=None, email=None, affiliations=(Affiliation(),)), tenant="")
        first, second = sorted(
            json.loads(output_of(capsys, "list", "--json"))["sign_ins"], key=lambda one: str(one["name"])
        )

        assert first == {
            "id": bob.id,
            "person": BOB.id,
            "name": "Bob",
            "email": "bob@example.com",
            "email_verified": False,
            "provider": "company",
            "tenant": "beta",
            "browser": FIREFOX,
            "since": rfc3339(bob.created_at),
            "last_seen": rfc3339(bob.created_at),
            "until": rfc3339(bob.expires_at),
            "refreshed": False,
        }
        assert (second["name"], second["email"], second["tenant"]) == (None, None, None)

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            ((), {"Ana Analyst", "Bob", "Old"}),
            (("--person", "BOB@example.com"), {"Bob"}),
            (("--person", " bob@example.com "), {"Bob"}),
            (("--person", BOB.id), {"Bob"}),
            (("--person", "carol@example.com"), set()),
            (("--tenant", "acme"), {"Ana Analyst", "Old"}),
            (("--tenant", "acme", "--provider", "company"), {"Ana Analyst"}),
            (("--provider", "former"), {"Old"}),
            (("--id", "unknown"), set()),
            (("--id", "unknown\udce9"), set()),
            (("--id", "-unknown"), set()),  # ids may begin with a hyphen
            (("--person", "--all"), set()),
        ],
    )
    def test_options_narrow_it(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], names: set[str]
    ) -> None:
        for person, tenant in ((an_identity(), "acme"), (BOB, "beta"), (FORMER, "acme")):
            begin(portal, person, tenant=tenant)

        assert {one["name"] for one in json.loads(output_of(capsys, "list", *arguments, "--json"))["sign_ins"]} == names

    @pytest.mark.parametrize(
        "text", ["\x1b[2J", "\r", "\x07", "\x9b31m", "\u202e", "\n0 sign-ins.", "\u2028x", "\x85x", "\x1ex", "\0"]
    )
    def test_no_name_controls_the_terminal_or_adds_a_line(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        tenant = f"acme{text}".replace("\0", "")
        hostile = an_identity(
            name=f"Ana{text}Admin".replace("\0", ""),
            email=f"ana{text}@example.com".replace("\0", ""),
            affiliations=(Affiliation(tenant=tenant),),
        )
        begin(portal, hostile, tenant=tenant, browser=f"Browser{text}of hers")
        out = output_of(capsys, "list")

        assert len(out.splitlines()) == 4  # three about her, and how many
        assert all(line.isprintable() for line in out.split("\n"))
        assert json.loads(output_of(capsys, "list", "--json"))["sign_ins"][0]["name"] == hostile.name


class TestRevoke:
    @pytest.mark.parametrize(
        ("arguments", "ended"),
        [
            (("--person", "ana@example.com"), {"ana", "ana-too"}),
            (("--person", "ana@example.com", "--tenant", "acme"), {"ana", "ana-too"}),
            (("--person", "ana@example.com", "--tenant", "beta"), set()),
            (("--person", BOB.id), {"bob"}),
            (("--tenant", "beta"), {"bob"}),
            (("--provider", "company"), {"ana", "ana-too", "bob"}),
            (("--provider", "former"), {"former"}),
            (("--all",), {"ana", "ana-too", "bob", "former"}),
            (("--id", "unknown"), set()),
            (("--person", "carol@example.com"), set()),
            (("--tenant", "gamma"), set()),
        ],
    )
    def test_what_is_named_ends_and_nothing_else(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], ended: set[str]
    ) -> None:
        begun = {
            "ana": begin(portal).id,
            "ana-too": begin(portal).id,
            "bob": begin(portal, BOB, tenant="beta").id,
            "former": begin(portal, FORMER).id,
        }

        assert json.loads(output_of(capsys, "revoke", *arguments, "--json")) == {"revoked": len(ended)}
        assert living(portal) == {sign_in_id for name, sign_in_id in begun.items() if name not in ended}

    def test_the_number_is_said(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        one = begin(portal)
        begin(portal), begin(portal)

        assert output_of(capsys, "revoke", "--id", one.id) == "One sign-in ended.\n"
        assert output_of(capsys, "revoke", "--id", one.id) == "No sign-ins ended.\n"
        assert output_of(capsys, "revoke", "--all") == "2 sign-ins ended.\n"

    @pytest.mark.parametrize("option", ["--id", "--person", "--provider", "--tenant"])
    @pytest.mark.parametrize("text", ["", " ", "\t\n"])
    @pytest.mark.parametrize("command", ["list", "revoke"])
    def test_an_empty_text_is_not_everyone(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], command: str, option: str, text: str
    ) -> None:
        """
        As from a variable of a shell that is not set; a tenant without a name is that of people without tenants.
        """
        begin(portal, replace(BOB, affiliations=(Affiliation(),)), tenant="")

        assert f"Invalid value for '{option}': it is empty." in error_of(capsys, command, option, text)
        assert f"Invalid value for '{option}': it is empty." in error_of(capsys, command, f"{option}={text}", "--json")
        assert len(living(portal)) == 1

    def test_nothing_named_ends_nothing(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        begin(portal)

        assert "Missing option: --id, --person, --provider or --tenant; or --all" in error_of(capsys, "revoke")
        assert "Missing option: --id, --person, --provider or --tenant; or --all" in error_of(
            capsys, "revoke", "--json"
        )
        assert len(living(portal)) == 1

    def test_all_and_some_contradict_each_other(self, portal: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
        begin(portal)
        begin(portal, BOB, tenant="beta")

        for some in (("--person", "bob@example.com"), ("--id", "x"), ("--provider", "company"), ("--tenant", "beta")):
            assert "--all ends everyone's sign-ins. Leave it out" in error_of(capsys, "revoke", "--all", *some)
        assert len(living(portal)) == 2

    @pytest.mark.parametrize("command", ["list", "revoke"])
    def test_a_provider_that_never_was_is_a_mistake(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        begin(portal)

        assert "no provider is called 'compny'. Did you mean 'company'?" in error_of(
            capsys, command, "--provider", "compny"
        )
        assert "no provider is called 'former'. Known: company." in error_of(capsys, command, "--provider", "former")
        assert len(living(portal)) == 1

    def test_the_audit_and_the_sign_in_name_the_operator(
        self, portal: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin(portal)
        monkeypatch.setattr("os.getuid", lambda: 0)
        monkeypatch.setenv("SUDO_USER", "olga")
        output_of(capsys, "revoke", "--all")
        (row,) = portal.rows(tables.sign_ins)
        by = f"olga as {pwd.getpwuid(0).pw_name} on the command line"

        assert (row["end_reason"], row["ended_by"]) == ("sign-in-ended", by)
        assert portal.events()[-1] == ("sign-in-ended", f"sign-in-ended by {by}")

    @pytest.mark.parametrize(
        ("environ", "uid", "name", "operator"),
        [
            ({}, 0, "root", "root"),
            ({"SUDO_USER": "olga"}, 0, "root", "olga as root"),
            ({"SUDO_USER": " "}, 0, "root", "root"),
            ({"SUDO_USER": "olga\x1b[2J\n"}, 0, "root", r"olga\x1b[2J as root"),
            ({"SUDO_USER": "olga", "USER": "olga", "LOGNAME": "olga"}, 1000, "mallory", "mallory"),
            ({"USER": "olga"}, 12345, None, "user 12345"),  # a container, whose users have no names
        ],
    )
    def test_an_operator_is_who_the_system_says(
        self, environ: dict[str, str], uid: int, name: str | None, operator: str
    ) -> None:
        assert operator_of(environ, uid=uid, name=name) == operator

    @pytest.mark.parametrize("arguments", [("list",), ("revoke", "--all")])
    def test_a_database_that_cannot_be_used_is_named(
        self, config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        (config.parent / ".portal").mkdir()
        (config.parent / ".portal" / "portal.db").write_bytes(b"no database at all " * 500)

        assert "The database cannot be used" in error_of(capsys, *arguments, code=ENDED)


class TestApps:
    @pytest.fixture
    def app(self) -> Iterator[ListeningApp]:
        with listening() as app:
            yield app

    @pytest.fixture
    def portal(self, app: ListeningApp, config: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Deployment]:
        """The stores of a configuration whose app listens."""
        address = f'internal_url = "http://127.0.0.1:{app.port}"\nopen_to = ["analyst"]'
        config.write_text(GOOD.replace('open_to = ["analyst"]', address), encoding="utf-8")
        assert main(["migrate"]) == 0
        capsys.readouterr()
        database = Database(Secret(f"sqlite:///{config.parent / '.portal' / 'portal.db'}"))
        yield a_deployment(database, config.parent / ".portal", secret_keys=(Secret(SECRET),))
        database.close()

    def test_apps_are_notified_without_a_running_portal(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        portal.open(begin(portal), now=system_clock())
        output_of(capsys, "revoke", "--person", "ana@example.com")

        assert [(path, host) for path, host, _ in app.received] == [
            ("/.portal/backchannel-logout", "forecast.apps.example.com")
        ]
        assert portal.notified() == set()

    def test_an_app_that_is_away_is_notified_by_the_portal_once_it_runs(
        self, portal: Deployment, app: ListeningApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        app.status = 503
        session = portal.open(begin(portal), now=system_clock())

        for _ in range(3):
            portal.open(begin(portal), now=system_clock())
        assert main(["sign-ins", "revoke", "--all"]) == 0
        out, err = capsys.readouterr()
        assert out == "4 sign-ins ended.\n"
        assert err == (
            "portal: notification of forecast failed: status 503. The portal notifies the app again while it runs.\n"
        )
        assert portal.notified() >= {session}
        assert len(app.received) == 4
        app.status = 204
        running = build_services(configured(None)[0], clock=system_clock, providers={})
        running.outbox.start()
        try:
            until = time.monotonic() + PATIENCE
            while portal.notified() and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            running.outbox.stop()
            running.database.close()

        assert portal.notified() == set()
        assert len(app.received) == 8


def test_the_audit_counts_what_it_leaves_out_of_many_ends(portal: Deployment) -> None:
    for _ in range(MOST_OF_ONE + 5):
        begin(portal)
    assert main(["sign-ins", "revoke", "--all"]) == 0
    ended = [detail for event, detail in portal.events() if event == "sign-in-ended"]
    assert len(ended) == MOST_OF_ONE
    assert portal.events()[-1] == ("events-left-out", "5 sign-in-ended")
