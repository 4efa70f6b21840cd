"""What is kept goes when its time is over, and not before; what is in use stays."""

import pytest
import sqlalchemy as sa

from portal.access.audit_events import AuditEvent
from portal.access.provider_logouts import ProviderLogouts
from portal.access.revocation import RevocationReason
from portal.errors import LogoutTokenRejected
from portal.settings import DAY
from portal.sign_in.providers.logout_token import ProviderLogout
from portal.storage import tables
from portal.storage.retention import (
    APP_SESSION_RETENTION,
    REVOKED_KEY_RETENTION,
    SIGN_IN_RETENTION,
    TICKET_RETENTION,
    purge,
)
from portal.web.rate_limits import RateLimits
from tests.builders import ISSUER, NOW, an_identity
from tests.portal.store_deployment import Deployment

KEPT = 30 * DAY
"""For how long these keep the audit."""


def test_a_new_portal_has_nothing_to_delete(deployment: Deployment) -> None:
    assert purge(deployment.database, audit_retention=KEPT, now=NOW) == 0


def test_an_ended_sign_in_is_deleted_after_its_retention_with_its_app_sessions(deployment: Deployment) -> None:
    begun, living = deployment.sign_in(), deployment.sign_in()
    deployment.open(begun)
    deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

    purge(deployment.database, audit_retention=KEPT, now=NOW + SIGN_IN_RETENTION)
    assert len(deployment.rows(tables.sign_ins)) == 2
    purge(deployment.database, audit_retention=KEPT, now=NOW + SIGN_IN_RETENTION + 1)
    assert [row["id"] for row in deployment.rows(tables.sign_ins)] == [living.id]
    assert deployment.rows(tables.app_sessions) == []


def test_a_revoked_key_is_listed_for_its_retention(deployment: Deployment) -> None:
    kid = str(deployment.keys.signing_key(NOW).kid)
    deployment.keys.revoke([kid], apps=(), now=NOW, by="olga")

    purge(deployment.database, audit_retention=KEPT, now=NOW + REVOKED_KEY_RETENTION)
    assert [row["kid"] for row in deployment.rows(tables.revoked_keys)] == [kid]
    purge(deployment.database, audit_retention=KEPT, now=NOW + REVOKED_KEY_RETENTION + 1)
    assert deployment.rows(tables.revoked_keys) == []
    assert len(deployment.rows(tables.signing_keys)) == 1


def test_an_expired_sign_in_that_was_not_ended_is_deleted_too(deployment: Deployment) -> None:
    begun = deployment.sign_in()
    deployment.open(begun)
    purge(deployment.database, audit_retention=KEPT, now=begun.expires_at + SIGN_IN_RETENTION + 1)

    assert deployment.rows(tables.sign_ins) == []
    assert deployment.rows(tables.app_sessions) == []


def test_a_ticket_that_was_not_redeemed_is_deleted_and_an_open_session_stays(deployment: Deployment) -> None:
    begun = deployment.sign_in()
    sid = deployment.open(begun)
    deployment.ticket(begun)
    purge(deployment.database, audit_retention=KEPT, now=NOW + 30 + TICKET_RETENTION)
    assert len(deployment.rows(tables.app_sessions)) == 2

    assert purge(deployment.database, audit_retention=KEPT, now=NOW + 31 + TICKET_RETENTION) == 1
    assert [row["id"] for row in deployment.rows(tables.app_sessions)] == [sid]
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + 30 * DAY) == 0


def test_an_ended_session_stays_while_guards_may_ask_why(deployment: Deployment) -> None:
    begun = deployment.sign_in()
    deployment.open(begun)
    deployment.sign_ins.revoke(begun.id, reason=RevocationReason.SIGNED_OUT, now=NOW)

    assert purge(deployment.database, audit_retention=KEPT, now=NOW + APP_SESSION_RETENTION) == 0
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + APP_SESSION_RETENTION + 1) == 1


def test_the_logouts_that_a_provider_reported_are_deleted_faster_than_they_can_come(deployment: Deployment) -> None:
    amount, per, _ = RateLimits().logout.split(maxsplit=2)
    assert per == "per"
    most = 2 * int(amount)
    rows = [{"id": f"{number:064}", "until": NOW + (0 if number < most else 100)} for number in range(most + 100)]
    with deployment.database.write() as connection:
        connection.execute(sa.insert(tables.provider_logouts), rows)

    assert purge(deployment.database, audit_retention=KEPT, now=NOW) == 0
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + 1) == most
    assert len(deployment.rows(tables.provider_logouts)) == 100
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + 101) == 100


def test_a_logout_that_a_provider_reports_leaves_two_short_rows_for_a_quarter_of_an_hour_at_most(
    deployment: Deployment,
) -> None:
    logouts = ProviderLogouts(deployment.database, deployment.sign_ins)
    logout = ProviderLogout(issuer=ISSUER, subject="ana", session="s" * 500, token_id="j" * 500)
    logouts.end(logout, provider="company", now=NOW)
    rows = deployment.rows(tables.provider_logouts)
    with pytest.raises(LogoutTokenRejected):
        logouts.end(logout, provider="company", now=NOW + 1)

    assert len(rows) == 2
    assert {len(row["id"]) for row in rows} == {64}
    assert max(row["until"] for row in rows) <= NOW + 900
    assert deployment.rows(tables.provider_logouts) == rows


def test_the_audit_is_deleted_after_its_retention_in_steps(deployment: Deployment) -> None:
    with deployment.database.write() as connection:
        for number in range(700):
            who = an_identity(subject=str(number))
            deployment.audit.record(AuditEvent.SIGNED_IN, now=NOW, identity=who, connection=connection)
    deployment.audit.record(AuditEvent.SIGNED_IN, now=NOW + 10)

    assert purge(deployment.database, audit_retention=KEPT, now=NOW + KEPT) == 0
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + KEPT + 1) == 500
    assert purge(deployment.database, audit_retention=KEPT, now=NOW + KEPT + 1) == 200
    assert [event for event, _ in deployment.events()] == ["signed-in"]
