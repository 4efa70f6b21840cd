"""The pauses between two starts of an app."""

import pytest

from gradio_apps.runtime.supervisor.restarts import Record, Restart, after_end


def test_pauses_grow_to_a_minute() -> None:
    record, pauses = Record(), []
    for _ in range(9):
        restart = after_end(record, lifetime=0.1, waited=False)
        record = restart.record
        pauses.append(restart.wait)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(("lifetime", "pause"), [(59.9, 32), (60, 1), (600, 1)])
def test_a_minute_of_running_clears_the_record(lifetime: float, pause: int) -> None:
    assert pause == after_end(Record(pause=32), lifetime=lifetime, waited=False).wait


def test_an_app_that_waited_itself_starts_at_once_and_its_wait_does_not_count() -> None:
    assert Restart(wait=0, record=Record(pause=60)) == after_end(Record(pause=60), lifetime=65, waited=True)
    assert Restart(wait=0, record=Record(pause=2)) == after_end(Record(pause=60), lifetime=120, waited=True)
