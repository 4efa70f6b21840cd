"""What is done for all tests, and with the journeys: those of many processes, most with a browser."""

import os
import signal

import pytest

_TRACED: dict[str, str] = {}
"""What has the coverage of other processes measured, once it is known."""


def pytest_configure() -> None:
    """Have signals mean what they mean at a terminal: what runs in the background may have been told to ignore some."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the journeys last: from the first on, Playwright's event loop runs, and tests with one of their own fail.

    For the same reason a file with journeys in a browser has no other tests: where several processes share the
    tests, each file stays in one.
    """
    items.sort(key=_is_journey)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do not measure the coverage of what journeys start: it would take a good part of their time.

    What they run in processes of their own, other tests run too.
    """
    for name in [name for name in os.environ if name.startswith("COV")]:
        _TRACED[name] = os.environ.pop(name)
    if not _is_journey(item):
        os.environ.update(_TRACED)


def _is_journey(item: pytest.Item) -> bool:
    return item.get_closest_marker("journey") is not None
