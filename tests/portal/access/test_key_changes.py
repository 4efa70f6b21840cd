"""Signing keys that an operator rotates or revokes, while other processes use them."""

from collections.abc import Iterator
from functools import partial

import pytest

from portal.access.signing_keys import (
    ANNOUNCEMENT,
    CACHE_TIME,
    OVERLAP,
    SETTLING,
    KeyRevocation,
    KeyState,
    SigningKeys,
    UnknownKey,
)
from portal.contract import Rejected, Rejection, sign_ticket, verify_ticket
from portal.settings import DAY, Secret
from portal.storage import tables
from portal.storage.database import Database
from tests.builders import NOW, PORTAL, a_ticket, an_app
from tests.portal.access.test_races import ROUNDS, together
from tests.portal.access.test_signing_keys import PERIOD, kids, some_keys
from tests.portal.store_deployment import Deployment, a_sealer

LATER = NOW + DAY
"""When the first key has signed for a day."""


@pytest.fixture
def keys(database: Database) -> SigningKeys:
    made = some_keys(database)
    made.ensure(NOW)
    return made


@pytest.fixture
def both(database_url: Secret) -> Iterator[list[SigningKeys]]:
    """The keys as two processes have them."""
    databases = [Database(database_url) for _ in range(2)]
    yield [some_keys(database) for database in databases]
    for database in databases:
        database.close()


def states(keys: SigningKeys, now: int) -> dict[str, str]:
    return {one.kid: one.state.value for one in keys.statuses(now)}


def signing(keys: SigningKeys, now: int) -> str:
    return str(keys.signing_key(now).kid)


