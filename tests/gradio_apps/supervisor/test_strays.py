"""What belongs to an app, and that all of it ends with the app, whatever it did to stay."""

import errno
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.supervisor.ending import end, end_all, end_everything_of
from gradio_apps.runtime.supervisor.memory import used_by
from gradio_apps.runtime.supervisor.own_user import OwnUser
from gradio_apps.runtime.supervisor.processes import (
    MARK,
    Process,
    carries,
    is_one_apps_alone,
    look_at,
    of_user,
    running,
    started_by,
)
from tests.gradio_apps.supervisor.supervising import (
    PATIENCE,
    a_document,
    an_app,
    is_alive,
    is_state,
    supervised,
    tell,
    the_app,
)
from tests.gradio_apps.supervisor.test_own_user import AS_ROOT, OWNER, owned
from tests.ports import free_ports

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="run the tests on Linux: elsewhere there is no /proc")
FIRST, SECOND = (1_000_000 + 2 * os.getpid() + at for at in range(2))
"""Numbers of users that nobody has, not even another process that runs tests: whatever runs as them is ended."""


def a_process(pid: int, *, parent: int = 1, session: int | None = None, uid: int = 7, effective: int = 7) -> Process:
    return Process(
        pid=pid, parent=parent, session=pid if session is None else session, uid=uid, effective=effective, begun=pid
    )


VILLAGE = (
    a_process(1, uid=0, effective=0),
    a_process(10),  # the app
    a_process(11, parent=10, session=10),  # its child
    a_process(12, parent=11),  # a grandchild in a session of its own
    a_process(13, parent=12, session=12),
    a_process(14, parent=1, session=10),  # left in its session by a parent that ended
    a_process(15, parent=1),  # marked, and left by everybody
    a_process(16, parent=15),
    a_process(17, parent=10, uid=0, effective=0),  # what became root's
    a_process(18, parent=17),
    a_process(20),  # another app of that user
    a_process(21, parent=20),
    a_process(30, uid=8, effective=8),
    a_process(31, uid=0, effective=8),
    a_process(32, uid=8, effective=0),
)


def pids(found: frozenset[Process]) -> set[int]:
    return {one.pid for one in found}


def test_what_it_started_is_found_wherever_it_went() -> None:
    asked: list[int] = []

    def is_marked(one: Process) -> bool:
        asked.append(one.pid)
        return one.pid in {15, 30}

    assert pids(started_by(10, VILLAGE, uid=7, is_marked=is_marked)) == {10, 11, 12, 13, 14, 15, 16}
    assert asked == [15, 16, 18, 20, 21], "only of that user, and only what is not known by then"


def test_a_user_is_all_that_acts_as_one() -> None:
    strays, spared = of_user(8, VILLAGE, supervisor=10)

    assert (pids(strays), pids(spared)) == ({30, 31, 32}, set())


@pytest.mark.parametrize(
    ("parents", "spared"),
    [
        pytest.param([4], [], id="the supervisor started it"),
        pytest.param([3], [], id="what started the supervisor takes on what lost its parent"),
        pytest.param([1], [], id="or the first of all does"),
        pytest.param([999], [], id="its parent ended just now"),
        pytest.param([5], [50], id="root does something as that user"),
        pytest.param([5, 50, 51], [50, 51, 52], id="and what that starts"),
        pytest.param([4, 50, 5], [52], id="both at once"),
        pytest.param([6], [], id="somebody else started it"),
        pytest.param([51, 50], [], id="a circle"),
    ],
)
def test_what_root_does_as_that_user_is_not_the_apps(parents: list[int], spared: list[int]) -> None:
    machine = [
        a_process(1, parent=0, uid=0, effective=0),
        a_process(3, parent=1, uid=0, effective=0),
        a_process(4, parent=3, uid=0, effective=900),  # the supervisor
        a_process(5, parent=3, uid=0, effective=0),  # a command of root's
        a_process(6, parent=1, uid=9, effective=9),
    ]
    theirs = [a_process(50 + at, parent=parent, uid=8, effective=8) for at, parent in enumerate(parents)]
    found, others = of_user(8, machine + theirs, supervisor=4)
    in_a_container = [replace(one, parent=0) if one.pid == 3 else one for one in machine + theirs]

    assert pids(others) == set(spared)
    assert found | others == set(theirs)
    assert of_user(8, in_a_container, supervisor=4) == (found, others)


