"""What is done for all tests: the run they are in, and the tier each is of.

A test's tier follows from the fixtures it asks for.  One that asks for none of those in ``_TIERS`` is quick: it starts
no process, and is stopped if it tries.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Container
from functools import wraps
from pathlib import Path
from typing import Any, Final

import pytest

from gradio_apps.runtime.host.self_requests import keep_from_proxies
from tests import run

run.begin()

_TIERS: Final = {
    "processes": "process",
    "postgresql_folder": "postgresql",
    "journey": "journey",
    "playwright": "browser",
}
"""Marker of the tests that ask for a fixture, also by way of others; the slower tiers last."""
_QUICK: Final = "quick"
_ORDER: Final = (_QUICK, *_TIERS.values())
_STARTS: Final = ((subprocess.Popen, "_execute_child"), (os, "fork"), (os, "forkpty"), (os, "posix_spawn"))
"""What starts a process.

No audit hook (PEP 578): while one runs for ``sys.settrace``, CPython 3.11 refuses another thread that is to be traced.
"""
_quick: list[str] = []
"""The test that is running, while it may start none."""
_measured: dict[str, str] = {}
"""What has the coverage of other processes measured, once it is known."""


def pytest_configure() -> None:
    """Have signals mean what they mean at a terminal: a process in the background may ignore some."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    # A proxy of this machine is not for the tests' own clients and processes; tests of proxies set their own.
    keep_from_proxies(os.environ)
    for owner, name in _STARTS:
        setattr(owner, name, _refused_to_quick_tests(getattr(owner, name)))


@pytest.hookimpl(optionalhook=True)  # there may be no pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Use one process more than there are cores: much of what the slower tests do is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tiers, and put the files with slower ones last: each file stays in one process.

    Files with a browser come after all others: from the first on, Playwright's event loop runs, and tests with one of
    their own fail.
    """
    latest: Counter[Path] = Counter()
    for item in items:
        found = [tier for fixture, tier in _TIERS.items() if fixture in getattr(item, "fixturenames", ())]
        for tier in found:
            item.add_marker(tier)
        if tier_of(item) != _QUICK:
            item.add_marker("process")
        latest[item.path] = max(latest[item.path], _ORDER.index(tier_of(item)))
    items.sort(key=lambda item: latest[item.path])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test start processes if it is of a tier that does.

    The coverage of what journeys start is not measured: it would take a good part of their time, and what they run in
    processes of their own, other tests run too.
    """
    _quick[:] = [item.nodeid] if tier_of(item) == _QUICK else []
    for name in [name for name in os.environ if name.startswith("COV")]:
        _measured[name] = os.environ.pop(name)
    if not item.get_closest_marker("journey"):
        os.environ.update(_measured)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Let fixtures of a module or the session end what they started, whichever test is the last to use them."""
    _quick.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests of each tier ran, and how long they took."""
    counts: Counter[str] = Counter()
    seconds: dict[str, float] = dict.fromkeys(_ORDER, 0)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                tier = _latest(report.keywords)
                counts[tier] += report.when == "call"
                seconds[tier] += report.duration
    if counts:
        terminalreporter.section("tiers")
    for tier in _ORDER:
        if counts[tier]:
            terminalreporter.write_line(f"{tier}: {counts[tier]} tests, {seconds[tier]:.0f} s in all processes")


def tier_of(item: pytest.Item) -> str:
    """Return the slowest of the tiers that *item* is of."""
    return _latest({mark.name for mark in item.iter_markers()})


def _latest(names: Container[str]) -> str:
    return next((tier for tier in reversed(_ORDER) if tier in names), _QUICK)


def _refused_to_quick_tests(start: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(start)
    def asked(*args: object, **kwargs: object) -> Any:
        if _quick:
            raise AssertionError(f"{_quick[0]} starts a process; it must ask for the fixture `processes`")
        return start(*args, **kwargs)

    return asked


@pytest.fixture(scope="session")
def processes() -> None:
    """Allow a test, or a fixture, to start processes."""


@pytest.fixture(scope="session")
def journey(processes: None) -> None:
    """Allow what takes real processes, a real provider and most of the time: a person's or an operator's way."""
