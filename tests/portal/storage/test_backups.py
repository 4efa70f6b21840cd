"""Backups and what comes of them: whole, private, refused where they could not be read, and without the past."""

import gzip
import hashlib
import hmac
import io
import json
import multiprocessing
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import sqlalchemy as sa

from portal.access.app_credentials import AppCredentials
from portal.access.audit import MOST_OF_ONE
from portal.access.signing_keys import KeyState
from portal.contract import Active, Inactive
from portal.machine.restoring import Restored, restore
from portal.settings import Secret, Settings
from portal.storage import tables
from portal.storage.backups import BackupFailed, Manifest, fingerprint, make_backup, unpack
from portal.storage.database import Database
from portal.storage.instance_lock import exclusive_lock, shared_lock
from portal.storage.sealing import derive_key
from portal.web.services import Services, build_services
from tests.builders import NOW, an_app, an_identity, settings_for

OTHER = Secret("o" * 20 + "other-key-of-somebody")


@contextmanager
def stores(settings: Settings) -> Iterator[Services]:
    built = build_services(settings, clock=lambda: NOW, providers={})
    try:
        yield built
    finally:
        built.database.close()


def sign_in(built: Services) -> str:
    return built.sign_ins.begin(an_identity(), tenant="acme", browser="Firefox", now=NOW).id


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_for(tmp_path / "data")
    with stores(settings) as built:
        sign_in(built)
        built.keys.ensure(NOW)
        built.credentials.secret_of("forecast")
    return settings


def database_of(settings: Settings) -> Path:
    return settings.data_dir / "portal.db"


def back_up(settings: Settings, file: Path, *, configuration: Path | None = None) -> Manifest:
    return make_backup(
        database_of(settings), file, secret_keys=settings.secret_keys, configuration=configuration, now=NOW
    )


def put_back(settings: Settings, file: Path, *, now: int = NOW + 100) -> Restored:
    return restore(file, database=database_of(settings), settings=settings, now=now)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith((".lock", "-shm"))}


class TestBackup:
    def test_it_is_one_private_file_that_holds_no_key(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "portal.toml").write_text("[portal]\n")
        manifest = back_up(settings, tmp_path / "b.tar.gz", configuration=tmp_path / "portal.toml")

        assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600
        with tarfile.open(tmp_path / "b.tar.gz") as archive:
            assert archive.getnames() == ["manifest.json", "manifest.mac", "portal.toml", "portal.db"]
        key = settings.secret_keys[0]
        assert key.reveal().encode() not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())
        assert manifest.keys == (fingerprint(key),)
        assert manifest.revision == "0003"
        assert manifest.sizes["portal.toml"] == len("[portal]\n")
        assert manifest.made_at == "2027-01-15T08:00:00Z"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "data", "portal.toml"]

    def test_it_is_made_while_others_write_and_is_of_one_moment(self, settings: Settings, tmp_path: Path) -> None:
        with stores(settings) as built, built.database.write() as connection:
            connection.execute(sa.update(tables.sign_ins).values(tenant="half-way"))
            back_up(settings, tmp_path / "b")

        unpack(tmp_path / "b", to=tmp_path / "copy.db", secret_keys=settings.secret_keys)
        with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
            assert copy.execute("SELECT tenant FROM sign_ins").fetchall() == [("acme",)]

    def test_it_overwrites_nothing(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "b").write_text("precious")
        with pytest.raises(BackupFailed, match="does not overwrite it"):
            back_up(settings, tmp_path / "b")
        assert (tmp_path / "b").read_text() == "precious"

    @pytest.mark.parametrize("damage", ["gone", "no database", "no folder"])
    def test_a_backup_that_fails_says_why_and_leaves_nothing(
        self, settings: Settings, tmp_path: Path, damage: str
    ) -> None:
        file = tmp_path / "b"
        if damage == "gone":
            database_of(settings).unlink()
        elif damage == "no database":
            database_of(settings).write_bytes(b"no database at all " * 500)
        else:
            file = tmp_path / "nowhere" / "b"
        with pytest.raises(BackupFailed):
            back_up(settings, file)
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_fingerprints_distinguish_keys_and_disclose_nothing(self) -> None:
        one = fingerprint(Secret("k" * 43))
        assert one != fingerprint(OTHER)
        assert one == fingerprint(Secret("k" * 43))
        assert len(one) == 16


