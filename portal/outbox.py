"""Pushes to apps, from a durable outbox: tried at once, then again with growing pauses.

Delivery is at least once; a guard that hears twice that a session ended does nothing the second
time.  A row is leased to one worker at a time, so that two do not deliver it together.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from portal import tables
from portal.clock import Clock, system_clock
from portal.database import Database
from portal.endings import LEASE, PendingPush
from portal.errors import StoreUnavailable
from portal.keys import SigningKeys
from portal.pushing import Pusher
from portal.retention import purge
from portal.settings import HOUR, Settings

_log: Final = logging.getLogger("portal.outbox")
GIVE_UP: Final = HOUR
"""For how long a push is tried, in seconds.

A guard asks about each session in use every minute and stops after its grace period without an answer,
so what could not be told after an hour has long been noticed.
"""
LONGEST_PAUSE: Final = 60
_BATCH: Final = 64
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
        self._pusher = Pusher(settings.catalogue, issuer=settings.url, outbound=settings.outbound)
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._handed_over: deque[PendingPush] = deque()
        self._purged_at: int | None = None

    def deliver(self, pushes: Sequence[PendingPush], *, now: int) -> None:
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
        """Try what is due; return how many rows were taken up.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        attempts: dict[str, int] = {}
        pushes = self._claim(attempts, now)
        if pushes:
            delivered = self._pusher.push(pushes, key=self._keys.signing_key(now), now=now)
            self._settle(pushes, delivered, attempts=attempts, now=now)
        return len(pushes)

    def hand_over(self, pushes: Sequence[PendingPush]) -> None:
        """Leave *pushes*, which are committed and leased to this process, to the background thread, at once.

        Where none runs here, another process takes them up when the lease ends.
        """
        if pushes and self._thread is not None:
            self._handed_over.extend(pushes)
            self._wake.set()

    def start(self) -> None:
        """Begin delivering in the background; once per process, after it was forked."""
        if self._thread is None or not self._thread.is_alive():  # a fork takes no thread along
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="portal-outbox", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the background thread, and wait for the delivery it is at."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping = True
            self._wake.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopping:
            for task in (self._deliver_handed_over, self._deliver_all_due, self._keep_house):
                self._attempt(task)
            self._wake.wait(_LOOK)
            self._wake.clear()

    def _attempt(self, task: Callable[[int], object]) -> None:
        try:
            task(self._clock())
        except StoreUnavailable as error:
            _log.warning("the outbox waits for the database: %s", error)
        except Exception:  # noqa: BLE001 - logged whole
            # The thread must outlive whatever one row does to it.
            _log.exception("a task of the outbox failed")

    def _deliver_handed_over(self, now: int) -> None:
        pushes = [self._handed_over.popleft() for _ in range(len(self._handed_over))]
        self.deliver(pushes, now=now)

    def _deliver_all_due(self, now: int) -> None:
        # Nothing tried in this second is due again in it, so this ends.
        while self.deliver_due(now) == _BATCH and not self._stopping:
            now = self._clock()

    def _keep_house(self, now: int) -> None:
        """Rotate keys where it is time, and drop what is too old to keep, a little each minute."""
        if self._purged_at is None or not 0 <= now - self._purged_at < 60:  # noqa: PLR2004 - a minute
            self._purged_at = now
            self._keys.ensure(now)
            self._beside(now)
            purge(self._database, now=now)

    def _claim(self, attempts: dict[str, int], now: int) -> tuple[PendingPush, ...]:
        table = tables.outbox
        due = table.c.due_at <= now
        with self._database.read() as connection:  # an idle portal takes no write lock every second
            if connection.execute(sa.select(table.c.id).where(due).limit(1)).first() is None:
                return ()
        with self._database.write() as connection:
            query = sa.select(table).where(due).order_by(table.c.due_at).limit(_BATCH)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            ids = [row.id for row in rows]
            lease = {"due_at": now + LEASE, "attempts": table.c.attempts + 1}
            connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(lease))
        attempts.update({row.id: row.attempts + 1 for row in rows})
        return tuple(PendingPush(id=row.id, app=row.app, session=row.session) for row in rows)

    def _settle(
        self, pushes: Sequence[PendingPush], delivered: frozenset[str], *, attempts: Mapping[str, int], now: int
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
