"""Processes that were started together end together."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from portal.machine.processes import Ended, Processes, Program, tail_of
from portal.machine.users import Account
from tests.processes import PATIENCE

WAITING = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


def a_program(code: str, *, name: str = "a child", log: Path | None = None, document: str | None = None) -> Program:
    argv = [sys.executable, "-c", code]
    return Program(name=name, argv=argv, environ=dict(os.environ), log=log, document=document)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_text(path: Path, text: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if path.exists() and text in (content := path.read_text(encoding="utf-8")):
            return content
        time.sleep(0.05)
    raise AssertionError(f"{text!r} never came")


def wait_for_death(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < deadline, "it still lives"
        time.sleep(0.05)


@pytest.mark.usefixtures("processes")
def test_the_end_of_one_is_noticed_with_its_exit_code_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes().until_stopped() as processes:
        processes.start(a_program(WAITING))
        processes.start(a_program("print('alas'); raise SystemExit(7)", name="the frail one", log=log))
        ended = processes.watch(step=lambda: None)

    assert ended == Ended(name="the frail one", code=7, log=log)
    assert ended.log_tail() == "alas"


@pytest.mark.usefixtures("processes")
def test_leaving_ends_everything(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes().until_stopped() as processes:
        processes.start(a_program(f"import os; print('pid', os.getpid(), flush=True); {WAITING}", log=log))
        pid = int(wait_for_text(log, "pid").split()[1])
        assert is_alive(pid)

    assert not is_alive(pid)


@pytest.mark.usefixtures("processes")
def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes().until_stopped() as processes:
        processes.start(a_program(DEAF, log=log))
        wait_for_text(log, "deaf")

    assert processes.ended() is not None


@pytest.mark.usefixtures("processes")
def test_processes_left_by_a_child_are_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"""
        import subprocess, sys
        print('pid', subprocess.Popen([sys.executable, '-c', {DEAF!r}]).pid, flush=True)
    """
    with Processes().until_stopped() as processes:
        processes.start(a_program(textwrap.dedent(code), log=log))
        text = wait_for_text(log, "deaf")
        pid = int(text.split("pid ")[1].split()[0])
        assert is_alive(pid)

    wait_for_death(pid)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_stops(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Processes().until_stopped() as processes:
        processes.start(a_program(WAITING))
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        assert processes.watch(step=lambda: None) is None

    assert signal.getsignal(number) is before


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    """As nohup arranges it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Processes().until_stopped() as processes:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not processes.stopping.wait(0.2)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("processes")
def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes().until_stopped() as processes:
        processes.start(a_program(DEAF, log=log))
        wait_for_text(log, "deaf")
        os.kill(os.getpid(), signal.SIGTERM)
        assert processes.stopping.wait(PATIENCE)
        assert processes.ended() is None
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while processes.ended() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_nothing_starts_after_a_signal_to_stop() -> None:
    processes = Processes()
    processes.stopping.set()
    processes.start(a_program(WAITING))

    assert processes.ended() is None
    processes.end()


@pytest.mark.usefixtures("processes")
def test_a_document_is_handed_down_by_pipe(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes().until_stopped() as processes:
        processes.start(a_program("import sys; print(sys.stdin.read())", log=log, document='{"secret": 1}'))
        assert processes.watch(step=lambda: None) is not None

    assert tail_of(log) == '{"secret": 1}'


@pytest.mark.usefixtures("processes")
def test_a_child_that_ends_before_it_read_is_noticed_as_ended() -> None:
    with Processes().until_stopped() as processes:
        processes.start(a_program("raise SystemExit(3)", document="x" * 1_000_000))
        ended = processes.watch(step=lambda: None)

    assert ended is not None
    assert ended.code == 3
    assert ended.log_tail() == ""


@pytest.mark.usefixtures("processes")
def test_a_log_is_private_and_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        with Processes().until_stopped() as processes:
            processes.start(a_program("print('once')", log=log))
            processes.watch(step=lambda: None)

    assert log.read_text(encoding="utf-8") == "once\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(5000)), encoding="utf-8")

    assert tail_of(log).splitlines()[-1] == "line 4999"
    assert len(tail_of(log).splitlines()) == 25
    assert tail_of(tmp_path / "missing") == ""


def test_a_tail_is_escaped_for_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]0;owned\x07fine\r\n\tall \xc3\xbc\xff well\xe2\x80\xae\n")

    assert tail_of(log) == "\\x1b]0;owned\\x07fine\n\tall ü\ufffd well\\u202e"


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word for it is Linux's")
def test_children_end_when_the_command_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = f"""
        import os, sys
        from pathlib import Path
        from portal.machine.processes import Processes, Program
        child = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
        with Processes().until_stopped() as processes:
            processes.start(
                Program(name="c", argv=[sys.executable, "-c", child], environ=dict(os.environ), log=Path({str(log)!r}))
            )
            processes.watch(step=lambda: None)
    """
    command = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    try:
        pid = int(wait_for_text(log, "pid").split()[1])
    finally:
        command.kill()
        command.wait()

    wait_for_death(pid)


def test_a_program_runs_as_its_account_or_as_the_current_user() -> None:
    plain = Program(name="c", argv=[], environ={})
    other = Program(name="c", argv=[], environ={}, account=Account(uid=7, gid=8), groups=(9,))

    assert plain.change_of_user == {}
    assert other.change_of_user == {"user": 7, "group": 8, "extra_groups": (9,)}


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="run the tests as root, on Linux")
def test_rights_that_were_put_aside_are_not_inherited(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    tmp_path.chmod(0o755)
    code = f"""
        import os, sys
        from pathlib import Path
        from portal.machine.processes import Processes, Program
        from portal.contract.privileges import drop_privileges
        log = Path({str(log)!r})
        os.chown(log, 70001, 70002)
        with Processes().until_stopped() as processes:
            os.chdir(log.parent)
            drop_privileges(70001, 70002, [70003])
            processes.start(
                Program(name="c", argv=["/usr/bin/env", "cat", "/proc/self/status"], environ={{}}, log=Path("log"))
            )
            while processes.ended() is None:
                pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=PATIENCE, check=True)
    status = dict(line.split(":\t", 1) for line in log.read_text().splitlines() if ":\t" in line)

    assert status["Uid"].split() == ["70001"] * 4
    assert status["Gid"].split() == ["70002"] * 4
    assert status["Groups"].split() == ["70003"]
    assert status["CapPrm"] == "0" * 16
