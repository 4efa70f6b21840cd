"""A count per key and window, and how much exceeded it."""

from concurrent.futures import ThreadPoolExecutor

from portal.rules.fixed_window import FixedWindowLimiter

NOW = 1_900_000_000


def test_what_is_too_much_is_left_out_and_reported_once_when_its_window_is_over() -> None:
    limiter: FixedWindowLimiter[str] = FixedWindowLimiter(most=2, window=60)

    assert [limiter.take("a", now=NOW + second) for second in range(5)] == [True, True, False, False, False]
    assert limiter.report_excess(now=NOW + 59) == {}
    assert limiter.report_excess(now=NOW + 60) == {"a": 3}
    assert limiter.report_excess(now=NOW + 61) == {}
    assert limiter.take("a", now=NOW + 61)


def test_a_window_that_was_not_full_has_nothing_to_tell() -> None:
    limiter: FixedWindowLimiter[str] = FixedWindowLimiter(most=2, window=60)
    limiter.take("a", now=NOW)
    limiter.take("a", now=NOW)

    assert limiter.report_excess(now=NOW + 60) == {}


def test_keys_do_not_use_up_each_other() -> None:
    limiter: FixedWindowLimiter[tuple[str, bool]] = FixedWindowLimiter(most=1, window=60)

    assert limiter.take(("a", True), now=NOW)
    assert not limiter.take(("a", True), now=NOW + 30)
    assert limiter.take(("a", False), now=NOW + 30)
    assert limiter.take(("b", True), now=NOW + 30)
    assert limiter.report_excess(now=NOW + 60) == {("a", True): 1}


def test_a_clock_that_was_put_back_ends_a_window() -> None:
    limiter: FixedWindowLimiter[str] = FixedWindowLimiter(most=1, window=60)
    limiter.take("a", now=NOW)
    limiter.take("a", now=NOW)

    assert limiter.report_excess(now=NOW - 3600) == {"a": 1}


def test_threads_lose_no_count() -> None:
    limiter: FixedWindowLimiter[str] = FixedWindowLimiter(most=100, window=60)
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: limiter.take("a", now=NOW), range(1000)))

    assert sum(kept) == 100
    assert limiter.report_excess(now=NOW + 60) == {"a": 900}


def test_what_is_left_out_for_another_reason_is_counted_and_takes_no_room() -> None:
    limiter: FixedWindowLimiter[str] = FixedWindowLimiter(most=2, window=60)
    limiter.leave_out("a", now=NOW)
    limiter.leave_out("a", now=NOW + 1)

    assert limiter.has_room("a", now=NOW + 1)
    assert [limiter.take("a", now=NOW + 2) for _ in range(3)] == [True, True, False]
    assert not limiter.has_room("a", now=NOW + 59)
    assert limiter.has_room("a", now=NOW + 60)
    assert limiter.report_excess(now=NOW + 60) == {"a": 3}
    limiter.leave_out("a", now=NOW + 100)
    limiter.leave_out("a", now=NOW + 160)  # in the next window
    assert limiter.report_excess(now=NOW + 160) == {"a": 1}