class TestRotate:
    def test_the_next_key_is_announced_before_it_signs(self, keys: SigningKeys) -> None:
        first = signing(keys, LATER)
        done = keys.rotate(LATER, at_once=False, by="olga")

        assert (done.signs_from, done.changed) == (LATER + ANNOUNCEMENT, True)
        assert set(kids(keys.public_jwks(LATER))) == {first, done.kid}
        assert signing(keys, LATER + ANNOUNCEMENT - 1) == first
        assert signing(keys, LATER + ANNOUNCEMENT) == done.kid
        assert kids(keys.public_jwks(LATER + ANNOUNCEMENT + OVERLAP)) == [done.kid]

    def test_at_once_it_signs_and_what_was_signed_before_stays_valid(self, keys: SigningKeys) -> None:
        ticket = a_ticket(issued_at=LATER, expires_at=LATER + 30)
        token = sign_ticket(ticket, key=keys.signing_key(LATER))
        done = keys.rotate(LATER, at_once=True, by="olga")

        assert (done.signs_from, done.changed) == (LATER, True)
        assert signing(keys, LATER) == done.kid
        assert verify_ticket(token, keys=keys.key_set(LATER), issuer=PORTAL, audience="forecast", now=LATER) == ticket

    def test_the_next_planned_rotation_counts_from_it(self, keys: SigningKeys) -> None:
        done = keys.rotate(LATER, at_once=True, by="olga")

        assert signing(keys, NOW + PERIOD + ANNOUNCEMENT) == done.kid
        keys.ensure(LATER + PERIOD - ANNOUNCEMENT)
        assert signing(keys, LATER + PERIOD) != done.kid

    @pytest.mark.parametrize("planned", [True, False])
    def test_a_key_that_is_announced_is_not_announced_twice(self, keys: SigningKeys, *, planned: bool) -> None:
        at = NOW + PERIOD - ANNOUNCEMENT
        if planned:
            keys.ensure(at)
        else:
            keys.rotate(at, at_once=False, by="olga")
        announced = next(one for one in keys.statuses(at) if one.state is KeyState.NEXT)
        again = keys.rotate(at + 60, at_once=False, by="olga")

        assert (again.kid, again.signs_from, again.changed) == (announced.kid, announced.since, False)
        assert len(keys.statuses(at + 60)) == 2

    def test_a_key_that_is_announced_may_sign_at_once(self, keys: SigningKeys) -> None:
        announced = keys.rotate(LATER, at_once=False, by="olga").kid
        done = keys.rotate(LATER + 60, at_once=True, by="olga")

        assert (done.kid, done.signs_from, done.changed) == (announced, LATER + 60, True)
        assert signing(keys, LATER + 60) == announced

    def test_a_key_that_has_just_begun_to_sign_is_not_replaced_at_once(self, keys: SigningKeys) -> None:
        """
        Keys would pile up: each is published for a quarter of an hour after the next.
        """
        made = {keys.rotate(LATER + second, at_once=True, by="olga").kid for second in range(SETTLING)}

        assert len(made) == 1
        assert keys.rotate(LATER + SETTLING, at_once=True, by="olga").kid not in made

    def test_without_any_key_the_first_one_signs(self, database: Database) -> None:
        keys = some_keys(database)
        done = keys.rotate(NOW, at_once=False, by="olga")

        assert (signing(keys, NOW), done.signs_from) == (done.kid, NOW)

    @pytest.mark.parametrize("at_once", [True, False])
    def test_two_at_once_make_one_key(self, both: list[SigningKeys], *, at_once: bool) -> None:
        one, other = both
        one.ensure(NOW)
        for number in range(1, ROUNDS):
            now = NOW + number * DAY
            together(
                partial(one.rotate, now, at_once=at_once, by="olga"),
                partial(other.rotate, now, at_once=at_once, by="otto"),
            )
            assert len(one.statuses(now)) == 2
            signing(one, now + ANNOUNCEMENT)  # the announced one

    def test_the_audit_names_who_did_it(self, deployment: Deployment) -> None:
        keys = deployment.keys
        keys.ensure(0)
        one = keys.rotate(3600, at_once=False, by="olga as root on the command line")
        keys.rotate(3600, at_once=False, by="otto")

        assert deployment.events() == [
            ("key-rotated", f"{one.kid} signs from 1970-01-01T01:15:00Z, by olga as root on the command line")
        ]

    def test_the_audit_has_planned_rotations(self, deployment: Deployment) -> None:
        deployment.keys.ensure(NOW)
        deployment.keys.ensure(NOW + 40 * DAY)
        ((event, detail),) = deployment.events()

        assert event == "key-rotated"
        assert detail.endswith(", by the portal")


