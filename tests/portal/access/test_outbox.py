"""The outbox: at once, then again, never lost, never by two at once, and not for ever."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.access.audit_events import AuditEvent
from portal.access.notifications import Notifier
from portal.access.outbox import GIVE_UP, Outbox, pause_after
from portal.access.revocation import LEASE, PendingNotification, RevocationReason, enqueue
from portal.errors import StoreUnavailable
from portal.rules.catalogue import Catalogue
from portal.settings import Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import NOW, PORTAL, an_app
from tests.portal.access.listening_app import ListeningApp, listening
from tests.portal.store_deployment import Deployment, a_deployment, impatient


@pytest.fixture
def app() -> Iterator[ListeningApp]:
    with listening() as listener:
        yield listener


@pytest.fixture
def deployment(database: Database, tmp_path: Path, app: ListeningApp) -> Deployment:
    spec = an_app(url=f"http://forecast.demo.localhost:{app.port}")
    return a_deployment(database, tmp_path, notifier=Notifier, catalogue=Catalogue((spec,)))


def enqueue_one(deployment: Deployment) -> tuple[PendingNotification, ...]:
    with deployment.database.write() as connection:
        return enqueue(connection, [("forecast", "session")], now=NOW)


def another_outbox(deployment: Deployment, clock: Callable[[], int], **changes: Any) -> Outbox:
    """Return an outbox of the same database with a clock of its own."""
    notifier = Notifier(deployment.settings.catalogue, issuer=PORTAL)
    kept = deployment.settings.audit_retention
    return Outbox(deployment.database, deployment.keys, notifier, audit_retention=kept, clock=clock, **changes)


def deliver_due(deployment: Deployment, now: int) -> int:
    """Try what is due, one app after the other, without a background thread; return how many rows were tried."""
    outbox = deployment.outbox
    return sum(outbox._deliver_to(app, now) for app in outbox._apps_due(now))


def void(_: object) -> None:
    """Forget what was waited for."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_revocation_delivers_its_own_notifications(deployment: Deployment, app: ListeningApp) -> None:
    begun = deployment.sign_in()
    deployment.open(begun)
    deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

    assert len(app.received) == 1
    assert deployment.rows(tables.outbox) == []


def test_without_notifications_nothing_is_written(deployment: Deployment) -> None:
    deployment.outbox.deliver((), now=NOW)

    assert deployment.rows(tables.signing_keys) == []
    assert deliver_due(deployment, NOW) == 0


def test_what_fails_is_tried_again_with_growing_pauses(deployment: Deployment, app: ListeningApp) -> None:
    app.status = 503
    deployment.outbox.deliver(enqueue_one(deployment), now=NOW)
    tried, now = [], NOW
    for now in range(NOW, NOW + 200):
        if deliver_due(deployment, now):
            tried.append(now - NOW)

    assert tried == [1, 3, 7, 15, 31, 63, 123, 183]
    app.status = 204
    assert deliver_due(deployment, now + 60) == 1
    assert deployment.rows(tables.outbox) == []


def test_the_pauses_grow_to_a_minute() -> None:
    assert [pause_after(attempts) for attempts in (1, 2, 3, 6, 7, 8, 1000)] == [1, 2, 4, 32, 60, 60, 60]


def test_what_cannot_be_delivered_is_given_up(deployment: Deployment, app: ListeningApp) -> None:
    app.status = 503
    deployment.outbox.deliver(enqueue_one(deployment), now=NOW)

    deliver_due(deployment, NOW + GIVE_UP - 1)
    assert len(deployment.rows(tables.outbox)) == 1
    deliver_due(deployment, NOW + GIVE_UP + 60)
    assert deployment.rows(tables.outbox) == []


