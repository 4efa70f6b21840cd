"""Results of a reload, and changes that cannot be reloaded."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.contract.supervisor_messages import AppStatus, Change
from portal.machine.reloading import Expected, fixed_in, outcome_of
from portal.machine.startup import Launch
from portal.machine.users import Account, Accounts
from portal.machine.workers import children_of
from portal.settings import Secret
from portal.storage.instance_lock import ready_workers, record_ready_worker
from tests.builders import settings_for

RUNNING = AppStatus(
    app="forecast",
    title="Forecast",
    state="running",
    seconds=60,
    pid=100,
    memory=None,
    memory_limit=None,
    restarts=0,
    reason=None,
    pause=None,
    replacing=False,
    leaving=0,
    failed_replacements=0,
    problem=None,
    open={},
    last_start=4.4,
    usual_start=4.0,
    start_timeout=600,
    drain_timeout=120,
    port=7810,
    last_line="",
)


@pytest.mark.parametrize(
    ("change", "now", "outcome"),
    [
        ("replaced", {}, None),
        ("replaced", {"replacing": True}, None),
        ("replaced", {"pid": 200, "replacing": True}, None),
        ("replaced", {"pid": 200, "state": "starting"}, None),
        ("replaced", {"pid": 200}, ("replaced. It came up in 4 s.", True)),
        ("replaced", {"pid": 200, "last_start": None}, ("replaced.", True)),
        (
            "replaced",
            {"failed_replacements": 1, "problem": "It is broken."},
            ("not replaced: It is broken. The old process goes on.", False),
        ),
        (
            "replaced",
            {"state": "stopped", "pid": None},
            ("is stopped, and will have the new configuration when it is started.", True),
        ),
        ("replaced", {"state": "crashed", "reason": "It is broken."}, ("did not come up: It is broken.", False)),
        ("added", {}, ("added. It came up in 4 s.", True)),
        ("added", {"state": "starting"}, None),
        ("added", {"state": "crashed", "reason": "It is broken."}, ("did not come up: It is broken.", False)),
        ("moved", {}, ("moved. It came up in 4 s.", True)),
    ],
)
def test_what_came_of_an_app(change: Change, now: dict[str, Any], outcome: tuple[str, bool] | None) -> None:
    assert outcome_of(Expected(before=RUNNING, change=change), replace(RUNNING, **now)) == outcome


def test_the_new_process_of_a_crashed_app_counts() -> None:
    crashed = replace(RUNNING, state="crashed", reason="The old reason.")
    expected = Expected(before=crashed, change="replaced")

    assert outcome_of(expected, crashed) is None
    again = replace(crashed, pid=None, restarts=crashed.restarts + 1, reason="The new reason.")
    assert outcome_of(expected, again) == ("did not come up: The new reason.", False)


def a_launch(folder: Path, **changes: Any) -> Launch:
    launch = Launch(
        settings=settings_for(folder),
        port=7800,
        environ={},
        app_environ={},
        secrets_from={},
        cwd=folder,
        logs=None,
        workers=2,
        threads=2,
        version="1.0",
    )
    return replace(launch, **changes)


def test_most_things_may_change(tmp_path: Path) -> None:
    old = a_launch(tmp_path)
    settings = settings_for(tmp_path, title="Another", idle_lifetime=60, secret_keys=(Secret("x" * 43),))

    assert list(fixed_in(old, old)) == []
    assert list(fixed_in(old, replace(old, settings=settings, environ={"A": "b"}))) == []


def test_changes_that_need_a_restart_are_named(tmp_path: Path) -> None:
    somebody, app = Account(uid=4711, gid=4711), Account(uid=4712, gid=4712)
    old = a_launch(tmp_path)
    settings = settings_for(tmp_path / "elsewhere", database_url=Secret("postgresql://elsewhere"))
    new = replace(
        old,
        settings=settings,
        port=7900,
        accounts=Accounts(portal=somebody, apps={"forecast": app}),
        version="2.0",
    )

    assert list(fixed_in(old, new)) == [
        "the portal's port",
        "portal.user",
        "whether apps have users of their own",
        "portal.data_dir",
        "PORTAL_DATABASE_URL",
        "the portal itself (version 2.0 is installed, 1.0 is running)",
    ]


def test_a_process_that_answers_says_so_and_those_that_ended_are_forgotten(tmp_path: Path) -> None:

    assert ready_workers(tmp_path) == frozenset()
    (tmp_path / "workers").mkdir()
    gone = 2**22 + 1  # larger than any process id
    (tmp_path / "workers" / str(gone)).touch()
    (tmp_path / "workers" / "note").touch()
    record_ready_worker(tmp_path)

    assert ready_workers(tmp_path) == {os.getpid()}
    assert (tmp_path / "workers" / "note").exists()


def test_a_folder_that_cannot_be_written_does_no_other_harm(tmp_path: Path) -> None:
    (tmp_path / "workers").touch()
    record_ready_worker(tmp_path)

    assert ready_workers(tmp_path) == frozenset()


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose children are whose")
def test_children_are_found(tmp_path: Path) -> None:

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=tmp_path) as child:
        assert child.pid in children_of(os.getpid())
        child.communicate(b"\n")
    assert child.pid not in children_of(os.getpid())
    assert children_of(None) == frozenset()