def test_parents_in_a_circle_are_no_trouble() -> None:
    circle = (a_process(10, parent=11), a_process(11, parent=10))

    assert pids(started_by(10, circle, uid=7, is_marked=lambda _: False)) == {10, 11}


@pytest.mark.parametrize(
    ("uid", "others", "owner", "here", "alone"),
    [
        pytest.param(70001, [70002], 900, 0, True, id="one app's"),
        pytest.param(70001, [], 900, 0, True, id="the only app's"),
        pytest.param(70001, [70002, 70001], 900, 0, False, id="two apps'"),
        pytest.param(900, [], 900, 0, False, id="the portal's"),
        pytest.param(0, [], 900, 0, False, id="root's"),
        pytest.param(-1, [], 900, 0, False, id="whoever it is"),
        pytest.param(65534, [], 900, 0, False, id="nobody's"),
        pytest.param(70001, [], None, 0, False, id="nobody said who the portal is"),
        pytest.param(70001, [], 900, 1000, False, id="not root's to say"),
        pytest.param(1000, [], 900, 1000, False, id="one's own"),
        pytest.param(1001, [], 900, 0, False, id="a person's"),
    ],
)
def test_a_user_is_one_apps_alone(uid: int, others: list[int], owner: int | None, here: int, *, alone: bool) -> None:
    assert is_one_apps_alone(uid, others=others, owner=owner, here=here, persons={1001}.__contains__) is alone


@pytest.mark.usefixtures("processes")
@ON_LINUX
class TestThisMachine:
    def test_processes_are_seen_as_they_are(self) -> None:
        child = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={MARK: "ours"})
        try:
            wait_for(lambda: look_at(child.pid) is not None and carries("ours")(found(child.pid)))
            seen = found(child.pid)
            assert seen in running()
            assert (seen.parent, seen.session, seen.uid) == (os.getpid(), child.pid, os.getuid())
            assert not carries("our")(seen)
            assert used_by([seen])
        finally:
            child.kill()
            wait_for(lambda: look_at(child.pid) is None)  # one that ended and was not yet asked how
            child.wait()
        assert not carries("ours")(seen)

    def test_another_that_was_given_its_number_is_let_be(self) -> None:
        child = subprocess.Popen(["/bin/sleep", "600"])
        seen = found(child.pid)
        end(replace(seen, begun=seen.begun - 1))
        end(replace(seen, uid=seen.uid + 1))
        end(replace(seen, pid=2**22 + 1))
        assert child.poll() is None
        end(seen)

        assert child.wait(PATIENCE) == -signal.SIGKILL

    def test_what_comes_up_meanwhile_is_ended_too(self) -> None:
        children = [subprocess.Popen(["/bin/sleep", "600"]) for _ in range(3)]
        looks = iter([children[:1], children[:2], children, children])
        end_all(lambda: [seen for one in next(looks) if (seen := look_at(one.pid)) is not None])

        assert [one.wait(PATIENCE) for one in children] == [-signal.SIGKILL] * 3


def everything_of(uid: int) -> frozenset[Process]:
    strays, spared = of_user(uid, running(), supervisor=os.getpid())
    return strays | spared


