"""``portal audit`` as it is typed, over a database with events."""

import json
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest
import sqlalchemy as sa

from portal.access.audit import AuditFilter, _author
from portal.access.audit_events import AuditEvent
from portal.cli import audit as command
from portal.cli import main
from portal.cli.audit import moment_of
from portal.machine.failure import MISTAKEN
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import ISSUER, an_identity
from tests.portal.cli.test_main import SECRET, config
from tests.portal.store_deployment import Deployment, a_deployment

__all__ = ["config"]

AT = 1_893_553_445
"""2030-01-02T03:04:05Z."""
ANA = an_identity()
BOB = an_identity(subject="bob", name=None, email="Bob@example.com", email_verified=False)


@pytest.fixture
def portal(config: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Deployment]:
    assert main(["migrate"]) == 0
    capsys.readouterr()
    database = Database(Secret(f"sqlite:///{config.parent / '.portal' / 'portal.db'}"))
    built = a_deployment(database, config.parent / ".portal", secret_keys=(Secret(SECRET),))
    built.audit.record(
        AuditEvent.SIGNED_IN, now=AT, identity=ANA, tenant="acme", fields={"provider": "company", "browser": "B"}
    )
    built.audit.record(
        AuditEvent.APP_DENIED, now=AT + 60, identity=ANA, tenant="acme", app="forecast", detail="missing-role"
    )
    built.audit.record(AuditEvent.SIGNED_IN, now=AT + 120, identity=BOB, tenant="beta")
    built.audit.record(AuditEvent.SIGN_IN_REFUSED, now=AT + 180, detail="company: not-admitted", reference="k7mq2xhd")
    yield built
    database.close()


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    capsys.readouterr()
    assert main(["audit", *arguments]) == code
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("portal")
def test_one_line_per_event_the_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == [
        "2030-01-02T03:04:05Z  signed-in  Ana Analyst <ana@example.com>  tenant acme",
        "2030-01-02T03:05:05Z  app-denied  Ana Analyst <ana@example.com>  tenant acme  app forecast  missing-role",
        "2030-01-02T03:06:05Z  signed-in  Bob@example.com (not verified)  tenant beta",
        "2030-01-02T03:07:05Z  sign-in-refused  company: not-admitted  reference k7mq2xhd",
    ]


@pytest.mark.usefixtures("portal")
def test_json_has_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = map(json.loads, printed(capsys, "--json"))

    assert first == {
        "id": 1,
        "at": "2030-01-02T03:04:05Z",
        "event": "signed-in",
        "identity_id": ANA.id,
        "name": "Ana Analyst",
        "email": "ana@example.com",
        "issuer": ISSUER,
        "tenant": "acme",
        "fields": {"provider": "company", "browser": "B"},
    }
    assert [one["id"] for one in others] == [2, 3, 4]


@pytest.mark.usefixtures("portal")
@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--since", "2030-01-02T03:05:05Z"], [2, 3, 4]),
        (["--since", "2030-01-02", "--until", "2030-01-02T03:05:05Z"], [1]),
        (["--since", "2030-01-03"], []),
        (["--person", "ANA@example.com"], [1, 2]),
        (["--person", "bob@EXAMPLE.com"], [3]),
        (["--person", BOB.id], [3]),
        (["--person", "Ana Analyst"], []),
        (["--person", "%@example.com"], []),
        (["--app", "forecast"], [2]),
        (["--tenant", "beta"], [3]),
        (["--event", "signed-in", "--tenant", "acme"], [1]),
        (["--event", "signed-in", "--event", "sign-in-refused"], [1, 3, 4]),
    ],
)
def test_all_conditions_must_be_met(capsys: pytest.CaptureFixture[str], arguments: list[str], ids: list[int]) -> None:
    assert [json.loads(line)["id"] for line in printed(capsys, "--json", *arguments)] == ids


@pytest.mark.usefixtures("portal")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--person", ""],
        ["--app", " "],
        ["--event", "sign-in"],
        ["--since", "yesterday"],
        ["--until", "2030-02-30"],
        ["--follow", "--until", "1h"],
    ],
)
def test_what_selects_nothing_that_is_meant_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert printed(capsys, *arguments, code=MISTAKEN) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2030-01-02T03:04:05Z", AT),
        ("2030-01-02", AT - 3 * 3600 - 4 * 60 - 5),
        ("90s", AT - 90),
        ("10m", AT - 600),
        ("24h", AT - 86400),
        ("90d", AT - 90 * 86400),
        ("2030-01-02T03:04:05", None),
        ("2030-01-02T03:04:05+01:00", None),
        ("2030-13-02", None),
        ("h", None),
        ("-1h", None),
        ("٣h", None),
        ("9999999d", None),
        ("", None),
    ],
)
def test_a_moment_is_a_time_in_utc_a_day_or_how_long_ago(text: str, at: int | None) -> None:
    assert moment_of(text, now=AT) == at


@pytest.mark.parametrize("hostile", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\u2028b", "a\rb", "a\x9b31mb"])
def test_nothing_in_a_name_reaches_the_terminal_or_makes_another_line(
    portal: Deployment, capsys: pytest.CaptureFixture[str], hostile: str
) -> None:
    who = an_identity(subject="eve", name=hostile)
    portal.audit.record(AuditEvent.SIGNED_OUT, now=AT + 300, identity=who, tenant=hostile, app=hostile, detail=hostile)

    for arguments in ((), ("--json",)):
        lines = printed(capsys, *arguments)
        assert len(lines) == 5
        assert all(line.isprintable() for line in lines)


def test_following_yields_each_event_once_and_forgets_none(portal: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page, more than is read again, and between two looks."""
    monkeypatch.setattr(command, "_PAGE", 7)
    monkeypatch.setattr(command, "_OVERLAP", 20)
    author = _author(AuditEvent.SIGNED_OUT, identity=ANA, tenant="acme")
    bursts = cycle((0, 3, 50))

    def record(_: float) -> None:
        for _ in range(next(bursts)):
            portal.audit._write(author, now=AT + 500, detail="", fields={})  # without the bound of one person

    followed = command._following(portal.audit, AuditFilter(events=("signed-out",)), pause=record)
    assert [entry.id for entry in islice(followed, 106)] == list(range(5, 111))
    with_former = command._following(portal.audit, AuditFilter(since=AT, events=("signed-out",)), pause=record)
    assert [entry.id for entry in islice(with_former, 110)] == list(range(5, 115))


def test_a_row_that_is_committed_after_one_with_a_greater_id_is_not_missed(portal: Deployment) -> None:
    """PostgreSQL numbers rows when they are written, and shows them when their transaction ends."""
    late = iter((2000, 1990, 2001))

    def record(_: float) -> None:
        row = {"id": next(late), "at": AT, "event": "signed-out", "detail": "", "reference": ""}
        with portal.database.write() as connection:
            connection.execute(sa.insert(tables.audit).values(row))

    followed = command._following(portal.audit, AuditFilter(), pause=record)
    assert [entry.id for entry in islice(followed, 3)] == [2000, 1990, 2001]