def test_notifications_behind_it_are_given_up_too(deployment: Deployment, app: ListeningApp) -> None:
    app.status = 503
    with deployment.database.write() as connection:
        enqueue(connection, [("forecast", f"session-{number}") for number in range(50)], now=NOW)
    deliver_due(deployment, NOW + LEASE)
    assert (len(deployment.rows(tables.outbox)), len(app.received)) == (50, 16)
    deliver_due(deployment, NOW + GIVE_UP + 60)
    assert deployment.rows(tables.outbox) == []


def test_an_app_that_left_the_catalogue_is_forgotten(deployment: Deployment) -> None:
    with deployment.database.write() as connection:
        notifications = enqueue(connection, [("gone", "session-1")], now=NOW)
    deployment.outbox.deliver(notifications, now=NOW)

    assert deployment.rows(tables.outbox) == []


def test_what_one_worker_is_at_another_leaves_alone_until_the_lease_ends(
    deployment: Deployment, app: ListeningApp
) -> None:
    """
    The first died between the commit and the delivery.
    """
    enqueue_one(deployment)

    assert deliver_due(deployment, NOW + LEASE - 1) == 0
    assert app.received == []
    assert deliver_due(deployment, NOW + LEASE) == 1
    assert len(app.received) == 1


def test_two_workers_do_not_deliver_the_same_row(
    deployment: Deployment, app: ListeningApp, database_url: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may need more than two seconds for an answer, and more than half a second until the last of a round
    # begins: what timed out would be delivered again, and what did not begin would wait for the next round.
    monkeypatch.setattr("portal.access.notifications.EACH", 60.0)
    monkeypatch.setattr("portal.access.notifications.ALL", 120.0)
    with deployment.database.write() as connection:
        enqueue(connection, [("forecast", f"session-{number}") for number in range(30)], now=NOW)
    workers = [
        deployment,
        *(
            a_deployment(Database(database_url), tmp_path, notifier=Notifier, catalogue=deployment.settings.catalogue)
            for _ in range(3)
        ),
    ]
    barrier = threading.Barrier(len(workers))

    def deliver(worker: Deployment) -> None:
        worker.keys.ensure(NOW)
        barrier.wait()
        deliver_due(worker, NOW + LEASE)

    threads = [threading.Thread(target=deliver, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(app.received) == 30
    assert deployment.rows(tables.outbox) == []
    for worker in workers:
        worker.database.close()


def test_a_machine_without_threads_keeps_a_revocation_from_failing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What was revoked stays so, and the caller goes on: a sign-in that has begun keeps its browser session.
    """

    def notify(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    begun = deployment.sign_in()
    deployment.open(begun)
    monkeypatch.setattr(Notifier, "notify", notify)
    deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

    assert deployment.sign_ins.find(begun.id, now=NOW) is None
    assert len(deployment.rows(tables.outbox)) == 1
    assert "stay in the outbox" in caplog.text


def test_a_broken_database_keeps_a_sign_out_from_failing(
    deployment: Deployment, database_url: Secret, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifications = enqueue_one(deployment)
    hurried = a_deployment(
        Database(impatient(database_url)), tmp_path, notifier=Notifier, catalogue=deployment.settings.catalogue
    )
    hurried.keys.ensure(NOW)
    with deployment.database.write() as connection:
        # Whoever would settle the row waits in vain.
        connection.execute(tables.outbox.update().values(attempts=1))
        hurried.outbox.deliver(notifications, now=NOW)

    assert "stay in the outbox" in caplog.text
    assert len(deployment.rows(tables.outbox)) == 1
    hurried.database.close()


class TestBackground:
    def test_it_delivers_what_is_due(self, deployment: Deployment, app: ListeningApp) -> None:
        enqueue_one(deployment)
        outbox = another_outbox(deployment, lambda: NOW + LEASE)
        outbox.start()
        outbox.start()
        try:
            until(lambda: deployment.rows(tables.outbox) == [])
        finally:
            outbox.stop()
        outbox.stop()

        assert len(app.received) == 1

    def test_it_delivers_at_once_what_is_handed_over(self, deployment: Deployment, app: ListeningApp) -> None:
        """
        A session that ended while an app asked about it: nobody waits for the notification, nor for a lease.
        """
        begun = deployment.sign_in()
        sid = deployment.open(begun)
        deployment.outbox.start()
        try:
            deployment.app_sessions.renew(sid, app=an_app(open_to=frozenset()), now=NOW)
            until(lambda: deployment.rows(tables.outbox) == [])
        finally:
            deployment.outbox.stop()

        assert len(app.received) == 1

    def test_it_delivers_more_than_one_batch(self, deployment: Deployment, app: ListeningApp) -> None:
        with deployment.database.write() as connection:
            enqueue(connection, [("forecast", f"session-{number}") for number in range(150)], now=NOW - LEASE)
        deployment.outbox.start()
        try:
            # A notification that times out on a slow machine would wait for ever: the clock stands still here.
            until(lambda: all(row["attempts"] for row in deployment.rows(tables.outbox)))
        finally:
            deployment.outbox.stop()

        waiting = len(deployment.rows(tables.outbox))
        assert waiting < 150
        assert len(set(app.tokens)) >= 150 - waiting

    def test_it_does_the_housekeeping(self, deployment: Deployment) -> None:
        deployment.audit.record(AuditEvent.SIGNED_IN, now=0)
        deployment.outbox.start()
        try:
            until(lambda: deployment.rows(tables.audit) == [] and len(deployment.rows(tables.signing_keys)) == 1)
        finally:
            deployment.outbox.stop()

    def test_it_calls_each_minute(self, deployment: Deployment) -> None:
        moments: list[int] = []
        outbox = another_outbox(deployment, lambda: NOW, each_minute=moments.append)
        outbox.start()
        try:
            until(lambda: moments == [NOW])
        finally:
            outbox.stop()

    def test_an_app_that_hangs_delays_neither_another_nor_the_housekeeping(
        self, database: Database, tmp_path: Path, app: ListeningApp
    ) -> None:
        many, over = 1000, threading.Event()
        with listening() as hanging:
            hanging.before = lambda _: void(over.wait(60))
            catalogue = Catalogue(
                (
                    an_app(url=f"http://forecast.demo.localhost:{app.port}"),
                    an_app(slug="hung", url=f"http://hung.demo.localhost:{hanging.port}"),
                )
            )
            deployment = a_deployment(database, tmp_path, notifier=Notifier, catalogue=catalogue)
            deployment.audit.record(AuditEvent.SIGNED_IN, now=0)
            with database.write() as connection:
                enqueue(connection, [("hung", f"session-{number}") for number in range(many)], now=NOW - 2 * LEASE)
                enqueue(connection, [("forecast", "session")], now=NOW - LEASE)
            deployment.outbox.start()
            try:
                until(lambda: len(app.received) == 1 and deployment.rows(tables.audit) == [])
                assert len(hanging.received) < 100  # it was not worked off first
                # Nor does each of its rows wait for it: what it did not take, the others need not try.
                until(lambda: all(row["due_at"] > NOW for row in deployment.rows(tables.outbox)))
                assert len(hanging.received) < 100
                assert len(deployment.rows(tables.outbox)) == many
            finally:
                over.set()
                deployment.outbox.stop()

    def test_it_outlives_a_broken_database(self, deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
        failures: list[Exception] = [StoreUnavailable("away"), RuntimeError("odd")]

        def failing_clock() -> int:
            if failures:
                raise failures.pop()
            return NOW + LEASE

        enqueue_one(deployment)
        caplog.set_level(logging.WARNING, "portal.outbox")
        outbox = another_outbox(deployment, failing_clock)
        outbox.start()
        try:
            until(lambda: deployment.rows(tables.outbox) == [])
        finally:
            outbox.stop()

        assert "waits for the database" in caplog.text
        assert "failed" in caplog.text
