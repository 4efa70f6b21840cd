"""App sessions: a cache of the portal's answers, renewed while in use, ended at once.

The portal decides; an unknown session is looked up there.  An ended session, known or not, is remembered until no
ticket for it can be valid.  While the portal is away, sessions continue for the grace period and are not forgotten
after it.  If this process cannot ask, there is no grace: an answer is good for :data:`MAX_AGE`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gradio_apps.runtime.guard.portal_client import CannotAsk, PortalAway, PortalClient
from gradio_apps.runtime.guard.running_requests import RunningRequest
from portal.contract import Active, Inactive, Introspection, Person
from portal.contract.tickets import LEEWAY, MAX_LIFETIME

log = logging.getLogger("gradio_portal.guard")

RENEW_AFTER: Final = 45
"""Age of an answer from which a session in use is renewed in the background, in seconds."""
MAX_AGE: Final = 60
"""Age of an answer from which a request waits for the next one, in seconds."""
GRACE: Final = 300
"""How long sessions continue while the portal is away, in seconds."""
RETRY: Final = 5
"""Pause between two attempts for one session while the portal is away, in seconds."""
RETRY_OWN: Final = 1
"""The same if this process could not ask."""
ENDED_KEPT: Final = MAX_LIFETIME + 2 * LEEWAY + 60
"""How long an ended session is remembered, in seconds: longer than any ticket for it can verify."""
IDLE_KEPT: Final = 3600
"""How long an unused session stays in memory, in seconds; its cookie brings it back."""
SWEEP_EVERY: Final = 1.0


class AppSession:
    """One person in this app, by the portal's last answer."""

    __slots__ = ("checked_at", "could_not_ask", "failing_since", "person", "retry_at", "running", "sid", "used_at")

    def __init__(self, sid: str, person: Person, *, now: float) -> None:
        self.sid = sid
        self.person = person
        self.checked_at = now
        """When the portal was asked for its last answer."""
        self.used_at = now
        self.failing_since: float | None = None
        """When the portal first did not answer."""
        self.could_not_ask = False
        """Whether this process could not ask, last time."""
        self.retry_at = now
        self.running: set[RunningRequest] = set()

    @property
    def in_use(self) -> bool:
        """Whether there was a request since the last answer, or one runs now; an open tab alone does not count."""
        return self.used_at > self.checked_at or any(not running.idle for running in self.running)


