"""Client secrets: made once for all processes, sealed, and compared whole."""

import threading

import pytest

from portal.access.app_credentials import AppCredentials
from portal.storage import tables
from portal.storage.database import Database
from tests.portal.store_deployment import Deployment, a_sealer


def credentials(database: Database, *, secret: str = "k" * 43) -> AppCredentials:
    return AppCredentials(database, a_sealer("app-secrets", secret=secret))


def test_an_app_has_one_secret_for_ever(database: Database) -> None:
    one, other = credentials(database), credentials(database)

    assert one.secret_of("forecast") == other.secret_of("forecast")
    assert one.secret_of("forecast") != one.secret_of("reports")
    assert len(one.secret_of("forecast").reveal()) >= 43


def test_the_secret_is_stored_sealed(deployment: Deployment) -> None:
    secret = credentials(deployment.database).secret_of("forecast").reveal()
    (row,) = deployment.rows(tables.app_credentials)

    assert secret not in str(row)


def test_the_right_secret_authenticates(database: Database) -> None:
    known = credentials(database)

    assert known.authenticate("forecast", known.secret_of("forecast").reveal())


def test_a_new_secret_takes_the_place_of_the_old_one(database: Database) -> None:
    known = credentials(database)
    old, other = known.secret_of("forecast").reveal(), known.secret_of("reports")
    new = known.rotate("forecast").reveal()

    assert new != old
    assert known.authenticate("forecast", new)
    assert not known.authenticate("forecast", old)
    assert known.secret_of("reports") == other


def test_a_first_secret_may_be_asked_for_as_a_new_one(database: Database) -> None:
    known = credentials(database)

    assert known.rotate("forecast") == known.secret_of("forecast")


@pytest.mark.parametrize("presented", ["", "wrong", "\udce9", "é", "x" * 100_000, "\0"])
def test_another_secret_does_not(database: Database, presented: str) -> None:
    known = credentials(database)
    known.secret_of("forecast")

    assert not known.authenticate("forecast", presented)


def test_the_secret_of_one_app_is_not_that_of_another(database: Database) -> None:
    known = credentials(database)
    known.secret_of("reports")

    assert not known.authenticate("reports", known.secret_of("forecast").reveal())


@pytest.mark.parametrize("slug", ["nobody", "", "no\0body", "é", "x" * 10_000, "\udce9"])
def test_an_app_without_a_secret_is_not_authenticated_and_gets_none(deployment: Deployment, slug: str) -> None:
    assert not credentials(deployment.database).authenticate(slug, "")
    assert deployment.rows(tables.app_credentials) == []


def test_a_secret_sealed_under_a_lost_key_is_replaced(database: Database) -> None:
    old = credentials(database, secret="a" * 43).secret_of("forecast")
    known = credentials(database, secret="b" * 43)

    assert not known.authenticate("forecast", old.reveal())
    new = known.secret_of("forecast")
    assert new != old
    assert known.authenticate("forecast", new.reveal())


def test_many_who_ask_at_once_get_the_same(database: Database) -> None:
    found: list[str] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        known = credentials(database)
        barrier.wait()
        found.append(known.secret_of("forecast").reveal())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 6
    assert len(set(found)) == 1
