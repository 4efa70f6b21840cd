"""Logout notifications to apps, from a transactional outbox: tried at once, then again with growing pauses.

Delivery is at least once: a guard ignores the second notification of a session.  A row is leased to
one worker at a time, so that two do not deliver it together.

Each app has its own task: one that hangs delays neither another's notifications nor the housekeeping.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

import sqlalchemy as sa

from portal.access.notifications import Notifier
from portal.access.revocation import LEASE, PendingNotification, Revocation
from portal.access.signing_keys import SigningKeys
from portal.clock import Clock, system_clock
from portal.errors import StoreUnavailable
from portal.settings import HOUR
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.retention import purge

_log: Final = logging.getLogger("portal.outbox")
GIVE_UP: Final = HOUR
"""For how long a notification is tried, in seconds.

A guard asks about each session in use every minute and stops after its grace period without an answer,
so it has long noticed what could not be delivered within an hour.
"""
LONGEST_PAUSE: Final = 60
_BATCH: Final = 16
"""Most notifications to one app at once."""
_MOST_BATCHES: Final = 64
"""Most batches of one task; the next task reads the clock again."""
_MOST_TASKS: Final = 64
"""Most apps that are notified at once."""
_INTERVAL: Final = 1.0
"""How often the background thread looks for due notifications, in seconds."""


class Outbox:
    """Notifies apps of the sessions that have ended."""

    def __init__(
        self,
        database: Database,
        keys: SigningKeys,
        notifier: Notifier,
        *,
        audit_retention: int,
        clock: Clock = system_clock,
        count: Callable[[int, int], None] = lambda _delivered, _failed: None,
        each_minute: Callable[[int], None] = lambda _now: None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._audit_retention = audit_retention
        self._clock = clock
        self._count = count
        self._each_minute = each_minute
        self._first: Callable[[int], None] | None = None
        self._notifier = notifier
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._housekeeping: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: dict[str, Future[None]] = {}
        """By app."""
        self._handed_over: deque[PendingNotification] = deque()
        self._purged_at: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether this process delivers in the background."""
        return self._thread is not None

    @contextmanager
    def transaction(self, *, deliver_at: int | None = None) -> Iterator[Revocation]:
        """Yield a transaction that revokes access; once it is committed, its notifications are delivered.

        With *deliver_at*, the time now, they are tried before this returns, for about two seconds; else by the
        background thread.  What fails is tried again later and never raises.

        Raises:
            StoreUnavailable: nothing was revoked.
        """
        with self._database.write() as connection:
            revocation = Revocation(connection)
            yield revocation
        if deliver_at is not None:
            self.deliver(revocation.notifications, now=deliver_at)
        # Where no background thread runs, another process takes them up when the lease ends.
        elif revocation.notifications and self.is_running:
            self._handed_over.extend(revocation.notifications)
            self._wake.set()

    def deliver(self, notifications: Sequence[PendingNotification], now: int) -> None:
        """Try each of *notifications* once, all together, for about two seconds; what fails is tried again later.

        Never raises: the revocations are committed, and the rows are in the outbox.
        """
        if not notifications:
            return
        try:
            delivered = self._notifier.notify(notifications, key=self._keys.signing_key(now), now=now)
            self._settle(
                notifications, delivered, attempts=dict.fromkeys((one.id for one in notifications), 1), now=now
            )
        except StoreUnavailable as error:
            _log.warning("notifications stay in the outbox: %s", error)
        except Exception:  # noqa: BLE001 - logged whole
            _log.exception("notifications stay in the outbox")

    def start(self, *, first: Callable[[int], None] | None = None) -> None:
        """Begin delivering in the background; once per process, after it was forked.

        *first* is called there once, and again each second for as long as it fails.
        """
        if self._thread is None or not self._thread.is_alive():  # a fork does not copy threads
            self._stop.clear()
            self._first = first
            self._tasks = {}
            self._pool = ThreadPoolExecutor(_MOST_TASKS, "portal-outbox-app")
            self._thread = threading.Thread(target=self._run, name="portal-outbox", daemon=True)
            self._thread.start()
            self._housekeeping = threading.Thread(
                target=self._run_housekeeping, name="portal-housekeeping", daemon=True
            )
            self._housekeeping.start()

    def stop(self) -> None:
        """Stop the background threads, and wait for the deliveries under way."""
        thread, self._thread = self._thread, None
        if thread is not None and self._housekeeping is not None and self._pool is not None:
            self._stop.set()
            self._wake.set()
            thread.join()
            self._housekeeping.join()
            self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._attempt(self._deliver_handed_over)
            self._attempt(self._start_tasks)
            self._wake.wait(_INTERVAL)
            self._wake.clear()

    def _run_housekeeping(self) -> None:
        while not self._stop.is_set():
            self._attempt(self._do_first)
            self._attempt(self._keep_house)
            self._stop.wait(_INTERVAL)

    def _attempt(self, task: Callable[[int], object]) -> None:
        try:
            task(self._clock())
        except StoreUnavailable as error:
            _log.warning("the outbox waits for the database: %s", error)
        except Exception:  # noqa: BLE001 - logged whole
            # The thread must survive an error of any one row.
            _log.exception("a task of the outbox failed")

    def _submit(self, task: Callable[[int], object]) -> "Future[None]":
        if self._pool is None:
            raise RuntimeError("the outbox was not started")
        return self._pool.submit(self._attempt, task)

    def _deliver_handed_over(self, _now: int) -> None:
        by_app: dict[str, list[PendingNotification]] = {}
        for _ in range(len(self._handed_over)):
            one = self._handed_over.popleft()
            by_app.setdefault(one.app, []).append(one)
        for notifications in by_app.values():
            self._submit(partial(self.deliver, notifications))

    def _start_tasks(self, now: int) -> None:
        """Start a task for each app that has due notifications and no task yet."""
        self._tasks = {app: task for app, task in self._tasks.items() if not task.done()}
        for app in self._apps_due(now):
            if app not in self._tasks:
                self._tasks[app] = self._submit(partial(self._deliver_to, app))

    def _deliver_to(self, app: str, now: int) -> int:
        """Try the due notifications of *app* until none is left or a batch fails; return how many rows were tried."""
        count = 0
        for _ in range(_MOST_BATCHES):
            attempts: dict[str, int] = {}
            notifications = self._claim(app, attempts, now)
            if not notifications:
                break
            count += len(notifications)
            delivered = self._notifier.notify(notifications, key=self._keys.signing_key(now), now=now)
            self._settle(notifications, delivered, attempts=attempts, now=now)
            if not delivered:
                self._postpone(app, until=now + pause_after(max(attempts.values())), now=now)
            if not delivered or len(notifications) < _BATCH or self._stop.is_set():
                break
        return count

    def _do_first(self, now: int) -> None:
        """Do what is due at the start; if it fails, it is tried again in a second."""
        if self._first is not None:
            self._first(now)
            self._first = None

    def _keep_house(self, now: int) -> None:
        """Rotate keys, and delete what is too old to keep, a little each minute."""
        if self._purged_at is None or not 0 <= now - self._purged_at < 60:  # noqa: PLR2004 - a minute
            self._purged_at = now
            self._keys.ensure(now)
            self._each_minute(now)
            purge(self._database, audit_retention=self._audit_retention, now=now)

    def _apps_due(self, now: int) -> list[str]:
        table = tables.outbox
        with self._database.read() as connection:  # an idle portal takes no write lock every second
            query = sa.select(table.c.app).where(table.c.due_at <= now).distinct().order_by(table.c.app)
            return list(connection.execute(query).scalars())

    def _claim(self, app: str, attempts: dict[str, int], now: int) -> tuple[PendingNotification, ...]:
        table = tables.outbox
        with self._database.write() as connection:
            due = sa.and_(table.c.app == app, table.c.due_at <= now)
            query = sa.select(table).where(due).order_by(table.c.due_at).limit(_BATCH)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            ids = [row.id for row in rows]
            lease = {"due_at": now + LEASE, "attempts": table.c.attempts + 1}
            connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(lease))
        attempts.update({row.id: row.attempts + 1 for row in rows})
        return tuple(PendingNotification(id=row.id, app=row.app, session=row.session) for row in rows)

    def _postpone(self, app: str, *, until: int, now: int) -> None:
        """Put off the other due notifications of *app*, which took none: a thousand rows need not each wait for it."""
        table = tables.outbox
        due = sa.and_(table.c.app == app, table.c.due_at <= now)
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(due, table.c.created_at <= now - GIVE_UP))
            connection.execute(sa.update(table).where(due).values(due_at=until))

    def _settle(
        self,
        notifications: Sequence[PendingNotification],
        delivered: frozenset[str],
        *,
        attempts: Mapping[str, int],
        now: int,
    ) -> None:
        table = tables.outbox
        failed = [one.id for one in notifications if one.id not in delivered]
        self._count(len(delivered), len(failed))
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.id.in_(delivered)))
            connection.execute(sa.delete(table).where(table.c.id.in_(failed), table.c.created_at <= now - GIVE_UP))
            for failed_id in failed:
                due = now + pause_after(attempts[failed_id])
                connection.execute(sa.update(table).where(table.c.id == failed_id).values(due_at=due))


def pause_after(attempts: int) -> int:
    """Return the pause after that many *attempts*, in seconds: 1, 2, 4 … 60."""
    return min(LONGEST_PAUSE, 1 << min(attempts - 1, 6))
