"""Access ends despite failures: an app that hangs or dies, a portal that is killed, a database that is locked, a race.

And no one else loses theirs.
"""

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import httpx
import pytest
import sqlalchemy as sa

from portal.access.revocation import RevocationReason, enqueue
from portal.machine.workers import children_of
from portal.rules.identity import Affiliation
from portal.storage import tables
from tests.builders import an_identity
from tests.journeys.serving import Person, Served, served, wait_until
from tests.journeys.workers import COOKIE
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")
APPS = ("forecast", "other")
DUE = 1000
"""Notifications that wait for an app which hangs."""
ROUNDS = 10


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("despite"), forecast="plain_asgi.py") as running:
        yield running


@pytest.fixture
def ana(running: Served) -> Person:
    return running.person()


@pytest.fixture(scope="module")
def ben(running: Served) -> Person:
    """Another person, who goes on all the while."""
    return running.person(an_identity(subject="ben", name="Ben", email="ben@example.com"))


@pytest.fixture(autouse=True)
def ben_goes_on(running: Served, ben: Person) -> Iterator[None]:
    yield
    for slug in APPS:
        wait_for_status(200, running, slug, ben)
    assert running.get("/", Cookie=f"{COOKIE}={ben.cookie}").status_code == 200


def status_at(running: Served, slug: str, person: Person) -> int:
    """Return how an app answers the cookies that *person* had."""
    port = running.ports[slug]
    headers = {"Host": f"{slug}.demo.localhost:{port}", "Cookie": person.own[slug], "Sec-Fetch-Site": "same-origin"}
    return httpx.get(f"http://127.0.0.1:{port}/", headers=headers, trust_env=False, timeout=PATIENCE).status_code


def wait_for_status(status: int, running: Served, slug: str, person: Person) -> None:
    wait_until(lambda: status_at(running, slug, person) == status, running)


def sign_out(running: Served, person: Person) -> int:
    """Sign *person* out, and return the status of the answer."""
    return post(running, person, "/sign-out", page="/sign-out")


def post(running: Served, person: Person, path: str, *, page: str, **form: str) -> int:
    """Submit a form of one of the portal's pages."""
    cookie = f"{COOKIE}={person.cookie}"
    csrf = re.search(r'name="csrf" value="([^"]+)"', running.get(page, Cookie=cookie).text)
    assert csrf is not None
    own = f"portal.demo.localhost:{running.port}"
    headers = {"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin", "Cookie": cookie}
    address = f"http://127.0.0.1:{running.port}{path}"
    return httpx.post(
        address, data={"csrf": csrf[1], **form}, headers=headers, trust_env=False, timeout=PATIENCE
    ).status_code


@contextmanager
def hanging(running: Served, slug: str) -> Iterator[int]:
    """Stop an app's process as it is, until the block ends; give its process id."""
    pid = running.apps()[slug].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def has_ended(running: Served, person: Person) -> bool:
    """Whether the database has ended everything of *person*'s."""
    opened, signed = tables.app_sessions, tables.sign_ins
    query = sa.select(opened.c.ended_at, signed.c.ended_at).join(signed, signed.c.id == opened.c.sign_in_id)
    with running.deployment.services.database.read() as connection:
        rows = connection.execute(query.where(opened.c.id.in_(person.sids.values()))).all()
    return len(rows) == len(person.sids) and all(None not in row for row in rows)


def nothing_answers(running: Served, person: Person, *slugs: str) -> None:
    """Wait until the cookies that *person* had are good for nothing at *slugs*, and see the same at the portal."""
    for slug in slugs or APPS:
        wait_for_status(401, running, slug, person)
    assert not any(running.is_active(slug, person.sids[slug]) for slug in APPS)
    assert running.get("/", Cookie=f"{COOKIE}={person.cookie}").status_code == 303


def test_an_app_that_hangs_delays_no_other(running: Served, ana: Person) -> None:
    with hanging(running, "forecast"):
        now = int(time.time())
        with running.deployment.services.database.write() as connection:
            enqueue(connection, [("forecast", f"gone-{number}") for number in range(DUE)], now=now)
            connection.execute(sa.update(tables.outbox).values(due_at=now))
        assert sign_out(running, ana) == 303
        nothing_answers(running, ana, "other")
        of_hanging = sa.and_(tables.outbox.c.app == "forecast", tables.outbox.c.attempts > 1)
        with running.deployment.services.database.read() as connection:
            tried = connection.execute(sa.select(sa.func.count()).where(of_hanging)).scalar_one()
        assert tried < DUE / 2
    nothing_answers(running, ana)


