"""Signing keys: made once, published before use and until no token under them is valid."""

import threading
from typing import Any

import pytest
from joserfc.jwk import KeySet

from portal.access.audit import Audit
from portal.access.signing_keys import ANNOUNCEMENT, CACHE_TIME, OVERLAP, SigningKeys
from portal.contract import Rejected, Rejection, sign_ticket, verify_ticket
from portal.settings import DAY, Secret
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.sealing import Sealer
from tests.builders import NOW, PORTAL, a_ticket
from tests.portal.store_deployment import Deployment, a_sealer

PERIOD = 30 * DAY


def some_keys(database: Database, sealer: Sealer | None = None) -> SigningKeys:
    return SigningKeys(database, sealer or a_sealer(), Audit(database), rotation=PERIOD)


def published_keys(jwks: dict[str, Any]) -> list[dict[str, Any]]:
    return list(jwks["keys"])


def kids(jwks: dict[str, Any]) -> list[str]:
    return [key["kid"] for key in published_keys(jwks)]


class TestFirstKey:
    def test_the_first_key_is_made_at_once_and_signs(self, database: Database) -> None:
        keys = some_keys(database)
        token = sign_ticket(a_ticket(), key=keys.signing_key(NOW))
        ticket = verify_ticket(token, keys=keys.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW)

        assert ticket == a_ticket()

    def test_what_is_published_is_public(self, database: Database) -> None:
        keys = some_keys(database)
        kid = keys.signing_key(NOW).kid
        (published,) = published_keys(keys.public_jwks(NOW))

        assert published.pop("x")
        assert published == {"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "Ed25519"}
        assert all(not key.is_private for key in keys.key_set(NOW).keys)

    def test_the_private_key_is_stored_sealed(self, deployment: Deployment) -> None:
        private = deployment.keys.signing_key(NOW).as_dict(private=True)["d"]
        (row,) = deployment.rows(tables.signing_keys)

        assert str(private) not in str(row)

    def test_every_process_finds_the_same_key(self, database: Database) -> None:
        assert some_keys(database).signing_key(NOW).kid == some_keys(database).signing_key(NOW).kid

    def test_many_threads_make_one_key(self, database: Database) -> None:
        found: list[str | None] = []
        barrier = threading.Barrier(6)

        def ask() -> None:
            keys = some_keys(database)
            barrier.wait()
            found.append(keys.signing_key(NOW).kid)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(found) == 6
        assert len(set(found)) == 1


class TestRotation:
    def test_a_new_key_is_published_a_quarter_of_an_hour_before_it_signs(self, database: Database) -> None:
        keys = some_keys(database)
        first = keys.signing_key(NOW).kid
        before, announced = NOW + PERIOD - ANNOUNCEMENT - 1, NOW + PERIOD - ANNOUNCEMENT

        assert kids(keys.public_jwks(before)) == [first]
        keys.ensure(announced)
        published = kids(keys.public_jwks(announced))
        assert published[0] == first
        assert len(published) == 2
        assert keys.signing_key(announced + ANNOUNCEMENT - 1).kid == first
        assert keys.signing_key(announced + ANNOUNCEMENT).kid == published[1]

    def test_the_old_key_stays_published_until_its_tokens_are_gone(self, database: Database) -> None:
        keys = some_keys(database)
        first = keys.signing_key(NOW).kid
        keys.ensure(NOW + PERIOD - ANNOUNCEMENT)

        assert first in kids(keys.public_jwks(NOW + PERIOD + OVERLAP - 1))
        assert first not in kids(keys.public_jwks(NOW + PERIOD + OVERLAP))

    def test_a_key_that_is_over_is_deleted(self, deployment: Deployment) -> None:
        keys = some_keys(deployment.database)
        first = keys.signing_key(NOW).kid
        keys.ensure(NOW + PERIOD - ANNOUNCEMENT)
        keys.ensure(NOW + PERIOD + OVERLAP)

        assert first not in [row["kid"] for row in deployment.rows(tables.signing_keys)]
        assert len(deployment.rows(tables.signing_keys)) == 1

    def test_signing_alone_rotates_the_keys(self, database: Database) -> None:
        """
        Half a year of one signature a day, in whole: no key signs for more than a period and a day.
        """
        keys = some_keys(database)
        used = [keys.signing_key(NOW + day * DAY).kid for day in range(180)]

        assert max(used.count(kid) for kid in used) <= 31
        assert len(set(used)) >= 6

    def test_a_portal_that_slept_through_the_rotation_announces_first_all_the_same(self, database: Database) -> None:
        first = some_keys(database).signing_key(NOW).kid
        late = NOW + 10 * PERIOD
        keys = some_keys(database)

        assert keys.signing_key(late).kid == first
        assert len(kids(keys.public_jwks(late))) == 2
        assert keys.signing_key(late + ANNOUNCEMENT).kid != first

    def test_a_ticket_signed_before_the_change_verifies_after_it(self, database: Database) -> None:
        keys = some_keys(database)
        keys.signing_key(NOW)
        keys.ensure(NOW + PERIOD - ANNOUNCEMENT)
        last = NOW + PERIOD - 1
        ticket = a_ticket(issued_at=last, expires_at=last + 30)
        token = sign_ticket(ticket, key=keys.signing_key(last))

        assert verify_ticket(token, keys=keys.key_set(last + 20), issuer=PORTAL, audience="forecast", now=last + 20)


class TestLostSecret:
    def test_a_key_under_a_lost_secret_signs_no_more_but_is_published_until_its_tokens_are_gone(
        self, database: Database
    ) -> None:
        lost = some_keys(database, a_sealer(secret="a" * 43)).signing_key(NOW).kid
        keys = some_keys(database, a_sealer(secret="b" * 43))
        new = keys.signing_key(NOW + 100).kid

        assert new != lost
        assert kids(keys.public_jwks(NOW + 100)) == [lost, new]
        assert kids(keys.public_jwks(NOW + 100 + OVERLAP)) == [new]

    def test_a_secret_that_is_still_listed_keeps_its_key(self, database: Database) -> None:
        old, new = Secret("a" * 43), Secret("b" * 43)
        before = some_keys(database, Sealer((old,), purpose="signing-keys")).signing_key(NOW).kid

        assert some_keys(database, Sealer((new, old), purpose="signing-keys")).signing_key(NOW).kid == before

    def test_a_worker_that_still_has_the_old_secret_ends_up_with_a_published_key(self, database: Database) -> None:
        """
        During a rolling change each side makes what it needs, and nobody signs with what is not published.
        """
        old = some_keys(database, a_sealer(secret="a" * 43))
        old.signing_key(NOW)
        new = some_keys(database, a_sealer(secret="b" * 43))
        new.signing_key(NOW + 1)
        later = NOW + 1 + OVERLAP + CACHE_TIME

        assert old.signing_key(later).kid in kids(new.public_jwks(later + CACHE_TIME))

    def test_a_key_that_is_no_longer_published_does_not_sign_even_from_memory(self, database: Database) -> None:
        old = some_keys(database, a_sealer(secret="a" * 43))
        first = old.signing_key(NOW).kid
        some_keys(database, a_sealer(secret="b" * 43)).ensure(NOW + 1)
        old.refresh(NOW + OVERLAP)

        assert old.signing_key(NOW + OVERLAP).kid == first
        assert old.signing_key(NOW + OVERLAP + 1).kid != first


class TestMemory:
    def test_the_keys_are_read_once_a_second(self, database: Database) -> None:
        keys = some_keys(database)
        kid = keys.signing_key(NOW).kid
        with database.write() as connection:
            connection.execute(tables.signing_keys.delete())

        assert keys.signing_key(NOW + CACHE_TIME - 1).kid == kid
        assert keys.signing_key(NOW + CACHE_TIME).kid != kid

    def test_a_clock_that_was_set_back_has_them_read_again(self, database: Database) -> None:
        keys = some_keys(database)
        keys.ensure(NOW)

        assert keys.signing_key(NOW - DAY).kid == keys.signing_key(NOW - DAY).kid

    def test_refreshing_finds_the_key_another_process_made(self, database: Database) -> None:
        one, other = some_keys(database), some_keys(database, a_sealer(secret="b" * 43))
        one.ensure(NOW)
        token = sign_ticket(a_ticket(), key=other.signing_key(NOW))

        with pytest.raises(Rejected) as caught:
            verify_ticket(token, keys=one.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW)
        assert caught.value.reason is Rejection.UNKNOWN_KEY
        one.refresh(NOW)
        assert verify_ticket(token, keys=one.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW)

    def test_an_empty_set_verifies_nothing(self, database: Database) -> None:
        token = sign_ticket(a_ticket(), key=some_keys(database).signing_key(NOW))

        with pytest.raises(Rejected):
            verify_ticket(token, keys=KeySet([]), issuer=PORTAL, audience="forecast", now=NOW)