class TestRevoke:
    def test_it_signs_nothing_is_not_published_and_what_it_signed_is_refused(self, keys: SigningKeys) -> None:
        stolen = keys.signing_key(LATER)
        done = keys.revoke([str(stolen.kid)], apps=(), now=LATER, by="olga")
        token = sign_ticket(a_ticket(issued_at=LATER, expires_at=LATER + 30), key=stolen)

        assert done.kids == (stolen.kid,)
        assert signing(keys, LATER) == done.signing != stolen.kid
        assert kids(keys.public_jwks(LATER)) == [done.signing]
        with pytest.raises(Rejected) as caught:
            verify_ticket(token, keys=keys.key_set(LATER), issuer=PORTAL, audience="forecast", now=LATER)
        assert caught.value.reason is Rejection.UNKNOWN_KEY

    def test_a_running_process_publishes_it_no_more_and_signs_with_it_for_a_second_at_most(
        self, both: list[SigningKeys]
    ) -> None:
        one, running = both
        stolen = signing(running, LATER)
        done = one.revoke([stolen], apps=(), now=LATER, by="olga")

        assert kids(running.public_jwks(LATER)) == [done.signing]
        assert signing(running, LATER + CACHE_TIME) == done.signing

    @pytest.mark.parametrize("which", [KeyState.RETIRED, KeyState.NEXT])
    def test_a_key_that_does_not_sign_is_revoked_too_and_a_new_one_signs(
        self, keys: SigningKeys, which: KeyState
    ) -> None:
        """
        Only a key that no guard knows yet makes them fetch the keys again.
        """
        keys.rotate(LATER, at_once=True, by="olga")
        keys.rotate(LATER + 60, at_once=False, by="olga")
        before = states(keys, LATER + 60)
        kid = next(kid for kid, state in before.items() if state == which)
        done = keys.revoke([kid], apps=(), now=LATER + 60, by="olga")

        assert kid in done.kids
        assert done.signing not in before
        assert kid not in kids(keys.public_jwks(LATER + 60))

    def test_an_announced_key_is_revoked_with_it(self, keys: SigningKeys) -> None:
        announced = keys.rotate(LATER, at_once=False, by="olga").kid
        stolen = signing(keys, LATER)
        done = keys.revoke([stolen], apps=(), now=LATER, by="olga")

        assert set(done.kids) == {stolen, announced}
        assert signing(keys, LATER + ANNOUNCEMENT) == done.signing

    def test_a_second_time_changes_nothing(self, keys: SigningKeys) -> None:
        stolen = signing(keys, LATER)
        first = keys.revoke([stolen], apps=["forecast"], now=LATER, by="olga")
        again = keys.revoke([stolen], apps=["forecast"], now=LATER + 5, by="olga")

        assert (again.kids, again.signing, again.notifications) == ((), first.signing, ())

    def test_the_new_key_signs_also_where_another_was_made_in_the_same_second(self, keys: SigningKeys) -> None:
        for _ in range(ROUNDS):
            before = signing(keys, LATER)
            done = keys.revoke([before], apps=(), now=LATER, by="olga")
            retired = keys.revoke([done.signing], apps=(), now=LATER, by="olga")
            assert signing(keys, LATER) == retired.signing

    def test_an_unknown_key_changes_nothing(self, keys: SigningKeys) -> None:
        before = states(keys, LATER)
        with pytest.raises(UnknownKey):
            keys.revoke([*before, "unknown"], apps=(), now=LATER, by="olga")

        assert states(keys, LATER) == before

    def test_a_key_under_a_lost_secret_can_be_revoked(self, database: Database) -> None:
        lost = signing(some_keys(database, a_sealer(secret="a" * 43)), NOW)
        keys = some_keys(database)
        done = keys.revoke([lost], apps=(), now=NOW + 5, by="olga")

        assert kids(keys.public_jwks(NOW + 5)) == [done.signing]

    def test_two_at_once_revoke_it_once(self, both: list[SigningKeys]) -> None:
        for number in range(1, ROUNDS):
            now = NOW + number * DAY
            stolen = signing(both[0], now)
            done = together(*(partial(keys.revoke, [stolen], apps=(), now=now, by="olga") for keys in both))
            revocations = [one for one in done if isinstance(one, KeyRevocation)]
            assert sorted(one.kids for one in revocations) == [(), (stolen,)]
            assert {one.signing for one in revocations} == {signing(both[0], now + CACHE_TIME)}

    def test_a_rotation_at_the_same_moment_leaves_one_key_that_signs(self, both: list[SigningKeys]) -> None:
        one, other = both
        for number in range(1, ROUNDS):
            now = NOW + number * DAY
            stolen = signing(one, now)
            together(
                partial(one.revoke, [stolen], apps=(), now=now, by="olga"),
                partial(other.rotate, now, at_once=True, by="otto"),
            )
            assert signing(one, now + CACHE_TIME) == signing(other, now + CACHE_TIME) != stolen
            assert stolen not in kids(one.public_jwks(now + CACHE_TIME))

    def test_one_that_is_just_signing_ends_up_with_the_new_key(self, both: list[SigningKeys]) -> None:
        one, running = both
        for number in range(1, ROUNDS):
            now = NOW + number * DAY
            stolen = signing(one, now)
            used = together(
                partial(one.revoke, [stolen], apps=(), now=now, by="olga"),
                partial(signing, running, now),
            )
            assert used[1]
            assert signing(running, now + CACHE_TIME) == signing(one, now + CACHE_TIME) != stolen

    def test_a_ticket_under_it_opens_nothing(self, deployment: Deployment) -> None:
        token = deployment.ticket(deployment.sign_in())
        deployment.keys.revoke([signing(deployment.keys, NOW)], apps=(), now=NOW, by="olga")

        assert not deployment.app_sessions.redeem(token, app=an_app(), now=NOW)
        assert deployment.events()[-1] == ("ticket-refused", "unknown-key")

    def test_every_app_gets_a_notification_of_no_session_of_its_own(self, deployment: Deployment) -> None:
        sid = deployment.open(deployment.sign_in())
        done = deployment.keys.revoke([signing(deployment.keys, NOW)], apps=["forecast", "reports"], now=NOW, by="olga")

        assert [one.app for one in done.notifications] == ["forecast", "reports"]
        assert deployment.notified() == {one.session for one in done.notifications}
        assert sid not in deployment.notified()
        assert all(len(one.session) == 32 for one in done.notifications)

    def test_the_audit_names_key_successor_and_who_did_it(self, deployment: Deployment) -> None:
        stolen = signing(deployment.keys, NOW)
        done = deployment.keys.revoke([stolen], apps=(), now=NOW, by="olga")
        deployment.keys.revoke([stolen], apps=(), now=NOW, by="olga")

        assert deployment.events() == [("key-revoked", f"{stolen}, {done.signing} signs instead, by olga")]

    def test_nothing_of_its_private_part_is_kept(self, deployment: Deployment) -> None:
        deployment.keys.ensure(NOW)
        (stored,) = deployment.rows(tables.signing_keys)
        deployment.keys.revoke([stored["kid"]], apps=(), now=NOW, by="olga")

        assert stored["private"] not in f"{deployment.rows(tables.signing_keys)} {deployment.rows(tables.revoked_keys)}"