def found(pid: int) -> Process:
    process = look_at(pid)
    assert process is not None
    return process


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("processes")
@ON_LINUX
class TestSameUser:
    def test_nothing_goes_on_after_a_stop(self, tmp_path: Path, control: Path) -> None:
        with supervised(a_document(an_app(tmp_path, mode="escaping"), control=str(control))):
            port = the_app(control, is_state("running"))["port"]
            outside = the_one_outside(tmp_path)
            assert is_alive(outside)
            tell(control, {"do": "stop", "app": "forecast"})
            the_app(control, is_state("stopped"))
            answers = {httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code for _ in range(8)}

        assert not is_alive(outside)
        assert answers == {503}

    def test_where_the_address_is_kept_nobody_answers_rather_than_what_is_stopped(
        self, tmp_path: Path, control: Path
    ) -> None:
        [port] = free_ports(1)
        document = a_document(an_app(tmp_path, mode="selfish", port=port), control=str(control))
        with supervised(document) as supervisor:
            the_app(control, is_state("running"))
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as open_still:
                open_still.sendall(b"GET /wait/600 HTTP/1.1\r\n\r\n")
                the_app(control, lambda app: bool(app["open"].get("request")))
                tell(control, {"do": "stop", "app": "forecast"})
                problem = supervisor.event("app-not-ended")["problem"]
                with pytest.raises(httpx.ConnectError):
                    httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
                open_still.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone at once
            wait_for(lambda: says_it_is_stopped(port))

        assert problem == f"something keeps its address: {os.strerror(errno.EADDRINUSE)}"

    def test_nothing_goes_on_after_the_end(self, tmp_path: Path) -> None:
        with supervised(a_document(an_app(tmp_path, mode="escaping"))) as supervisor:
            supervisor.event("app-ready")
            outside = the_one_outside(tmp_path)
            assert supervisor.end() == 0

        assert not is_alive(outside)

    def test_the_mark_of_an_app_is_its_own(self, tmp_path: Path, control: Path) -> None:
        with supervised(a_document(an_app(tmp_path), an_app(tmp_path, "other"), control=str(control))):
            asked = [
                httpx.get(f"http://127.0.0.1:{the_app(control, is_state('running'), slug=slug)['port']}/").json()
                for slug in ("forecast", "other")
            ]

        marks = {one["environment"][MARK] for one in asked}
        assert len(marks) == 2
        assert all(re.fullmatch(r"[0-9a-f]{32}", mark) for mark in marks)


