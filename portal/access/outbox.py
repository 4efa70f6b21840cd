"""Pushes to apps, from a durable outbox: tried at once, then again with growing pauses.

Delivery is at least once; a guard that hears twice that a session ended does nothing the second
time.  A row is leased to one worker at a time, so that two do not deliver it together.

Each app has a lane of its own: one that hangs delays no other's pushes, nor what is done once a minute.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final

import sqlalchemy as sa

from portal.access.notifications import Notifier
from portal.access.revocation import LEASE, PendingNotification
from portal.access.signing_keys import SigningKeys
from portal.clock import Clock, system_clock
from portal.errors import StoreUnavailable
from portal.settings import HOUR, Settings
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.retention import purge

_log: Final = logging.getLogger("portal.outbox")
GIVE_UP: Final = HOUR
"""For how long a push is tried, in seconds.

A guard asks about each session in use every minute and stops after its grace period without an answer,
so what could not be told after an hour has long been noticed.
"""
LONGEST_PAUSE: Final = 60
_BATCH: Final = 16
"""Most pushes to one app at once."""
_MOST_BATCHES: Final = 64
"""Most of them before the lane is opened anew, with the time that it is then."""
_MOST_LANES: Final = 64
"""Most apps that are notified at once."""
_LOOK: Final = 1.0
"""How often the background thread looks for what is due, in seconds."""


class Outbox:
    """Tells apps which of their sessions have ended."""

    def __init__(
        self,
        database: Database,
        keys: SigningKeys,
        settings: Settings,
        *,
        clock: Clock = system_clock,
        counted: Callable[[int, int], None] = lambda _delivered, _failed: None,
        beside: Callable[[int], None] = lambda _now: None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._counted = counted
        self._beside = beside
        self._pusher = Notifier(settings.catalogue, issuer=settings.url, egress=settings.egress)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._deployment: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lanes: dict[str, Future[None]] = {}
        """By app."""
        self._handed_over: deque[PendingNotification] = deque()
        self._purged_at: int | None = None

    def deliver(self, pushes: Sequence[PendingNotification], *, now: int) -> None:
        """Try each of *pushes* once, all together, for about two seconds; what fails is tried again later.

        Never raises: the endings are committed, and the rows are in the outbox.
        """
        if not pushes:
            return
        try:
            delivered = self._pusher.push(pushes, key=self._keys.signing_key(now), now=now)
            self._settle(pushes, delivered, attempts=dict.fromkeys((push.id for push in pushes), 1), now=now)
        except StoreUnavailable as error:
            _log.warning("pushes stay in the outbox: %s", error)

    def deliver_due(self, now: int) -> int:
        """Try what is due, one app after the other; return how many rows were taken up.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        return sum(self._work_off(app, now) for app in self._apps_due(now))

    def hand_over(self, pushes: Sequence[PendingNotification]) -> None:
        """Leave *pushes*, which are committed and leased to this process, to the background thread, at once.

        Where none runs here, another process takes them up when the lease ends.
        """
        if pushes and self._thread is not None:
            self._handed_over.extend(pushes)
            self._wake.set()

    def start(self) -> None:
        """Begin delivering in the background; once per process, after it was forked."""
        if self._thread is None or not self._thread.is_alive():  # a fork takes no thread along
            self._stop.clear()
            self._lanes = {}
            self._pool = ThreadPoolExecutor(_MOST_LANES, "portal-outbox-lane")
            self._thread = threading.Thread(target=self._run, name="portal-outbox", daemon=True)
            self._thread.start()
            self._deployment = threading.Thread(target=self._run_deployment, name="portal-housekeeping", daemon=True)
            self._deployment.start()

    def stop(self) -> None:
        """End the background threads, and wait for the deliveries they are at."""
        thread, self._thread = self._thread, None
        if thread is not None and self._deployment is not None and self._pool is not None:
            self._stop.set()
            self._wake.set()
            thread.join()
            self._deployment.join()
            self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._attempt(self._deliver_handed_over)
            self._attempt(self._open_lanes)
            self._wake.wait(_LOOK)
            self._wake.clear()

    def _run_deployment(self) -> None:
        while not self._stop.is_set():
            self._attempt(self._keep_house)
            self._stop.wait(_LOOK)

    def _attempt(self, task: Callable[[int], object]) -> None:
        try:
            task(self._clock())
        except StoreUnavailable as error:
            _log.warning("the outbox waits for the database: %s", error)
        except Exception:  # noqa: BLE001 - logged whole
            # The thread must outlive whatever one row does to it.
            _log.exception("a task of the outbox failed")

    def _submit(self, task: Callable[[int], object]) -> "Future[None]":
        if self._pool is None:
            raise RuntimeError("the outbox was not started")
        return self._pool.submit(self._attempt, task)

    def _deliver_handed_over(self, _now: int) -> None:
        by_app: dict[str, list[PendingNotification]] = {}
        for _ in range(len(self._handed_over)):
            push = self._handed_over.popleft()
            by_app.setdefault(push.app, []).append(push)
        for pushes in by_app.values():
            self._submit(partial(self._deliver_at, pushes))

    def _deliver_at(self, pushes: Sequence[PendingNotification], now: int) -> None:
        self.deliver(pushes, now=now)

    def _open_lanes(self, now: int) -> None:
        """Have the pushes of each app that has some due worked off, beside the others'."""
        self._lanes = {app: lane for app, lane in self._lanes.items() if not lane.done()}
        for app in self._apps_due(now):
            if app not in self._lanes:
                self._lanes[app] = self._submit(partial(self._work_off, app))

    def _work_off(self, app: str, now: int) -> int:
        """Try what is due of *app*, until nothing is, or it takes nothing; return how many rows were taken up."""
        taken = 0
        for _ in range(_MOST_BATCHES):
            attempts: dict[str, int] = {}
            pushes = self._claim(app, attempts, now)
            if not pushes:
                break
            taken += len(pushes)
            delivered = self._pusher.push(pushes, key=self._keys.signing_key(now), now=now)
            self._settle(pushes, delivered, attempts=attempts, now=now)
            if not delivered:
                self._postpone(app, until=now + pause_after(max(attempts.values())), now=now)
            if not delivered or len(pushes) < _BATCH or self._stop.is_set():
                break
        return taken

    def _keep_house(self, now: int) -> None:
        """Rotate keys where it is time, and drop what is too old to keep, a little each minute."""
        if self._purged_at is None or not 0 <= now - self._purged_at < 60:  # noqa: PLR2004 - a minute
            self._purged_at = now
            self._keys.ensure(now)
            self._beside(now)
            purge(self._database, now=now)

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
        """Leave what else is due of *app*, which took nothing: a thousand rows need not each wait for it."""
        table = tables.outbox
        due = sa.and_(table.c.app == app, table.c.due_at <= now)
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(due, table.c.created_at <= now - GIVE_UP))
            connection.execute(sa.update(table).where(due).values(due_at=until))

    def _settle(
        self, pushes: Sequence[PendingNotification], delivered: frozenset[str], *, attempts: Mapping[str, int], now: int
    ) -> None:
        table = tables.outbox
        failed = [push for push in pushes if push.id not in delivered]
        self._counted(len(delivered), len(failed))
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.id.in_(delivered)))
            given_up = sa.delete(table).where(
                table.c.id.in_([push.id for push in failed]), table.c.created_at <= now - GIVE_UP
            )
            connection.execute(given_up)
            for push in failed:
                due = now + pause_after(attempts[push.id])
                connection.execute(sa.update(table).where(table.c.id == push.id).values(due_at=due))


def pause_after(attempts: int) -> int:
    """Return how long to wait after that many *attempts*, in seconds: 1, 2, 4 … 60."""
    return min(LONGEST_PAUSE, 1 << min(attempts - 1, 6))