class TestRestore:
    def test_endings_that_the_audit_leaves_out_are_counted(self, settings: Settings, tmp_path: Path) -> None:
        with stores(settings) as built:
            for _ in range(MOST_OF_ONE + 2):
                sign_in(built)
        back_up(settings, tmp_path / "b")
        assert put_back(settings, tmp_path / "b").ended == MOST_OF_ONE + 3

        with stores(settings) as built:
            last = built.audit.recent(issuer=an_identity().issuer, tenant="acme", limit=1)[0]
        assert (last.event, last.fields) == ("events-left-out", {"count": 3, "of": "sign-in-ended"})

    def test_keys_that_were_revoked_since_stay_revoked(self, settings: Settings, tmp_path: Path) -> None:
        with stores(settings) as built:
            stolen = str(built.keys.signing_key(NOW).kid)
            back_up(settings, tmp_path / "b")
            built.keys.revoke([stolen], apps=(), now=NOW + 1, by="olga")
        put_back(settings, tmp_path / "b")
        put_back(settings, tmp_path / "b")

        with stores(settings) as built:
            assert stolen not in {key["kid"] for key in built.keys.public_jwks(NOW + 200)["keys"]}  # type: ignore[attr-defined]
            assert [one.kid for one in built.keys.statuses(NOW + 200) if one.state is KeyState.REVOKED] == [stolen]

    def test_a_restore_brings_the_data_back_and_ends_every_sign_in(self, settings: Settings, tmp_path: Path) -> None:
        with stores(settings) as built:
            secret = built.credentials.secret_of("forecast")
            kids = [key["kid"] for key in built.keys.public_jwks(NOW)["keys"]]  # type: ignore[attr-defined] # a JWKS
        back_up(settings, tmp_path / "b")
        with stores(settings) as built:
            later = sign_in(built)
        (settings.data_dir / "sessions.db").write_text("sessions")
        done = put_back(settings, tmp_path / "b")

        assert done.ended == 1
        assert not (settings.data_dir / "sessions.db").exists()
        with stores(settings) as built:
            assert built.credentials.secret_of("forecast") == secret
            assert [key["kid"] for key in built.keys.public_jwks(NOW)["keys"]] == kids  # type: ignore[attr-defined] # a JWKS
            assert built.sign_ins.find(later, now=NOW) is None
            with built.database.read() as connection:
                rows = connection.execute(sa.select(tables.sign_ins.c.ended_at, tables.sign_ins.c.end_reason)).all()
                events = connection.execute(sa.select(tables.audit.c.event, tables.audit.c.detail)).all()
        assert [tuple(row) for row in rows] == [(NOW + 100, "restored")]
        assert ("sign-in-ended", "restored") in [tuple(row) for row in events]

    def test_app_sessions_end_and_their_apps_are_notified(self, settings: Settings, tmp_path: Path) -> None:
        app = an_app()
        with stores(settings) as built:
            known = built.sign_ins.find(sign_in(built), now=NOW)
            assert known is not None
            ticket = _ticket(built, known)
            opened = built.app_sessions.redeem(ticket, app=app, now=NOW)
            assert isinstance(opened, Active)
            unspent = _ticket(built, known)
        back_up(settings, tmp_path / "b")
        put_back(settings, tmp_path / "b", now=NOW + 1)

        with stores(settings) as built:
            assert built.app_sessions.renew(opened.session, app=app, now=NOW + 2) == Inactive(code="restored")
            assert isinstance(built.app_sessions.redeem(unspent, app=app, now=NOW + 2), Inactive)
            with built.database.read() as connection:
                message = set(connection.execute(sa.select(tables.outbox.c.session)).scalars())
        assert opened.session in message

    def test_the_previous_database_is_kept_whole_beside_it(self, settings: Settings, tmp_path: Path) -> None:
        back_up(settings, tmp_path / "b")
        with stores(settings) as built:
            later = sign_in(built)
        first = put_back(settings, tmp_path / "b")
        second = put_back(settings, tmp_path / "b")

        assert first.kept is not None
        assert second.kept is not None
        assert first.kept.name == "portal.db.before-20270115T080140Z"
        assert second.kept.name == f"{first.kept.name}-2"
        with closing(sqlite3.connect(first.kept)) as kept:
            assert (later,) in kept.execute("SELECT id FROM sign_ins").fetchall()
        assert stat.S_IMODE(database_of(settings).stat().st_mode) == 0o600

    def test_a_lost_data_folder_is_made_anew(self, settings: Settings, tmp_path: Path) -> None:
        back_up(settings, tmp_path / "b")
        elsewhere = replace(
            settings, data_dir=tmp_path / "new", database_url=Secret(f"sqlite:///{tmp_path / 'new' / 'portal.db'}")
        )
        done = put_back(elsewhere, tmp_path / "b")

        assert done.kept is None
        assert done.ended == 1
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["portal.db", "running.lock"]
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700

    def test_a_damaged_database_is_replaced_and_kept(self, settings: Settings, tmp_path: Path) -> None:
        back_up(settings, tmp_path / "b")
        database_of(settings).write_bytes(b"no database at all " * 500)
        done = put_back(settings, tmp_path / "b")

        assert done.kept is not None
        assert done.kept.read_bytes().startswith(b"no database")
        with stores(settings) as built:
            built.database.ping()

    def test_another_secret_key_is_refused_by_fingerprint(self, settings: Settings, tmp_path: Path) -> None:
        back_up(settings, tmp_path / "b")
        before = contents(settings.data_dir)
        with pytest.raises(BackupFailed) as caught:
            put_back(replace(settings, secret_keys=(OTHER,)), tmp_path / "b")

        assert "made with another secret key" in str(caught.value)
        assert fingerprint(settings.secret_keys[0]) in str(caught.value)
        assert fingerprint(OTHER) in str(caught.value)
        assert OTHER.reveal() not in str(caught.value)
        assert contents(settings.data_dir) == before
        assert put_back(replace(settings, secret_keys=(OTHER, *settings.secret_keys)), tmp_path / "b").ended == 1

    def test_the_key_that_made_it_is_needed_whatever_was_listed_after_it(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        (old,) = settings.secret_keys
        with stores(replace(settings, secret_keys=(OTHER, old))) as built:
            built.keys.ensure(NOW)
        back_up(replace(settings, secret_keys=(OTHER, old)), tmp_path / "b")
        with pytest.raises(BackupFailed, match=f"Its fingerprint is {fingerprint(OTHER)}; that of"):
            put_back(settings, tmp_path / "b")

        assert put_back(replace(settings, secret_keys=(old, OTHER)), tmp_path / "b").ended == 1

    def test_a_secret_of_one_app_that_cannot_be_read_is_enough(self, settings: Settings, tmp_path: Path) -> None:
        stranger = replace(settings, secret_keys=(OTHER,))
        with stores(stranger) as built:
            built.credentials.secret_of("another")
            assert isinstance(built.credentials, AppCredentials)
            assert built.credentials.unreadable() == ("forecast",)
        back_up(settings, tmp_path / "b")
        with pytest.raises(BackupFailed, match="cannot decrypt all the keys"):
            put_back(settings, tmp_path / "b")

    def test_a_database_of_a_newer_version_is_refused(self, settings: Settings, tmp_path: Path) -> None:
        with stores(settings) as built, built.database.write() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        back_up(settings, tmp_path / "b")
        with pytest.raises(BackupFailed, match="another version"):
            put_back(settings, tmp_path / "b")


def _ticket(built: Services, known: object) -> str:
    from portal.access.sign_ins import SignIn
    from portal.rules.policy import Allowed, may_open, standing_in
    from tests.builders import RULES

    assert isinstance(known, SignIn)
    allowed = may_open(an_app(), standing=standing_in(known.identity, tenant="acme", rules=RULES))
    assert isinstance(allowed, Allowed)
    return built.app_sessions.issue(allowed, sign_in=known, next="/", now=NOW)


def repacked(file: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    with tarfile.open(file) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr] # all files
    with tarfile.open(file, "w:gz") as archive:
        for name, content in change(members).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def manifest_with(**changes: object) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(members: dict[str, bytes]) -> dict[str, bytes]:
        said = json.loads(members["manifest.json"]) | changes
        return members | {"manifest.json": json.dumps(said).encode()}

    return change


def alive_again(members: dict[str, bytes]) -> dict[str, bytes]:
    """Have the database name another person, and state its new digest: what a checksum without a key lets through."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(members["portal.db"])
        connection.execute("UPDATE sign_ins SET tenant = 'another'")
        connection.commit()
        return stated_anew(members, connection.serialize())


def stated_anew(members: dict[str, bytes], database: bytes) -> dict[str, bytes]:
    said = json.loads(members["manifest.json"])
    said["sha256"]["portal.db"] = hashlib.sha256(database).hexdigest()
    said["sizes"]["portal.db"] = len(database)
    return members | {"portal.db": database, "manifest.json": json.dumps(said).encode()}


def vouched_for(members: dict[str, bytes], key: Secret) -> dict[str, bytes]:
    mac = hmac.new(derive_key(key, "backups"), members["manifest.json"], hashlib.sha256).hexdigest()
    return members | {"manifest.mac": mac.encode()}


def without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {one: content for one, content in members.items() if one != name}


def mac_by_another_key(members: dict[str, bytes]) -> dict[str, bytes]:
    return vouched_for(alive_again(members), OTHER)


def with_a_mac_of_another_purpose(members: dict[str, bytes]) -> dict[str, bytes]:
    mac = hmac.new(derive_key(Secret("k" * 43), "fingerprint"), members["manifest.json"], hashlib.sha256).hexdigest()
    return members | {"manifest.mac": mac.encode()}


ATTACKS: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "a path out of the folder": lambda members: {**members, "../escaped": b"x"},
    "an absolute path first": lambda members: {"/tmp/escaped": b"x", **members},
    "no manifest": without("manifest.json"),
    "no MAC": without("manifest.mac"),
    "no database": without("portal.db"),
    "members in another order": lambda members: dict(reversed(members.items())),
    "an empty MAC": lambda members: {**members, "manifest.mac": b""},
    "a MAC that is no text": lambda members: {**members, "manifest.mac": b"\xff" * 64},
    "a MAC of another key": mac_by_another_key,
    "a MAC of another purpose": with_a_mac_of_another_purpose,
    "a manifest of a deep nesting": lambda members: {**members, "manifest.json": b"[" * 100_000},
    "a database that was changed with its digest": alive_again,
    "a database that is shorter": lambda members: {**members, "portal.db": members["portal.db"][:-1]},
    "a portal.toml that was changed": lambda members: {**members, "portal.toml": b"[portal]\n# evil\n"},
    "a portal.toml of the same size": lambda members: {**members, "portal.toml": b"[evil..]\n"},
    "no portal.toml": without("portal.toml"),
    "a manifest that is no JSON": lambda members: {**members, "manifest.json": b"{"},
    "a manifest that is a list": lambda members: {**members, "manifest.json": b"[]"},
    "a database that was changed": lambda members: {**members, "portal.db": members["portal.db"][:-1] + b"!"},
    "another format": manifest_with(format=1),
    "a format that is nearly right": manifest_with(format="2"),
    "keys that are ours": manifest_with(keys=[]),
    "keys that are a page": manifest_with(keys=["<script>"]),
    "keys that are no list": manifest_with(keys="k"),
    "a revision that is a number": manifest_with(revision=1),
    "a large manifest": lambda members: {**members, "manifest.json": b" " * (5 * 1024 * 1024)},
}


@pytest.mark.parametrize("change", ATTACKS.values(), ids=ATTACKS)
def test_a_file_that_is_not_a_backup_changes_nothing(
    settings: Settings, tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    (tmp_path / "portal.toml").write_text("[portal]\n")
    back_up(settings, tmp_path / "b", configuration=tmp_path / "portal.toml")
    repacked(tmp_path / "b", change)
    before = contents(settings.data_dir)
    with pytest.raises(BackupFailed) as caught:
        put_back(settings, tmp_path / "b")

    assert "<" not in str(caught.value)
    assert contents(settings.data_dir) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "data", "portal.toml"]


def test_a_changed_backup_and_one_of_another_key_have_different_errors(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "b")
    repacked(tmp_path / "b", lambda members: members)
    assert put_back(settings, tmp_path / "b").ended == 1, "packing it anew changes nothing"
    repacked(tmp_path / "b", alive_again)
    with pytest.raises(BackupFailed, match="was changed or damaged after"):
        put_back(settings, tmp_path / "b")


def test_a_database_with_triggers_is_refused_even_with_a_valid_mac(settings: Settings, tmp_path: Path) -> None:
    def with_a_trigger(members: dict[str, bytes]) -> dict[str, bytes]:
        """Have the database make every sign-in live again."""
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(members["portal.db"])
            connection.execute(
                "CREATE TRIGGER again AFTER UPDATE OF ended_at ON sign_ins WHEN NEW.ended_at IS NOT NULL "
                "BEGIN UPDATE sign_ins SET ended_at = NULL WHERE id = NEW.id; END"
            )
            connection.commit()
            return vouched_for(stated_anew(members, connection.serialize()), settings.secret_keys[0])

    back_up(settings, tmp_path / "b")
    repacked(tmp_path / "b", with_a_trigger)
    with pytest.raises(BackupFailed, match="contains a trigger or a view"):
        put_back(settings, tmp_path / "b")


def test_a_header_of_any_size_is_not_read_into_memory(settings: Settings, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b", "w:gz") as archive:
        header = tarfile.TarInfo("manifest.json")
        header.type, header.size = tarfile.XHDTYPE, 64 * 1024 * 1024
        archive.addfile(header, io.BytesIO(bytes(header.size)))
    with pytest.raises(BackupFailed, match="is not a backup of a portal"):
        put_back(settings, tmp_path / "b")


def test_a_flipped_bit_is_refused_or_has_no_effect(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    unpack(tmp_path / "b", to=tmp_path / "right", secret_keys=settings.secret_keys)
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 20)):
        (tmp_path / "b").write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            unpack(tmp_path / "b", to=tmp_path / "copy", secret_keys=settings.secret_keys)
        except BackupFailed:
            refused += 1
        else:  # in what gzip or tar say besides
            assert (tmp_path / "copy").read_bytes() == (tmp_path / "right").read_bytes()
        (tmp_path / "copy").unlink(missing_ok=True)
    assert refused


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_not_an_archive_is_refused(settings: Settings, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "b").write_bytes(content)
    with pytest.raises(BackupFailed):
        put_back(settings, tmp_path / "b")


def test_half_an_archive_is_refused(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupFailed):
        put_back(settings, tmp_path / "b")


def test_a_link_in_the_archive_is_refused(settings: Settings, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b", "w:gz") as archive:
        link = tarfile.TarInfo("portal.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BackupFailed, match="not a backup"):
        put_back(settings, tmp_path / "b")


def run_until(message: Event, ready: Event, data_dir: Path) -> None:
    shared_lock(data_dir)
    ready.set()
    message.wait(60)


def test_a_running_portal_prevents_a_restore_until_it_ends(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "b")
    context = multiprocessing.get_context("spawn")
    message, ready = context.Event(), context.Event()
    process = context.Process(target=run_until, args=(message, ready, settings.data_dir))
    process.start()
    assert ready.wait(60)
    try:
        with pytest.raises(BackupFailed, match="A portal runs with the data folder"):
            put_back(settings, tmp_path / "b")
    finally:
        process.kill()
        process.join(60)
    assert put_back(settings, tmp_path / "b").ended == 1


def test_several_workers_share_the_lock(tmp_path: Path) -> None:
    import os

    first, second = shared_lock(tmp_path / "d"), shared_lock(tmp_path / "d")
    with exclusive_lock(tmp_path / "d") as alone:
        assert not alone
    os.close(first)
    os.close(second)
    with exclusive_lock(tmp_path / "d") as alone:
        assert alone


def test_the_database_says_what_it_did_and_where_it_is(tmp_path: Path) -> None:
    database = Database(Secret(f"sqlite:///{tmp_path / 'portal.db'}"))
    assert database.upgrade() == (None, "0003")
    assert database.upgrade() == ("0003", "0003")
    assert database.file == tmp_path / "portal.db"
    database.close()
    assert Database(Secret("sqlite:///:memory:")).file is None
    assert Database(Secret("postgresql://portal@db/portal")).file is None
