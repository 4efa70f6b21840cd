"""Reads people's claims again while they are signed in: with a refresh token, or from the provider's API.

A sign-in in use is due once in ``refresh_interval``.  One worker at a time refreshes it, by a lease in its row; one
whose lease has ended, or was taken over, changes nothing more.  A token that the provider replaces is stored before
anything else is done with the answer.

What is final ends the sign-in: the provider refuses, or the person would not be admitted any more.  Anything else,
such as a provider that does not answer, is tried again; the sign-in goes on for as long as it may.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from portal.access.app_sessions import AppSessions
from portal.access.audit import Audit
from portal.access.audit_events import AuditEvent
from portal.access.outbox import Outbox
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import SignIns, due_after, provider_session_key
from portal.access.stored_identity import read_identity, write_identity
from portal.clock import Clock
from portal.errors import AnswerLost, ClaimsTooLarge, NotAdmitted, PortalError, RefreshRefused, StoreUnavailable
from portal.rules.identity import Identity
from portal.rules.policy import RoleRule, first_tenant, standing_in
from portal.settings import Settings
from portal.sign_in.admission import AdmissionRefusal, Hook, admit_completed
from portal.sign_in.providers.base import CompletedSignIn, Provider, Renewal
from portal.storage import tables
from portal.storage.database import Database

_log: Final = logging.getLogger("portal.refresh")
Row: TypeAlias = sa.Row[*tuple[Any, ...]]
LEASE: Final = 90
"""How long one worker holds a sign-in that it refreshes, in seconds: longer than all calls and the hook take."""
RETRY: Final = 60
"""Pause after a refresh that failed for now, in seconds."""
RETRY_LOST: Final = 2
"""The same where the answer was lost: many providers take a token again for a moment after they replaced it."""
AT_ONCE: Final = 4
"""Refreshes at once at one provider, in one worker: fewer than ``Limits.waiting``, so that people can sign in."""
_QUEUED: Final = 16
"""Most refreshes of one provider that are under way or wait for their turn: one that hangs delays no other's."""
_BATCH: Final = 64
"""Most sign-ins that are looked up at once."""
_INTERVAL: Final = 1.0
"""How often the background thread looks for due sign-ins, in seconds."""
KEEP_FOR: Final = 30.0
"""How long storing a replaced token is tried, in seconds."""
_KEEP_PAUSE: Final = 0.5


class Verdict(StrEnum):
    """What follows from a refresh that did not succeed."""

    FORGET = "forget"
    """It cannot be refreshed any more; it lives as long as one that never could."""
    RETRY = "retry"
    REVOKE = "revoke"


def verdict_on(error: PortalError, *, is_doubtful: bool) -> Verdict:
    """Return what follows from *error*.

    *is_doubtful*: the answer to the request before was lost, or the worker died.  The provider may have replaced the
    token then, and its refusal of the former one says nothing about the person.
    """
    if isinstance(error, RefreshRefused):
        return Verdict.FORGET if is_doubtful else Verdict.REVOKE
    # A hook that fails says nothing about the person, and at a sign-in they could try again.
    hook_failed = isinstance(error, NotAdmitted) and error.args == (AdmissionRefusal.HOOK_FAILED,)
    is_final = isinstance(error, ClaimsTooLarge | NotAdmitted) and not hook_failed
    return Verdict.REVOKE if is_final else Verdict.RETRY


