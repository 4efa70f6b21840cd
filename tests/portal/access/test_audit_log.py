"""The audit as lines of JSON: each whole, in the file that is there, and never in the way of a request."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portal.access.audit import Audit
from portal.access.audit_events import AuditEvent
from portal.access.audit_log import MAX_LINE, AuditLog, line_of
from tests.builders import ISSUER, NOW, an_identity
from tests.portal.store_deployment import Deployment


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_an_event_is_a_line_once_it_is_committed(deployment: Deployment, file: Path) -> None:
    audit = Audit(deployment.database, log=AuditLog(str(file), clock=lambda: NOW))
    with deployment.database.write() as connection:
        audit.record(
            AuditEvent.SIGNED_IN,
            now=NOW,
            identity=an_identity(),
            tenant="acme",
            fields={"provider": "company"},
            connection=connection,
        )
        assert not file.exists()
    audit.record(AuditEvent.SIGN_IN_REFUSED, now=NOW + 1, detail="company: not-admitted")

    assert lines(file) == [
        {
            "id": 1,
            "at": "2027-01-15T08:00:00Z",
            "event": "signed-in",
            "identity_id": an_identity().id,
            "name": "Ana Analyst",
            "email": "ana@example.com",
            "issuer": ISSUER,
            "tenant": "acme",
            "fields": {"provider": "company"},
        },
        {
            "id": 2,
            "at": "2027-01-15T08:00:01Z",
            "event": "sign-in-refused",
            "detail": "company: not-admitted",
            "fields": {},
        },
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_rolled_back_is_in_no_line(deployment: Deployment, file: Path) -> None:
    audit = Audit(deployment.database, log=AuditLog(str(file), clock=lambda: NOW))

    def fail() -> None:
        with deployment.database.write() as connection:
            audit.record(AuditEvent.SIGNED_IN, now=NOW, connection=connection)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    audit.record(AuditEvent.SIGNED_OUT, now=NOW)
    assert [line["event"] for line in lines(file)] == ["signed-out"]


@pytest.mark.parametrize(
    "members",
    [
        {"id": 1, "detail": "\u2028" * 500, "name": "\U0001f600" * 512, "fields": {"a": ["ü" * 100] * 50}},
        {"id": 1, "issuer": "https://" + "x" * 500, "tenant": "\ud800" * 512, "name": "\0" * 512, "email": "é" * 320},
        {"id": 1, "detail": "a\nb\r\x1b[2J\x85"},
    ],
)
def test_a_line_is_one_line_of_ascii_that_a_pipe_takes_whole(members: dict[str, object]) -> None:
    line = line_of(members)

    assert len(line) <= MAX_LINE
    assert line.count(b"\n") == 1
    assert line[:-1].decode("ascii").isprintable()
    read = json.loads(line)
    assert read["id"] == 1
    assert read.keys() | set(read.get("cut", ())) >= members.keys()


WRITER = """
import sys
from portal.access.audit_log import AuditLog
log = AuditLog(sys.argv[1], clock=lambda: 0)
for number in range(300):
    log.write({"id": number, "by": sys.argv[2], "detail": sys.argv[2] * 3000})
"""


@pytest.mark.usefixtures("processes")
def test_lines_of_several_processes_do_not_mix(file: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in "abc"]
    assert [one.wait() for one in running] == [0, 0, 0]

    written = lines(file)
    assert len(written) == 900
    for name in "abc":
        assert [line["id"] for line in written if line["by"] == name] == list(range(300))


@pytest.mark.usefixtures("processes")
def test_standard_output_has_whole_lines() -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, "stdout", "x"], capture_output=True, check=True)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(300))


def test_after_a_rotation_lines_go_to_the_new_file(file: Path) -> None:
    log = AuditLog(str(file), clock=lambda: NOW)
    log.write({"id": 1})
    rotated = file.rename(file.with_suffix(".1"))
    file.touch(0o640)  # logrotate's "create"
    log.write({"id": 2})
    file.rename(file.with_suffix(".2"))
    log.write({"id": 3})  # "nocreate"
    file.unlink()
    log.write({"id": 4})

    assert (lines(rotated), lines(file.with_suffix(".2")), lines(file)) == ([{"id": 1}], [{"id": 2}], [{"id": 4}])


def test_what_cannot_be_written_is_said_once_a_minute_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = NOW
    file = tmp_path / "there" / "audit.jsonl"
    log = AuditLog(str(file), clock=lambda: now)
    for second in range(0, 120, 10):
        now = NOW + second
        log.write({"id": second})
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "7 events so far" in caplog.messages[1]

    file.parent.mkdir()
    log.write({"id": 7})
    assert caplog.messages[2] == "the audit log is written again; 12 events are missing in it"
    assert lines(file) == [{"id": 7}]


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_raises_nothing_and_is_said() -> None:
    """Of a device that is always full, behind standard output."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", WRITER, "stdout", "x"], stdout=full, stderr=subprocess.PIPE, check=True
        )
    assert done.stderr.count(b"No space left on device") == 1


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_file_is_written_to(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    target, other = tmp_path / "audit.jsonl", tmp_path / "other"
    other.write_text("")
    match kind:
        case "link":
            target.symlink_to(other)
        case "pipe":
            os.mkfifo(target)
        case _:
            target.mkdir()
    AuditLog(str(target), clock=lambda: NOW).write({"id": 1})

    assert len(caplog.messages) == 1
    assert other.read_text() == ""


def test_after_a_torn_line_the_next_one_stands_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, whole = AuditLog(str(file), clock=lambda: NOW), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: whole(descriptor, data[:5]))
        log.write({"id": 1})
    log.write({"id": 2})

    torn, line = file.read_bytes().splitlines()
    assert (len(torn), json.loads(line)) == (5, {"id": 2})