def test_an_app_that_dies_while_it_is_notified(running: Served, ana: Person) -> None:
    with hanging(running, "forecast") as pid:
        assert sign_out(running, ana) == 303
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: running.apps()["forecast"].pid not in {None, pid}, running)
    wait_until(lambda: running.apps()["forecast"].state == "running", running)

    nothing_answers(running, ana)


def test_a_portal_that_is_killed_while_it_notifies(running: Served, ana: Person) -> None:
    with hanging(running, "forecast"), ThreadPoolExecutor(1) as threads:
        signing_out = threads.submit(sign_out, running, ana)
        wait_until(lambda: has_ended(running, ana), running)
        killed = workers_of(running)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        with suppress(httpx.TransportError):
            signing_out.result()
    wait_until(lambda: not set(killed) & set(workers_of(running)), running)
    wait_until(lambda: running.get("/readyz").status_code == 200, running)

    nothing_answers(running, ana)


def test_a_notification_that_is_lost(running: Served, ana: Person) -> None:
    """
    The app asks by itself within a minute.
    """
    ended = {"ended_at": int(time.time()), "end_reason": RevocationReason.SIGNED_OUT.value}
    sessions = tables.app_sessions.c.id.in_(ana.sids.values())
    with running.deployment.services.database.write() as connection:
        sign_in_id = connection.execute(sa.select(tables.app_sessions.c.sign_in_id).where(sessions).distinct())
        connection.execute(sa.update(tables.app_sessions).where(sessions).values(ended))
        same = tables.sign_ins.c.id == sign_in_id.scalar_one()
        connection.execute(sa.update(tables.sign_ins).where(same).values(ended))

    nothing_answers(running, ana)


def test_a_database_that_is_locked_for_five_seconds(running: Served, ana: Person) -> None:
    """
    The answer is either a sign-out or an error page, and what it says is true.
    """
    with (
        ThreadPoolExecutor(1) as threads,
        closing(sqlite3.connect(running.folder / "data" / "portal.db", isolation_level=None, timeout=30)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        signing_out = threads.submit(sign_out, running, ana)
        time.sleep(5)
        other.execute("ROLLBACK")
        status = signing_out.result()
    assert status in {303, 503}
    if status == 503:
        assert all(running.is_active(slug, ana.sids[slug]) for slug in APPS)
        assert sign_out(running, ana) == 303

    nothing_answers(running, ana)


def test_a_sign_out_that_races_launches_and_redemptions(running: Served) -> None:
    for _ in range(ROUNDS):
        ana = running.person()
        together = threading.Barrier(2)

        def launch(cookie: str = ana.cookie, together: threading.Barrier = together) -> list[Person]:
            together.wait(PATIENCE)
            opened = []
            with suppress(AssertionError):  # refused from some moment on
                while True:
                    opened.append(running.opened(cookie))
            return opened

        with ThreadPoolExecutor(1) as threads:
            launching = threads.submit(launch)
            together.wait(PATIENCE)
            assert sign_out(running, ana) == 303
            opened = [ana, *launching.result()]

        for person in opened:
            nothing_answers(running, person)


def test_a_tenant_that_is_switched_in_another_tab(running: Served) -> None:
    acme, beta = (Affiliation(tenant=one, groups=frozenset({"AI-Analysts"})) for one in ("acme", "beta"))
    tess = running.person(an_identity(subject="tess", name="Tess", email="t@example.com", affiliations=(acme, beta)))
    slow = running.client("other", tess, Connection="close")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(slow.get, "/slowly")
        wait_until(lambda: running.apps()["other"].open.get("request") == 1, running)
        assert post(running, tess, "/tenant", page="/account", tenant=other_tenant(running, tess)) == 303
        with suppress(httpx.TransportError):  # it was cut
            assert waiting.result().status_code == 401

    for slug in APPS:
        wait_for_status(401, running, slug, tess)
    anew = running.opened(tess.cookie)
    assert [status_at(running, slug, anew) for slug in APPS] == [200, 200]


def other_tenant(running: Served, person: Person) -> str:
    """Return the tenant in which *person* is not."""
    query = sa.select(tables.sign_ins.c.tenant).join(
        tables.app_sessions, tables.app_sessions.c.sign_in_id == tables.sign_ins.c.id
    )
    with running.deployment.services.database.read() as connection:
        tenant = connection.execute(query.where(tables.app_sessions.c.id == person.sids["other"])).scalar_one()
    return "beta" if tenant == "acme" else "acme"


def workers_of(running: Served) -> list[int]:
    """Return the process ids of the portal's workers."""
    (master,) = running.children("gunicorn")
    return sorted(children_of(master))