def says_it_is_stopped(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code == 503
    except httpx.ConnectError:
        return False


def the_one_outside(tmp: Path) -> int:
    log = Path(an_app(tmp)["log"])
    wait_for(lambda: "outside is" in log.read_text())
    return int(log.read_text().partition("outside is ")[2].split()[0])


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, with what the portal's user keeps in it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "data").mkdir(mode=0o700)
    os.chown(folder / "data", *OWNER.values())
    yield folder
    shutil.rmtree(folder)
    for uid in (FIRST, SECOND):  # whatever a test that failed has left
        for one in everything_of(uid):
            end(one)


def a_shell_app(public: Path, slug: str, script: str, *, uid: int = FIRST, **changes: Any) -> dict[str, Any]:
    """An app that is a shell script, as a user of its own."""
    source = public / f"{slug}.sh"
    source.write_text(script)
    source.chmod(0o644)
    user = {"uid": uid, "gid": uid, "home": str(public / "homes" / slug)}
    return an_app(public / "data", slug, source=str(source), user=user, **changes)


HIDING = "(env -i setsid sleep 600 &)\n(env -i setsid sh -c 'sleep 600 & sleep 600 & wait' &)\nexec sleep 600\n"
"""Processes that nothing ties to their app but whom they run as."""

STUBBORN = """
import ctypes, os, resource, signal, sys
from contextlib import suppress
def fork():
    with suppress(OSError):
        os.fork()
def stop_all():
    with suppress(OSError):
        os.kill(-1, signal.SIGSTOP)
resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))
os.setuid(int(sys.argv[1]))
signal.alarm(120)
print(flush=True)
"""


@pytest.mark.usefixtures("processes")
@AS_ROOT
class TestOwnUser:
    def test_a_stop_ends_everything_of_its_user(self, public: Path) -> None:
        control = public / "data" / "supervisor.sock"
        document = owned(a_shell_app(public, "one", HIDING), control=str(control))
        with supervised(document, command=("/bin/sh",)) as supervisor:
            supervisor.event("app-started")
            wait_for(lambda: len(everything_of(FIRST)) == 5)
            weight = the_app(control, is_state("starting"), slug="one")["memory"]
            tell(control, {"do": "stop", "app": "one"})
            stopped = the_app(control, is_state("stopped"), slug="one")
            assert not everything_of(FIRST)
            tell(control, {"do": "start", "app": "one"})
            wait_for(lambda: len(everything_of(FIRST)) == 5)
            assert supervisor.end() == 0

        assert not everything_of(FIRST)
        assert weight > 0
        assert stopped["memory"] is None
        assert "app-not-ended" not in "".join(supervisor.lines)

    def test_a_crash_does_too(self, public: Path) -> None:
        document = owned(a_shell_app(public, "one", HIDING.replace("exec sleep 600", "sleep 1; exit 7")))
        with supervised(document, command=("/bin/sh",)) as supervisor:
            supervisor.event("app-started")
            wait_for(lambda: len(everything_of(FIRST)) > 4)
            assert supervisor.event("app-crashed")["code"] == 7
            assert not everything_of(FIRST)

    def test_what_hides_is_weighed(self, public: Path) -> None:
        """Ten thousand times ten kilobytes, in a shell that nothing ties to the app."""
        hungry = (
            "(env -i setsid sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\\\0\" x); sleep 600' &)\nexec sleep 600\n"
        )
        document = owned(a_shell_app(public, "one", hungry, memory=50_000_000))
        with supervised(document, command=("/bin/sh",)) as supervisor:
            assert supervisor.event("app-over-memory")["used"] > 50_000_000
            assert supervisor.event("app-crashed")["reason"].endswith("more than its limit of 50 MB.")

    def test_a_user_of_two_apps_is_nobodys_to_end(self, public: Path) -> None:
        control = public / "data" / "supervisor.sock"
        one = a_shell_app(public, "one", HIDING)
        two = {**a_shell_app(public, "two", "exec sleep 600\n"), "user": one["user"]}
        with supervised(owned(one, two, control=str(control)), command=("/bin/sh",)):
            wait_for(lambda: len(everything_of(FIRST)) == 6)
            tell(control, {"do": "stop", "app": "one"})
            the_app(control, is_state("stopped"), slug="one")
            left = everything_of(FIRST)
            still = the_app(control, is_state("starting"), slug="two")

        assert (still["restarts"], still["pid"] in pids(left)) == (0, True)

    @pytest.mark.parametrize(
        "code",
        [
            pytest.param("while True: fork()", id="faster than anybody counts"),
            pytest.param("fork()\nwhile True: stop_all()", id="fighting back"),
            pytest.param("ctypes.CDLL(None).prctl(4, 0)\nwhile True: signal.pause()", id="nobody may look into it"),
        ],
    )
    def test_nothing_gets_away(self, code: str) -> None:
        first = subprocess.Popen(
            [sys.executable, "-c", f"{STUBBORN}{code}", str(FIRST)], stdout=subprocess.PIPE, start_new_session=True
        )
        assert first.stdout is not None
        with first.stdout:
            first.stdout.readline()
        time.sleep(0.2)  # so that it has begun
        assert everything_of(FIRST)
        assert end_everything_of(OwnUser(uid=FIRST, gid=FIRST))
        first.wait(PATIENCE)

        wait_for(lambda: not everything_of(FIRST))

    def test_only_that_user_is_ended(self) -> None:
        become = "import os, signal\nos.setuid({})\nprint(flush=True)\nsignal.pause()"
        children = [
            subprocess.Popen([sys.executable, "-c", become.format(uid)], stdout=subprocess.PIPE)
            for uid in (FIRST, SECOND, 0)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
            child.stdout.close()
        assert end_everything_of(OwnUser(uid=FIRST, gid=FIRST))
        ended = children[0].wait(PATIENCE)
        others = [child.poll() for child in children[1:]]
        for child in children[1:]:
            child.kill()
            child.wait()

        assert (ended, others) == (-signal.SIGKILL, [None, None])

    def test_what_root_does_as_that_user_goes_on(self, public: Path) -> None:
        """As ``portal apps install`` does, while the app that lacks something crashes."""
        code = (
            "import subprocess, sys\n"
            "one = subprocess.Popen(['/bin/sleep', '600'], user=int(sys.argv[1]))\n"
            "print(one.pid, flush=True)\none.wait()"
        )
        command = subprocess.Popen([sys.executable, "-c", code, str(FIRST)], stdout=subprocess.PIPE, text=True)
        assert command.stdout is not None
        with command.stdout:
            installing = int(command.stdout.readline())
        crashing = HIDING.replace("exec sleep 600", "sleep 1; exit 7")
        try:
            with supervised(owned(a_shell_app(public, "one", crashing)), command=("/bin/sh",)) as supervisor:
                wait_for(lambda: len(everything_of(FIRST)) > 5)
                supervisor.event("app-crashed")
                assert pids(everything_of(FIRST)) == {installing}
        finally:
            end(found(installing))
            command.wait(PATIENCE)