class Sessions:
    """The app sessions of one process."""

    def __init__(
        self, client: PortalClient, *, clock: Callable[[], float], on_end: Callable[[str], None] = lambda _: None
    ) -> None:
        self._client = client
        self._clock = clock
        self._on_end = on_end
        self._live: dict[str, AppSession] = {}
        self._ended: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._away_since: float | None = None
        self._sweeper: asyncio.Task[None] | None = None

    def fresh(self, sid: str) -> AppSession | None:
        """Return the session if its answer is fresh, as for almost every request; else ``None``."""
        session = self._live.get(sid)
        if session is None:
            return None
        now = self._clock()
        if not 0 <= now - session.checked_at < RENEW_AFTER or now >= session.person.signed_in_until:
            return None
        session.used_at = now
        return session

    async def find(self, sid: str, *, in_use: bool = True) -> AppSession | None:
        """Return the session *sid*, or ``None`` if it has ended; ask the portal if that is due.

        Without *in_use*, this does not count as use of the session.

        Raises:
            PortalAway: the portal does not answer, and the grace period does not apply.
        """
        if sid in self._ended:
            return None
        session = self._live.get(sid)
        if session is None:
            return await self._ask(sid, in_use=in_use)
        if not in_use:
            return session
        now = self._clock()
        if now >= session.person.signed_in_until:
            self.end(sid)
            return None
        session.used_at = now
        if 0 <= now - session.checked_at < MAX_AGE or self._in_grace(session, now):
            self._renew_in_background(session, now)
            return session
        if session.failing_since is not None and now < session.retry_at:
            raise PortalAway("renewal")
        return await self._ask(sid, in_use=True)

    def opened(self, sid: str, answer: Active, *, asked_at: float) -> AppSession | None:
        """Store the portal's *answer* for *sid* and return the session; ``None`` if it ended meanwhile."""
        self._store(sid, answer, asked_at)
        return self._live.get(sid)

    def is_ended(self, sid: str) -> bool:
        """Say whether *sid* is known to have ended."""
        return sid in self._ended

    def end(self, sid: str) -> None:
        """End the session *sid*, known or not: its requests stop, and no pending answer brings it back."""
        self._ended[sid] = self._clock() + ENDED_KEPT
        session = self._live.pop(sid, None)
        if session is not None:
            for running in tuple(session.running):
                running.cut()
        self._on_end(sid)
        self._keep_sweeping()

    def begin(self, session: AppSession, running: RunningRequest) -> None:
        """Note that *running* belongs to *session*, so that it is cut when the session ends."""
        session.running.add(running)
        if self._live.get(session.sid) is not session:  # ended since it was looked up
            running.cut()

    def sweep(self) -> None:
        """Renew sessions with running requests, cut those that may not continue, and forget old ones."""
        now = self._clock()
        for session in tuple(self._live.values()):
            if now >= session.person.signed_in_until:
                log.info("session-ended code=sign-in-expired")
                self.end(session.sid)
            elif session.running:
                self._renew_in_background(session, now)
                if not 0 <= now - session.checked_at < MAX_AGE and self._grace_is_over(session, now):
                    for running in tuple(session.running):
                        running.cut()
            elif now - session.used_at > IDLE_KEPT:
                del self._live[session.sid]
        for sid in [sid for sid, until in self._ended.items() if now >= until]:
            del self._ended[sid]

    async def aclose(self) -> None:
        """Stop the background tasks."""
        tasks = [*self._asking.values(), *([self._sweeper] if self._sweeper else [])]
        self._sweeper = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, sid: str, *, in_use: bool) -> AppSession | None:
        # Shielded: a browser that leaves must not cancel the answer for others that wait for it.
        reached = await asyncio.shield(self._renewal_of(sid, in_use=in_use))
        session = self._live.get(sid)
        if not reached and (session is None or not self._in_grace(session, self._clock())):
            raise PortalAway("renewal")
        return session

    def _renewal_of(self, sid: str, *, in_use: bool) -> "asyncio.Task[bool]":
        task = self._asking.get(sid)
        if task is None:
            task = self._asking[sid] = asyncio.create_task(self._renew(sid, in_use=in_use))
            task.add_done_callback(lambda _: self._asking.pop(sid, None))
        return task

    def _renew_in_background(self, session: AppSession, now: float) -> None:
        if not 0 <= now - session.checked_at < RENEW_AFTER and now >= session.retry_at:
            self._renewal_of(session.sid, in_use=session.in_use)

    async def _renew(self, sid: str, *, in_use: bool) -> bool:
        asked_at = self._clock()
        try:
            answer = await self._client.renew(sid, in_use=in_use)
        except CannotAsk:
            session = self._live.get(sid)
            if session is not None:
                session.could_not_ask = True
                session.retry_at = self._clock() + RETRY_OWN
            return False
        except PortalAway:
            now = self._clock()
            self._away_since = now if self._away_since is None else self._away_since
            session = self._live.get(sid)
            if session is not None:
                session.could_not_ask = False
                session.failing_since = now if session.failing_since is None else session.failing_since
                session.retry_at = now + RETRY
            return False
        self._away_since = None
        self._store(sid, answer, asked_at)
        return True

    def _store(self, sid: str, answer: Introspection, asked_at: float) -> None:
        if sid in self._ended:  # a logout notification came before the answer
            return
        if isinstance(answer, Inactive):
            log.info("session-ended code=%s", answer.code)
            self.end(sid)
            return
        session = self._live.get(sid)
        person = answer.person
        if answer.session != sid or (
            session is not None and (person.subject, person.tenant) != (session.person.subject, session.person.tenant)
        ):
            log.error("session-ended code=answer-mismatch")
            self.end(sid)
            return
        if session is None:
            session = self._live[sid] = AppSession(sid, person, now=asked_at)
        session.person = person
        session.checked_at = asked_at
        session.failing_since = None
        session.could_not_ask = False
        session.retry_at = asked_at
        self._keep_sweeping()

    def _in_grace(self, session: AppSession, now: float) -> bool:
        return session.failing_since is not None and not self._grace_is_over(session, now)

    def _grace_is_over(self, session: AppSession, now: float) -> bool:
        if session.failing_since is None:  # the portal has not failed yet; a renewal is pending
            return session.could_not_ask
        since = session.failing_since if self._away_since is None else min(session.failing_since, self._away_since)
        return not 0 <= now - since < GRACE

    def _keep_sweeping(self) -> None:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep_on())

    async def _sweep_on(self) -> None:
        while self._live or self._ended:
            await asyncio.sleep(SWEEP_EVERY)
            self.sweep()
