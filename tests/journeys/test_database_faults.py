"""A database that is locked or gone under a real gunicorn, or full or read-only: 503, and back by itself."""

import json
import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from tests.journeys.workers import WORKERS, Portal, running_portal, wait_until
from tests.portal.web.deployment import NAVIGATION, Deployment
from tests.provider.browser import state_in

MORE_THAN_THERE_ARE = 6
"""Requests in a row: enough that both workers, and several of their connections, get their turn."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running_portal(tmp_path_factory.mktemp("workers")) as portal:
        yield portal


@pytest.fixture
def cookie(portal: Portal) -> str:
    return portal.signed_in()


@pytest.fixture
def session(portal: Portal, cookie: str) -> str:
    """An app session that lives."""
    answer = portal.ask({"token": portal.ticket(cookie), "token_type_hint": HINT_TICKET}).json()
    assert answer["active"] is True
    return str(answer["sid"])


def is_a_page_that_says_so(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Reference" in answer.text
    assert "Traceback" not in answer.text
    assert "portal.db" not in answer.text


def is_json_that_says_so(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert json.loads(answer.text)["error"] == "store-unavailable"


def says_what_is_missing(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and "database" in answer.json()["missing"]


def database_up(portal: Portal) -> bool:
    return "portal_database_up 1.0" in portal.get("/metrics").text


@contextmanager
def without_room(portal: Portal) -> Iterator[None]:
    """Have no file of the workers grow, nor be written beyond its first bytes, as on a disk that is full."""
    pids = portal.serving()
    usual = [resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)) for pid in pids]
    try:
        yield
    finally:
        for pid, limits in zip(pids, usual, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def works_again(portal: Portal, cookie: str, session: str) -> None:
    """Both workers, without anybody's doing; the sign-in and the app session are what they were."""
    wait_until(lambda: portal.get("/readyz").status_code == 200, portal)
    for _ in range(MORE_THAN_THERE_ARE):
        assert portal.get("/", cookie=cookie).status_code == 200
        assert portal.ask({"token": session, "token_type_hint": HINT_APP_SESSION}).json()["active"] is True
    portal.ticket(cookie)


