import threading
from collections.abc import Callable

import pytest

from portal.errors import ProviderUnavailable
from portal.sign_in.providers.document_cache import (
    EARLY_PAUSE,
    FRESH,
    REFRESH_PAUSE,
    REFRESH_WAIT,
    STALE,
    DocumentCache,
)
from portal.sign_in.providers.transport import Budget


def constant() -> float:
    return 0.0


class Elapsed:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def fail() -> str:
    raise ProviderUnavailable("down")


def test_threads_that_come_together_fetch_once() -> None:
    fetched: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def load(_: Budget) -> str:
        fetched.append(1)
        begun.set()
        go_on.wait(60)
        return "document"

    kept = DocumentCache(load, monotonic=constant)
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(kept.get(budget=Budget(60)))) for _ in range(4)]
    threads[0].start()
    begun.wait(60)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(60)

    assert got == ["document"] * 4
    assert len(fetched) == 1


def test_no_thread_waits_longer_than_its_budget() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def load(_: Budget) -> str:
        begun.set()
        go_on.wait(60)
        return "document"

    kept = DocumentCache(load, monotonic=constant)
    first = threading.Thread(target=lambda: kept.get(budget=Budget(60)))
    first.start()
    begun.wait(60)
    with pytest.raises(ProviderUnavailable, match="still waiting"):
        kept.get(budget=Budget(0.01))
    go_on.set()
    first.join(60)


def test_who_lost_the_race_for_newer_gets_what_the_winner_fetched() -> None:
    documents = iter([["old"], ["new"]])
    kept = DocumentCache(lambda _: next(documents), monotonic=constant)
    old = kept.get(budget=Budget(60))

    newer = kept.get_newer(old, purpose="sign-in", budget=Budget(60))
    assert newer == ["new"]
    assert kept.get_newer(old, purpose="sign-in", budget=Budget(60)) is newer


def test_a_newer_one_that_cannot_be_had_is_an_error_and_the_old_one_stays() -> None:
    answers: list[Callable[[], str]] = [lambda: "old", fail]
    kept = DocumentCache(lambda _: answers.pop(0)(), monotonic=constant)
    old = kept.get(budget=Budget(60))

    with pytest.raises(ProviderUnavailable):
        kept.get_newer(old, purpose="sign-in", budget=Budget(60))
    assert kept.get(budget=Budget(60)) == "old"


class TestWhileARefreshHangs:
    def test_all_others_get_the_old_document_at_once(self) -> None:
        elapsed, begun, go_on = Elapsed(), threading.Event(), threading.Event()
        documents = iter(["old", "new"])

        def load(_: Budget) -> str:
            document = next(documents)
            if document == "new":
                begun.set()
                go_on.wait(60)
            return document

        kept = DocumentCache(load, monotonic=elapsed)
        kept.get(budget=Budget(60))
        elapsed.seconds = FRESH
        got: list[str] = []
        fetching = threading.Thread(target=lambda: got.append(kept.get(budget=Budget(60))))
        fetching.start()
        begun.wait(60)

        assert kept.get(budget=Budget(0)) == "old"
        elapsed.seconds = STALE - 1
        assert kept.get(budget=Budget(0)) == "old"
        elapsed.seconds = STALE
        with pytest.raises(ProviderUnavailable, match="still waiting"):
            kept.get(budget=Budget(0))

        go_on.set()
        fetching.join(60)
        assert got == ["new"]
        assert kept.get(budget=Budget(0)) == "new"

    def test_who_fetches_keeps_time_for_what_else_there_is_to_ask(self) -> None:
        elapsed, given = Elapsed(), list[float]()

        def load(budget: Budget) -> str:
            given.append(budget.remaining())
            return "document" if len(given) == 1 else fail()

        kept = DocumentCache(load, monotonic=elapsed)
        kept.get(budget=Budget(60))
        elapsed.seconds = FRESH

        assert kept.get(budget=Budget(60)) == "document"
        assert given[1] <= REFRESH_WAIT

    def test_other_threads_do_not_try_again(self) -> None:
        elapsed, fetched = Elapsed(), list[float]()

        def load(_: Budget) -> str:
            fetched.append(elapsed())
            return "document" if len(fetched) == 1 else fail()

        kept = DocumentCache(load, monotonic=elapsed)
        for elapsed.seconds in (0, FRESH, FRESH + 1, FRESH + REFRESH_PAUSE - 1, FRESH + REFRESH_PAUSE):
            assert kept.get(budget=Budget(60)) == "document"

        assert fetched == [0, FRESH, FRESH + REFRESH_PAUSE]


def test_each_purpose_has_its_own_pause_between_early_fetches() -> None:
    """
    Strangers with logout tokens of unknown keys must not keep people out after the provider has replaced its keys.
    """
    elapsed, documents = Elapsed(), iter(range(10))
    kept = DocumentCache(lambda _: next(documents), monotonic=elapsed)
    first = kept.get(budget=Budget(60))

    assert kept.get_newer(first, purpose="logout", budget=Budget(60)) == 1
    assert kept.get_newer(1, purpose="logout", budget=Budget(60)) is None
    assert kept.get_newer(1, purpose="sign-in", budget=Budget(60)) == 2
    assert kept.get_newer(2, purpose="sign-out", budget=Budget(60)) == 3
    assert [kept.get_newer(3, purpose=one, budget=Budget(60)) for one in ("logout", "sign-in", "sign-out")] == [
        None
    ] * 3
    elapsed.seconds += EARLY_PAUSE
    assert kept.get_newer(3, purpose="logout", budget=Budget(60)) == 4
