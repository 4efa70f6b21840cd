"""The database: concurrent upgrades, private files, waiting for locks, and clear errors."""

import gc
import multiprocessing
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from portal.access.revocation import RevocationReason
from portal.errors import StoreUnavailable, StoreUnusable
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import _MIGRATIONS, Database
from portal.storage.sqlite_files import BUSY_TIMEOUT, call_after_fork
from tests.builders import NOW, an_app, an_identity
from tests.portal.storage import postgresql
from tests.portal.store_deployment import Deployment, a_deployment

KEY = {"kid": "k", "public": "{}", "private": "", "signs_from": 0}


def a_key(kid: str) -> sa.Insert:
    return sa.insert(tables.signing_keys).values({**KEY, "kid": kid})


def upgrade_in_a_process(url: str) -> None:
    database = Database(Secret(url))
    database.upgrade()
    database.close()


def count(database: Database, table: sa.Table) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


class TestUpgrade:
    def test_the_migrations_build_the_tables_that_the_code_knows(self, database: Database) -> None:
        """
        Table by table, column by column, index by index.
        """
        with database.write() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})

            assert compare_metadata(context, tables.METADATA) == []

    def test_the_way_back_leaves_nothing(self, database: Database) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
        with database.read() as connection:
            assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        database.upgrade()
        assert count(database, tables.sign_ins) == 0

    def test_whoever_is_signed_in_stays_so_when_refreshes_come(self, deployment: Deployment) -> None:
        """
        From the first tables to those with refreshes, with more rows than are changed at once.
        """
        first, second = deployment.sign_in(), deployment.sign_in(an_identity(provider="partner"), now=NOW + 5)
        sid = deployment.open(first)
        ended = deployment.sign_in()
        deployment.sign_ins.revoke(ended.id, reason=RevocationReason.SIGNED_OUT, now=NOW)
        others = [{**deployment.rows(tables.sign_ins)[0], "id": f"{number:032}"} for number in range(1200)]
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with deployment.database.write() as connection:
            connection.execute(sa.insert(tables.sign_ins), others)
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
        with deployment.database.read() as connection:
            assert "renewal" not in {one["name"] for one in sa.inspect(connection).get_columns("sign_ins")}

        assert deployment.database.upgrade() == ("0001", "0003")
        rows = {row["id"]: row for row in deployment.rows(tables.sign_ins)}
        assert (rows[first.id]["provider"], rows[first.id]["checked_at"]) == ("company", NOW)
        assert (rows[second.id]["provider"], rows[second.id]["checked_at"]) == ("partner", NOW + 5)
        assert {row["provider"] for row in rows.values()} == {"company", "partner"}
        assert {(row["renewal"], row["refresh_due_at"]) for row in rows.values()} == {(None, None)}
        assert deployment.sign_ins.find(first.id, now=NOW + 60) == first
        assert deployment.sign_ins.find(second.id, now=NOW + 60) == second
        assert deployment.sign_ins.find(ended.id, now=NOW + 60) is None
        assert deployment.app_sessions.renew(sid, app=an_app(), now=NOW + 60)

    def test_upgrading_again_changes_nothing(self, deployment: Deployment) -> None:
        deployment.sign_in()
        deployment.database.upgrade()

        assert len(deployment.rows(tables.sign_ins)) == 1

    def test_several_workers_may_start_at_once_on_sqlite(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'new folder' / 'portal.db'}"
        upgraded_by_four_processes(url)

        assert count(Database(Secret(url)), tables.sign_ins) == 0

    def test_several_workers_may_start_at_once_on_postgresql(self, postgresql_folder: Path) -> None:
        with postgresql.connect(postgresql_folder) as connection:
            connection.execute("CREATE DATABASE many_workers")
        url = f"postgresql://postgres@/many_workers?host={postgresql_folder}"
        upgraded_by_four_processes(url)
        database = Database(Secret(url))

        assert count(database, tables.sign_ins) == 0
        database.close()

    def test_a_database_of_a_newer_version_is_left_alone(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

        with pytest.raises(StoreUnavailable, match="another version"):
            database.upgrade()

    def test_a_percent_sign_in_the_folder_is_a_letter_like_another(self, tmp_path: Path) -> None:
        database = Database(Secret(f"sqlite:///{tmp_path / '100%'}/portal.db"))
        database.upgrade()

        assert (tmp_path / "100%" / "portal.db").exists()


def upgraded_by_four_processes(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=upgrade_in_a_process, args=(url,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


class TestSQLiteFile:
    def test_the_file_and_its_folder_are_private(self, tmp_path: Path) -> None:
        path = tmp_path / "data" / "portal.db"
        database = Database(Secret(f"sqlite:///{path}"))
        old = os.umask(0)
        try:
            database.upgrade()
            with database.write() as connection:
                connection.execute(a_key("a"))
        finally:
            os.umask(old)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert set(modes) >= {"portal.db", "portal.db-wal", "portal.db-shm"}
        assert set(modes.values()) == {0o600}
        database.close()

    def test_readers_and_a_writer_do_not_wait_for_each_other(self, tmp_path: Path) -> None:
        database = Database(Secret(f"sqlite:///{tmp_path / 'portal.db'}"))
        database.upgrade()
        with database.write() as writing, database.read() as reading:
            writing.execute(a_key("a"))

            assert reading.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
            assert reading.execute(sa.select(tables.signing_keys.c.kid)).all() == []
            assert reading.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1
        database.close()

    def test_a_database_in_memory_serves_threads_in_turn(self) -> None:
        database = Database(Secret("sqlite:///:memory:"))
        database.upgrade()

        def write(kid: str) -> None:
            with database.write() as connection:
                connection.execute(a_key(kid))

        threads = [threading.Thread(target=write, args=(f"k{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert count(database, tables.signing_keys) == 8
        database.close()


class TestTransactions:
    def test_a_write_is_committed_as_a_whole(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(a_key("a"))

        assert count(database, tables.signing_keys) == 1

    def test_a_write_that_fails_is_rolled_back_as_a_whole(self, database: Database) -> None:
        def fail() -> None:
            with database.write() as connection:
                connection.execute(a_key("a"))
                raise LookupError

        with pytest.raises(LookupError):
            fail()

        assert count(database, tables.signing_keys) == 0

    def test_a_broken_constraint_is_not_taken_for_a_broken_database(self, database: Database) -> None:
        def insert_twice() -> None:
            with database.write() as connection:
                connection.execute(a_key("a"))
                connection.execute(a_key("a"))

        with pytest.raises(IntegrityError):
            insert_twice()

    def test_writers_take_turns_and_lose_no_update(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(a_key("counter"))

        def add_ten() -> None:
            for _ in range(10):
                with database.write() as connection:
                    table = tables.signing_keys
                    query = sa.select(table.c.signs_from).where(table.c.kid == "counter").with_for_update()
                    known = connection.execute(query).scalar_one()
                    connection.execute(sa.update(table).values(signs_from=known + 1))

        threads = [threading.Thread(target=add_ten) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with database.read() as connection:
            assert connection.execute(sa.select(tables.signing_keys.c.signs_from)).scalar_one() == 40


class TestFailure:
    def test_a_database_that_answers(self, database: Database) -> None:
        database.ping()

    @pytest.mark.parametrize("url", ["sqlite:////proc/no/portal.db", "postgresql://postgres@/x?host=/nowhere"])
    def test_a_database_out_of_reach(self, url: str) -> None:
        database = Database(Secret(url))

        with pytest.raises(StoreUnavailable):
            database.upgrade()
        with pytest.raises(StoreUnavailable):
            database.ping()

    def test_a_file_that_is_not_a_database(self, tmp_path: Path) -> None:
        path = tmp_path / "portal.db"
        path.write_bytes(b"no database at all " * 100)
        database = Database(Secret(f"sqlite:///{path}"))

        with pytest.raises(StoreUnavailable):
            database.upgrade()
        with pytest.raises(StoreUnavailable), database.read() as connection:
            connection.execute(sa.select(tables.audit.c.id))

    @pytest.mark.parametrize("url", ["mysql://root@localhost/portal", "postgresql+asyncpg://a/b"])
    def test_other_databases_are_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="sqlite and postgresql"):
            Database(Secret(url))

    def test_postgresql_without_its_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The configuration sees that it is not there; a driver without PostgreSQL's library shows only here."""
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(StoreUnusable, match=r"pip install 'gradio-portal\[postgresql\]'"):
            Database(Secret("postgresql://postgres@/x?host=/nowhere"))

    def test_a_writer_that_blocks_for_too_long(self, tmp_path: Path) -> None:
        """
        The message is the driver's alone: statements and their values may hold personal data.
        """
        database = Database(Secret(f"sqlite:///{tmp_path / 'portal.db'}?timeout=0.05"))
        database.upgrade()
        other = sqlite3.connect(tmp_path / "portal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable) as caught, database.write():
            pass
        assert str(caught.value) == "OperationalError: database is locked"
        other.close()
        database.close()

    def test_a_database_that_takes_no_writes_does_not_answer_a_ping(
        self, database: Database, database_url: Secret
    ) -> None:
        """Reading goes on where a database is locked or read-only; ready it is not."""
        url, is_sqlite = database_url.reveal(), database_url.reveal().startswith("sqlite")
        database.ping()
        with database.write() as other:
            if not is_sqlite:
                other.exec_driver_sql("LOCK TABLE signing_keys IN EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable):
                database.ping()
        database.ping()
        if is_sqlite:
            with database.read() as connection:
                assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == BUSY_TIMEOUT * 1000
            return
        read_only = Database(Secret(f"{url}&options=-c%20default_transaction_read_only%3Don"))
        with pytest.raises(StoreUnavailable):
            read_only.ping()
        with read_only.read() as connection:
            connection.execute(sa.select(tables.audit.c.id))
        read_only.close()

    def test_postgresql_may_restart_while_the_portal_runs(self, database_url: Secret) -> None:
        if not database_url.reveal().startswith("postgresql"):
            return
        database = Database(database_url)
        database.ping()
        folder = Path(database_url.reveal().partition("?host=")[2])
        with postgresql.connect(folder) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")
        database.ping()
        database.close()


class TestFork:
    @pytest.mark.usefixtures("processes")
    def test_a_forked_worker_uses_connections_of_its_own(self, database: Database, tmp_path: Path) -> None:
        deployment = a_deployment(database, tmp_path)
        deployment.sign_in()
        process = multiprocessing.get_context("fork").Process(target=deployment.sign_in)
        process.start()
        process.join(60)

        assert process.exitcode == 0
        assert count(database, tables.sign_ins) == 2

    def test_connections_of_a_parent_process_are_not_used(self, database: Database) -> None:
        database.ping()
        of_parent = database._engine.pool
        database.leave_connections()

        assert database._engine.pool is not of_parent
        database.ping()

    def test_a_child_process_drops_connections_of_a_living_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        in_child: list[Callable[[], None]] = []
        monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: in_child.append(after_in_child))
        calls: list[int] = []

        class Store:
            def leave_connections(self) -> None:
                calls.append(1)

        store = Store()
        call_after_fork(store.leave_connections)
        in_child[0]()
        del store
        gc.collect()
        in_child[0]()
        assert calls == [1]
