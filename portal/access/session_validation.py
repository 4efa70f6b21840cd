"""Validates app sessions: each time anew, from the session's row, its sign-in and the current rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import sqlalchemy as sa

from portal.access.audit_events import denial_fields
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Row, SignIns
from portal.access.stored_identity import StandingCache, read_identity
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, RoleRule, may_open, reason_of
from portal.storage import tables

SESSIONS_WITH_SIGN_INS: Final = sa.select(
    tables.app_sessions.c.id.label("sid"),
    tables.app_sessions.c.app,
    tables.app_sessions.c.tenant.label("session_tenant"),
    tables.app_sessions.c.ticket_hash,
    tables.app_sessions.c.redeemed_at,
    tables.app_sessions.c.last_seen_at.label("session_seen_at"),
    tables.app_sessions.c.ended_at.label("session_ended_at"),
    tables.app_sessions.c.end_reason.label("session_end_reason"),
    tables.sign_ins.c.id,
    tables.sign_ins.c.identity_id,
    tables.sign_ins.c.identity,
    tables.sign_ins.c.tenant,
    tables.sign_ins.c.last_seen_at,
    tables.sign_ins.c.expires_at,
    tables.sign_ins.c.ended_at,
    tables.sign_ins.c.end_reason,
).join_from(tables.app_sessions, tables.sign_ins)
"""App sessions with their sign-ins; the sign-in's columns under their own names."""
SESSION_WITH_SIGN_IN: Final = SESSIONS_WITH_SIGN_INS.where(tables.app_sessions.c.id == sa.bindparam("sid"))
"""The app session ``sid``."""


@dataclass(frozen=True, slots=True)
class EndedSession:
    """The app session has ended."""

    reason: RevocationReason
    detail: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
    """Those of ``app-denied``."""

    def __bool__(self) -> Literal[False]:
        return False


SessionValidation: TypeAlias = Allowed | EndedSession


class SessionValidator:
    """Validates app sessions by the rules of one configuration."""

    def __init__(self, rules: Iterable[RoleRule], *, sign_ins: SignIns) -> None:
        self._rules = tuple(rules)
        self._standings = StandingCache(self._rules)
        self._sign_ins = sign_ins

    def validate(self, row: Row, *, app: AppSpec, now: int) -> SessionValidation:
        """Return whether the session in *row*, of :data:`SESSION_WITH_SIGN_IN`, lives in *app*."""
        if row.session_ended_at is not None:
            return EndedSession(RevocationReason(row.session_end_reason))
        if row.ended_at is not None:
            return EndedSession(RevocationReason(row.end_reason))
        if self._sign_ins.is_expired(row, now=now):
            return EndedSession(RevocationReason.SIGN_IN_EXPIRED)
        if row.session_tenant != row.tenant:
            return EndedSession(RevocationReason.TENANT_SWITCHED)
        decision = may_open(app, standing=self._standings.of(row.identity, tenant=row.tenant))
        if isinstance(decision, Allowed):
            return decision
        rules, identity = self._rules, read_identity(row.identity)
        reason = reason_of(decision, rules=rules, identity=identity)
        fields = denial_fields(decision, rules=rules, identity=identity)
        return EndedSession(RevocationReason.DENIED, reason, fields)
