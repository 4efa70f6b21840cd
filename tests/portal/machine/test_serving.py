"""A running ``portal serve``: requests for a reload, and restarts of the supervisor."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.contract.local_sockets import connect_to
from portal.machine import serving
from portal.machine.failure import CommandFailed
from portal.machine.processes import Ended, Processes
from portal.machine.programs import PORTAL, SUPERVISOR
from portal.machine.serving import MOST_REVIVALS, Serving
from portal.machine.startup import Launch
from portal.settings import Secret
from portal.supervisor_socket import reload_socket
from tests.builders import settings_for
from tests.portal.machine.test_reloading import a_launch


@pytest.fixture
def launch() -> Iterator[Launch]:
    """In a folder whose name leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "logs").mkdir()
        yield a_launch(Path(folder), logs=Path(folder) / "logs")


def refusing(reason: str) -> Callable[[], Launch]:
    def configure() -> Launch:
        raise CommandFailed(reason)

    return configure


@pytest.mark.usefixtures("processes")
def test_a_supervisor_is_started_again_but_not_forever(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REVIVAL_PAUSE", 0.0)
    with Processes().until_stopped() as processes:
        one = Serving(processes, launch, configure=lambda: launch)
        for _ in range(MOST_REVIVALS):
            assert one.restart_supervisor(Ended(name=SUPERVISOR, code=-9, log=None))
            assert processes.pid_of(SUPERVISOR) is not None
        assert not one.restart_supervisor(Ended(name=SUPERVISOR, code=-9, log=None))
        assert not one.restart_supervisor(Ended(name=PORTAL, code=1, log=None))


def test_without_its_database_it_is_not_started_again(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serving, "REVIVAL_PAUSE", 0.0)
    (launch.cwd / "file").touch()
    url = Secret(f"sqlite:///{launch.cwd / 'file' / 'portal.db'}")  # in the way of a folder
    away = a_launch(launch.cwd, settings=settings_for(launch.cwd, database_url=url))
    with Processes().until_stopped() as processes:
        assert not Serving(processes, away, configure=lambda: away).restart_supervisor(
            Ended(name=SUPERVISOR, code=1, log=None)
        )

    assert "The apps cannot be started: " in capsys.readouterr().out


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b"[]\n", b"{}\n", b'{"every_app": 1}\n'], ids=len)
def test_nonsense_reloads_nothing(launch: Launch, line: bytes) -> None:
    with Processes().until_stopped() as processes:
        one = Serving(processes, launch, configure=refusing("it was asked"))
        one.open()
        try:
            with connect_to(reload_socket(launch.settings), timeout=30) as connection:
                connection.sendall(line)
                connection.shutdown(1)
                one.step()
                assert connection.recv(100) == b""
        finally:
            one.close()
    assert not reload_socket(launch.settings).exists()


def test_a_refused_reload_is_answered_or_printed(launch: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    processes = Processes()
    one = Serving(processes, launch, configure=refusing("It cannot be."))
    with processes.until_stopped(on_hangup=one.request_reload):
        one.open()
        try:
            with connect_to(reload_socket(launch.settings), timeout=30) as connection:
                connection.sendall(b'{"every_app": true}\n')
                one.step()
                assert json.loads(connection.recv(1000)) == {"lines": ["It cannot be."], "exit_code": 2}
            os.kill(os.getpid(), signal.SIGHUP)
            assert not processes.stopping.is_set()
            one.step()
        finally:
            one.close()

    assert capsys.readouterr().out == "Reload (exit code 2):\nIt cannot be.\n"


def test_a_second_one_with_the_same_folder_is_refused(launch: Launch) -> None:
    with Processes().until_stopped() as processes:
        one, other = (Serving(processes, launch, configure=lambda: launch) for _ in range(2))
        one.open()
        try:
            with pytest.raises(CommandFailed, match="Does another portal serve run with this data folder"):
                other.open()
        finally:
            one.close()
        launch.settings.data_dir.rename(launch.settings.data_dir.with_name("moved-away"))
        with pytest.raises(CommandFailed, match="cannot be opened: No such file"):
            other.open()
        launch.settings.data_dir.with_name("moved-away").rename(launch.settings.data_dir)