class TestStatuses:
    def test_each_state_has_its_times(self, keys: SigningKeys) -> None:
        revoked = signing(keys, LATER)
        retired = keys.revoke([revoked], apps=(), now=LATER, by="olga").signing
        current = keys.rotate(LATER + 100, at_once=True, by="olga").kid
        upcoming = keys.rotate(LATER + 200, at_once=False, by="olga")

        assert [(one.kid, one.state.value, one.since, one.until) for one in keys.statuses(LATER + 200)] == [
            (upcoming.kid, "next", upcoming.signs_from, upcoming.signs_from + PERIOD),
            (current, "signing", LATER + 100, upcoming.signs_from),
            (retired, "retired", LATER, LATER + 100 + OVERLAP),
            (revoked, "revoked", NOW, LATER),
        ]

    def test_a_key_that_is_not_published_any_more_is_left_out(self, keys: SigningKeys) -> None:
        first = signing(keys, LATER)
        keys.rotate(LATER, at_once=True, by="olga")

        assert first in states(keys, LATER + OVERLAP - 1)
        assert first not in states(keys, LATER + OVERLAP)

    def test_a_key_that_cannot_be_read_is_marked_and_does_not_sign(self, database: Database) -> None:
        some_keys(database, a_sealer(secret="a" * 43)).ensure(NOW)
        ((one),) = some_keys(database).statuses(NOW + 5)

        assert (one.state, one.readable) == (KeyState.RETIRED, False)

    def test_looking_makes_no_key(self, deployment: Deployment) -> None:
        assert deployment.keys.statuses(NOW) == ()
        assert deployment.rows(tables.signing_keys) == []


def test_no_new_kid_looks_like_an_option(keys: SigningKeys) -> None:
    """
    One random ``kid`` in 64 would.
    """
    made = [keys.rotate(NOW + day * DAY, at_once=True, by="olga").kid for day in range(1, 201)]

    assert [kid for kid in made if kid.startswith("-")] == []