@pytest.mark.usefixtures("journey")
class TestUnderGunicorn:
    def test_locked(self, portal: Portal, cookie: str, session: str) -> None:
        ticket = portal.ticket(cookie)
        with closing(sqlite3.connect(portal.data / "portal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            is_a_page_that_says_so(portal.get("/apps/forecast/.portal/launch", cookie=cookie, **NAVIGATION))
            is_json_that_says_so(portal.ask({"token": ticket, "token_type_hint": HINT_TICKET}))
            wait_until(lambda: says_what_is_missing(portal.get("/readyz")), portal)
            assert not database_up(portal)
            # What only reads goes on: another writer is in nobody's way.
            assert portal.get("/", cookie=cookie).status_code == 200
            assert portal.ask({"token": session, "token_type_hint": HINT_APP_SESSION}).json()["active"] is True
        works_again(portal, cookie, session)

    def test_full(self, portal: Portal, cookie: str, session: str) -> None:
        assert database_up(portal)
        with without_room(portal):
            is_a_page_that_says_so(portal.get("/apps/forecast/.portal/launch", cookie=cookie, **NAVIGATION))
            # Each worker keeps its last answer for a moment, so one that names nothing may still follow one that does.
            wait_until(lambda: portal.get("/readyz").json()["missing"] == ["database", "sessions"], portal)
            assert not database_up(portal)
            assert portal.get("/healthz").status_code == 200
        wait_until(lambda: database_up(portal), portal)
        works_again(portal, cookie, session)

    @pytest.mark.parametrize("gone", ["the file", "the folder"])
    def test_gone(self, portal: Portal, cookie: str, session: str, gone: str) -> None:
        away = portal.data.with_name("away")
        if gone == "the folder":
            portal.data.rename(away)
        else:
            away.mkdir()
            for file in portal.data.glob("portal.db*"):
                file.rename(away / file.name)
        try:
            for _ in range(MORE_THAN_THERE_ARE):
                is_a_page_that_says_so(portal.get("/", cookie=cookie))
                is_json_that_says_so(portal.ask({"token": session, "token_type_hint": HINT_APP_SESSION}))
            wait_until(
                lambda: says_what_is_missing(portal.get("/readyz")), portal
            )  # each worker keeps its last for a moment
            assert portal.get("/healthz").status_code == 200
            # Nothing empty was made in its place, which would have to be found and removed first.
            assert not (portal.data / "portal.db").exists()
            assert portal.data.exists() == (gone == "the file")
        finally:
            if gone == "the folder":
                away.rename(portal.data)
            else:
                for file in away.iterdir():
                    file.rename(portal.data / file.name)
                away.rmdir()
        works_again(portal, cookie, session)

    def test_exchanged_for_a_copy(self, portal: Portal, cookie: str, session: str) -> None:
        """Nobody goes on writing into the one that was deleted."""
        file = portal.data / "portal.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(file, portal.data / "copy")
        for old in portal.data.glob("portal.db-*"):
            old.unlink()
        (portal.data / "copy").replace(file)
        works_again(portal, cookie, session)
        ticket = portal.ticket(cookie)
        opened = portal.ask({"token": ticket, "token_type_hint": HINT_TICKET}).json()["sid"]

        with closing(sqlite3.connect(file)) as connection:
            assert (opened,) in connection.execute("SELECT id FROM app_sessions").fetchall()


@pytest.mark.usefixtures("journey")
@pytest.mark.parametrize("problem", ["locked", "gone"])
def test_a_worker_that_starts_meanwhile_waits_and_stops_nobody(tmp_path: Path, problem: str) -> None:
    """Gunicorn gives up altogether when an app cannot be loaded; a database that is away must not look like that."""
    with running_portal(tmp_path) as portal:
        cookie = portal.signed_in()
        file = portal.data / "portal.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            if problem == "locked":
                other.execute("BEGIN IMMEDIATE")
            else:
                file.rename(file.with_name("away"))
            victim = portal.workers()[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: "The portal waits for its database" in (tmp_path / "portal.log").read_text(), portal)
            assert portal.get("/healthz").status_code == 200
            if problem == "gone":
                assert not file.exists()
                file.with_name("away").rename(file)
        wait_until(lambda: victim not in portal.serving() and len(portal.serving()) == WORKERS, portal)
        for _ in range(MORE_THAN_THERE_ARE):
            assert portal.get("/", cookie=cookie).status_code == 200


@contextmanager
def every_connection(deployment: Deployment, pragma: str, after: str) -> Iterator[None]:
    """Have *pragma* on every connection of the portal's database, and *after* when the block ends."""
    database = deployment.services.database

    def apply(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute(f"PRAGMA {chosen}")

    chosen = pragma
    event.listen(database._engine, "checkout", apply)
    try:
        yield
        chosen = after
        database.ping()
    finally:
        event.remove(database._engine, "checkout", apply)


PROBLEMS = {
    "full": ("max_page_count = 1", "max_page_count = 1000000"),
    "read-only": ("query_only = ON", "query_only = OFF"),
}


@pytest.mark.parametrize(("pragma", "after"), PROBLEMS.values(), ids=PROBLEMS)
def test_nothing_can_be_written(tmp_path: Path, pragma: str, after: str) -> None:
    deployment = Deployment(tmp_path)
    browser = deployment.signed_in()
    ticket = deployment.launched(browser)
    form = {"token": ticket, "token_type_hint": HINT_TICKET}
    secret = deployment.services.credentials.secret_of("forecast").reveal()
    with every_connection(deployment, pragma, after):
        statuses = []
        for _ in range(300):  # a full database has room in its last pages for a while
            answer = browser.get("/apps/forecast/.portal/launch", headers=NAVIGATION)
            statuses.append(answer.status_code)
            if answer.status_code != 200:
                break
        is_a_page_that_says_so(answer)
        assert set(statuses) <= {200, 503}
        # What is signed in is seen as signed in.
        assert browser.get("/").status_code == 200
        if pragma.startswith("query_only"):
            is_json_that_says_so(deployment.ask("forecast", "/oauth/introspect", form, secret=secret))
        if pragma.startswith("query_only"):
            assert deployment.browser().get("/readyz").get_json()["missing"] == ["database"]
        state = state_in(browser.get("/auth/oauth/company").headers["Location"])
        answer = browser.get("/auth/oauth/company/callback", query_string={"state": state, "code": "code"})
        assert answer.status_code in {303, 503}
    assert browser.get("/").status_code == 200
    assert deployment.ask("forecast", "/oauth/introspect", form).get_json()["active"] is True
    deployment.launched(browser)
    deployment.signed_in()