def roles_changed(
    before: Identity, after: Identity, *, tenant: str, rules: tuple[RoleRule, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the roles in *tenant* that are new, and those that are gone."""
    old, new = (_roles_of(one, tenant=tenant, rules=rules) for one in (before, after))
    return tuple(sorted(new - old)), tuple(sorted(old - new))


def _roles_of(identity: Identity, *, tenant: str, rules: tuple[RoleRule, ...]) -> frozenset[str]:
    standing = standing_in(identity, tenant=tenant, rules=rules)
    return frozenset() if standing is None else standing.roles


@dataclass(slots=True, kw_only=True)
class Lease:
    """A sign-in that this worker refreshes."""

    row: Row
    until: int
    """What its row says while it is this worker's."""
    renewal: Renewal
    id_token: str | None
    is_doubtful: bool
    """See :func:`verdict_on`; no longer, once a new token is stored."""

    def is_held(self, row: Row | None) -> bool:
        """Return whether *row*, read now, is living and still this worker's."""
        return row is not None and row.ended_at is None and row.refresh_lease_until == self.until

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """The same, for the database."""
        table = tables.sign_ins
        return sa.and_(table.c.id == self.row.id, table.c.ended_at.is_(None), table.c.refresh_lease_until == self.until)


class Refresher:
    """Refreshes the sign-ins of the portal in the background."""

    def __init__(
        self,
        database: Database,
        *,
        sign_ins: SignIns,
        app_sessions: AppSessions,
        audit: Audit,
        outbox: Outbox,
        providers: Mapping[str, Provider],
        hook: Hook | None,
        settings: Settings,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._sign_ins = sign_ins
        self._app_sessions = app_sessions
        self._audit = audit
        self._outbox = outbox
        self._providers = providers
        self._hook = hook
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._under_way: dict[str, str] = {}
        """Sign-ins and their providers."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pools: dict[str, ThreadPoolExecutor] = {}
        """By provider."""

    def start(self) -> None:
        """Begin refreshing in the background; once per process, after it was forked."""
        if self._thread is None or not self._thread.is_alive():  # a fork does not copy threads
            self._stop.clear()
            self._under_way = {}
            # Sign-ins of a provider that is no longer configured wait in a pool of their own.
            self._pools = {one: ThreadPoolExecutor(AT_ONCE, "portal-refresh-one") for one in (*self._providers, "")}
            self._thread = threading.Thread(target=self._run, name="portal-refresh", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the background threads, and wait for the refreshes under way."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join()
            for pool in self._pools.values():
                pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL):
            try:
                self._submit_due()
            except StoreUnavailable as error:
                _log.warning("refreshes wait for the database: %s", error)
            except Exception:  # noqa: BLE001 - logged whole; the thread must survive it
                _log.exception("looking for due refreshes failed")

    def _submit_due(self) -> None:
        number = Counter(list(self._under_way.values()))
        busy = {provider for provider in number if number[provider] >= _QUEUED}
        for sign_in_id, provider in self.due(self._clock(), without=busy).items():
            key = provider if provider in self._pools else ""
            if sign_in_id not in self._under_way and number[key] < _QUEUED:
                number[key] += 1
                self._under_way[sign_in_id] = key
                self._pools[key].submit(self._attempt, sign_in_id)

    def _attempt(self, sign_in_id: str) -> None:
        try:
            self.refresh(sign_in_id)
        except StoreUnavailable as error:
            _log.warning("a refresh waits for the database: %s", error)
        except Exception:  # noqa: BLE001 - logged whole; its lease ends by itself
            _log.exception("a refresh failed")
        finally:
            self._under_way.pop(sign_in_id, None)

    def due(self, now: int, *, without: Collection[str] = ()) -> dict[str, str]:
        """Return the ids and providers of sign-ins that are due, the longest first; none of the providers *without*."""
        table = tables.sign_ins
        free = sa.or_(table.c.refresh_lease_until.is_(None), table.c.refresh_lease_until <= now)
        query = sa.select(table.c.id, table.c.provider).where(
            table.c.refresh_due_at <= now, table.c.ended_at.is_(None), free, table.c.provider.not_in(sorted(without))
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.refresh_due_at).limit(_BATCH))
            return {row.id: row.provider for row in rows}

    def refresh(self, sign_in_id: str) -> None:
        """Refresh one sign-in if it is due, in use, and no other worker does.

        Raises:
            StoreUnavailable: it is tried again when the lease ends.
        """
        lease = self._take_lease(sign_in_id, now=self._clock())
        if lease is None:
            return
        before = read_identity(lease.row.identity)
        try:
            done, identity = self._ask(lease, before)
        except PortalError as error:
            if isinstance(error, StoreUnavailable):
                raise
            self._settle_failure(lease, error, now=self._clock())
        else:
            self._settle(lease, done, identity, now=self._clock())

    def _take_lease(self, sign_in_id: str, *, now: int) -> Lease | None:
        table = tables.sign_ins
        with self._database.write() as connection:
            row = self._sign_ins.lock(connection, sign_in_id)
            if row is None or row.ended_at is not None or row.refresh_due_at is None or row.refresh_due_at > now:
                return None
            if row.refresh_lease_until is not None and row.refresh_lease_until > now:
                return None
            renewal, provider = self._sign_ins.renewal_in(row), self._providers.get(row.provider)
            is_possible = renewal is not None and provider is not None and provider.spec.refresh
            is_in_use = row.last_seen_at > row.checked_at and not self._sign_ins.is_expired(row, now=now)
            values: dict[str, object] = {"refresh_lease_until": now + LEASE}
            if not is_possible:
                values = self._not_refreshed(row)
            elif not is_in_use:
                values = {"refresh_due_at": None}  # use makes it due again; a lease that has passed stays, as a doubt
            connection.execute(sa.update(table).where(table.c.id == row.id).values(values))
        if renewal is None or not is_possible or not is_in_use:
            return None
        return Lease(
            row=row,
            until=now + LEASE,
            renewal=renewal,
            id_token=self._sign_ins.id_token_in(row),
            is_doubtful=row.refresh_lease_until is not None,
        )

    def _ask(self, lease: Lease, before: Identity) -> tuple[CompletedSignIn, Identity]:
        """Return what the provider says now, and the identity that is admitted."""
        provider = self._providers[lease.row.provider]
        done = provider.refresh(
            lease.renewal,
            identity=before,
            id_token=lease.id_token,
            now=self._clock(),
            keep=lambda renewal: self._keep(lease, renewal),
        )
        return done, admit_completed(done, spec=provider.spec, hook=self._hook, rules=self._settings.roles)

    def _keep(self, lease: Lease, renewal: Renewal) -> None:
        """Store *renewal*, however long the database needs within the lease: the former token may be used up.

        Where the sign-in has ended meanwhile, nothing is stored.
        """
        table, until = tables.sign_ins, self._monotonic() + KEEP_FOR
        values = {"renewal": self._sign_ins.sealed(renewal)}
        while True:
            try:
                with self._database.write() as connection:
                    connection.execute(sa.update(table).where(lease.condition).values(values))
            except StoreUnavailable:
                if self._monotonic() > until:
                    raise
                self._sleep(_KEEP_PAUSE)
            else:
                lease.is_doubtful = False
                return

    def _not_refreshed(self, row: Row) -> dict[str, object]:
        """Return the values of a sign-in that is not refreshed: it lives as long as one that never could."""
        until = row.checked_at + self._settings.lifetime_without_refresh
        return {"refresh_due_at": None, "expires_at": min(row.expires_at, until)}

    def _settle(self, lease: Lease, done: CompletedSignIn, identity: Identity, *, now: int) -> None:
        table, rules, sign_in_id = tables.sign_ins, self._settings.roles, lease.row.id
        with self._outbox.transaction(deliver_at=now) as revocation:
            row = self._sign_ins.lock(revocation.connection, sign_in_id)
            if row is None or not lease.is_held(row):
                return
            tenant = first_tenant(identity, wanted=row.tenant, rules=rules)
            values = {
                "identity": write_identity(identity),
                "tenant": tenant,
                "checked_at": now,
                "refresh_due_at": due_after(sign_in_id, interval=self._settings.refresh_interval, now=now),
                "refresh_lease_until": None,
                "provider_session": provider_session_key(row.provider, done.claims.get("sid")) or row.provider_session,
                **self._sign_ins.values_of(id_token=done.id_token, renewal=done.renewal),
            }
            revocation.connection.execute(sa.update(table).where(table.c.id == sign_in_id).values(values))
            if tenant != row.tenant:
                self._sign_ins.end_in_tenant(revocation, row, identity, tenant=tenant, now=now)
            self._app_sessions.revoke_denied(revocation, sign_in_id, now=now)
            if tenant != row.tenant:  # the audit has the move
                return
            added, removed = roles_changed(read_identity(row.identity), identity, tenant=tenant, rules=rules)
            if added or removed:
                self._audit.record(
                    AuditEvent.ROLES_CHANGED,
                    now=now,
                    identity=identity,
                    tenant=tenant,
                    detail=" ".join([*(f"+{role}" for role in added), *(f"-{role}" for role in removed)]),
                    fields={"added": added, "removed": removed},
                    connection=revocation.connection,
                )

    def _settle_failure(self, lease: Lease, error: PortalError, *, now: int) -> None:
        table, sign_in_id = tables.sign_ins, lease.row.id
        verdict = verdict_on(error, is_doubtful=lease.is_doubtful)
        _log.warning("%s: refresh of a sign-in: %s: %s", lease.row.provider, verdict, error)
        if verdict is Verdict.REVOKE:
            refused = isinstance(error, RefreshRefused)
            reason = RevocationReason.REFRESH_REFUSED if refused else RevocationReason.NOT_ADMITTED
            with self._outbox.transaction(deliver_at=now) as revocation:
                if lease.is_held(self._sign_ins.lock(revocation.connection, sign_in_id)):
                    refusal = error if isinstance(error, NotAdmitted) else None
                    self._sign_ins.revoke_in(revocation, sign_in_id, reason=reason, now=now, refusal=refusal)
            return
        if verdict is Verdict.FORGET:
            values = {**self._not_refreshed(lease.row), "refresh_lease_until": None, "renewal": None}
        else:
            is_lost = isinstance(error, AnswerLost)
            pause = RETRY_LOST if is_lost and not lease.is_doubtful else RETRY
            values = {
                # One that has passed says that the token may be used up.
                "refresh_lease_until": now if is_lost or lease.is_doubtful else None,
                "refresh_due_at": due_after(sign_in_id, interval=pause, now=now),
            }
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(lease.condition).values(values))
