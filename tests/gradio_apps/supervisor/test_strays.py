"""What belongs to an app, and that all of it ends with the app, whatever it did to stay, and nothing else ever does."""

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.supervisor.cgroups import Cgroup, own_cgroup
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.memory import used_by
from gradio_apps.runtime.supervisor.processes import (
    MARK,
    Process,
    descendants_of,
    end,
    is_stuck,
    look_at,
    mark_of,
    running,
    uid_of,
    with_descendants,
)
from tests.gradio_apps.supervisor.supervising import a_document, an_app, is_alive, is_state, supervised, tell, the_app
from tests.gradio_apps.supervisor.test_own_user import AS_ROOT, OWNER, owned
from tests.ports import free_ports
from tests.processes import PATIENCE

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="run the tests on Linux: elsewhere there is no /proc")
FIRST = 1_000_000 + os.getpid()
"""Number of a user that nobody has, not even another process that runs tests."""
WITHOUT_CGROUPS = """
from gradio_apps.runtime.supervisor import __main__
__main__.open_cgroups = lambda control: None
"""


def own_cgroup_here() -> Path | None:
    return own_cgroup(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())


def why_no_cgroup() -> str | None:
    """Why this process may make no cgroup; ``None`` where it may."""
    try:
        around = own_cgroup_here()
        if around is None:
            return "this process is in no cgroup of version 2"
        probe = around / f"gradio-portal-test-{os.getpid()}"
        probe.mkdir()
        able = (probe / "cgroup.kill").exists()
        probe.rmdir()
    except OSError as error:
        return f"no cgroup can be made here: {error}; run the tests as root, where /sys/fs/cgroup is not read-only"
    return None if able else "cgroups of this system cannot be ended at once: run the tests on Linux 5.14 or newer"


WHY_NO_CGROUP = why_no_cgroup()
CGROUPS = pytest.mark.skipif(WHY_NO_CGROUP is not None, reason=WHY_NO_CGROUP or "")
BOTH_WAYS = pytest.mark.parametrize(
    "before", [pytest.param("", id="cgroup", marks=CGROUPS), pytest.param(WITHOUT_CGROUPS, id="descent")]
)
"""Code that a supervisor runs before it begins, so that apps are held by either."""


def a_process(pid: int, *, parent: int = 1, begun: int | None = None) -> Process:
    return Process(pid=pid, parent=parent, session=pid, begun=pid if begun is None else begun)


def pids(found: frozenset[Process]) -> set[int]:
    return {one.pid for one in found}


def test_what_descends_from_a_process_is_found_wherever_it_went() -> None:
    among = [
        a_process(10),
        a_process(11, parent=10),
        a_process(12, parent=11),
        a_process(13, parent=11, begun=5),  # older: its parent had this number before
        a_process(14, parent=13),
        a_process(20),
        a_process(21, parent=20),
        a_process(30, parent=31, begun=1),
        a_process(31, parent=30, begun=1),  # a circle: looked at at different times
    ]

    assert pids(with_descendants(among[:1], among)) == {10, 11, 12}
    assert pids(with_descendants(among[-1:], among)) == {30, 31}


ROW = "41 31 0:38 {} {} rw,relatime shared:9 - cgroup2 cgroup2 rw"
OTHER = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("mounts", "own", "folder"),
    [
        pytest.param(ROW.format("/", "/sys/fs/cgroup"), "0::/", "/sys/fs/cgroup", id="unified"),
        pytest.param(
            OTHER + ROW.format("/", "/sys/fs/cgroup/unified"),
            "3:cpu:/x\n0::/a.slice/b\n",
            "/sys/fs/cgroup/unified/a.slice/b",
            id="hybrid",
        ),
        pytest.param(ROW.format("/docker/1", "/cg"), "0::/docker/1/x", "/cg/x", id="a part of the tree"),
        pytest.param(ROW.format("/docker/1", "/cg"), "0::/docker/10", None, id="another part"),
        pytest.param(ROW.format("/", "/my\\040cg"), "0::/x", "/my cg/x", id="a blank"),
        pytest.param(ROW.format("/", "/cg"), "0::/../x", None, id="outside of the namespace"),
        pytest.param(OTHER, "3:cpu:/x", None, id="version 1 alone"),
        pytest.param("", "0::/", None, id="not mounted"),
    ],
)
def test_the_own_cgroup_is_found(mounts: str, own: str, folder: str | None) -> None:
    assert own_cgroup(mounts, own) == (None if folder is None else Path(folder))


DEAD_LEADER = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=[600]).start()
print(flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[__import__("platform").machine()], 0)  # exit(2): this thread
"""


@pytest.mark.usefixtures("processes")
@ON_LINUX
class TestThisMachine:
    def test_processes_are_seen_as_they_are(self) -> None:
        child = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={MARK: "ours"})
        try:
            wait_for(lambda: look_at(child.pid) is not None and mark_of(found(child.pid)) == "ours")
            seen = found(child.pid)
            assert seen in running()
            assert (seen.parent, seen.session, uid_of(seen)) == (os.getpid(), child.pid, os.getuid())
            assert used_by([seen])
        finally:
            child.kill()
            wait_for(lambda: look_at(child.pid) is None)  # one that ended and was not yet asked how
            child.wait()
        assert (mark_of(seen), uid_of(seen)) == (None, None)

    def test_another_that_was_given_its_number_is_let_be(self) -> None:
        child = subprocess.Popen(["/bin/sleep", "600"])
        seen = found(child.pid)
        end(replace(seen, begun=seen.begun - 1))
        end(replace(seen, pid=2**22 + 1))
        assert child.poll() is None
        end(seen)

        assert child.wait(PATIENCE) == -signal.SIGKILL

    def test_one_whose_first_thread_ended_runs(self) -> None:
        with subprocess.Popen([sys.executable, "-c", DEAD_LEADER], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            wait_for(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
            seen = found(child.pid)
            end(seen)
            assert child.wait(PATIENCE) == -signal.SIGKILL


def a_machine(proc: Path, *rows: tuple[int, int, str]) -> None:
    """A ``/proc`` with processes: number, parent and the state of a thread beside the first."""
    for pid, parent, state in rows:
        children = " ".join(str(one) for one, of, _ in rows if of == pid)
        for thread, in_state, theirs in ((pid, "S", ""), (pid + 1, state, children)):
            folder = proc / str(pid) / "task" / str(thread)
            folder.mkdir(parents=True)
            stat = f"{thread} (a) b) {in_state} {parent} {pid} {pid} 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 {pid} 0 0"
            (folder / "stat").write_text(stat)
            (folder / "children").write_text(theirs)
            if thread == pid:
                (proc / str(pid) / "stat").write_text(stat)


def test_only_what_descends_from_here_is_looked_at_where_the_system_says_so(tmp_path: Path) -> None:
    """
    With the children of each thread, not with every process of the machine.
    """
    a_machine(tmp_path, (10, 1, "S"), (20, 10, "S"), (30, 20, "S"), (40, 1, "S"), (50, 40, "S"))
    (tmp_path / "40" / "stat").unlink()
    here = look_at(10, proc=tmp_path)
    assert here is not None

    assert pids(descendants_of(here, proc=tmp_path)) == {20, 30}


def test_a_process_with_a_thread_that_waits_in_the_system_is_stuck(tmp_path: Path) -> None:
    a_machine(tmp_path, (10, 1, "S"), (20, 10, "D"))

    assert [is_stuck(pid, proc=tmp_path) for pid in (10, 20, 30)] == [False, True, False]


@dataclass(frozen=True)
class A:
    """Something that was started."""

    pid: int
    uid: int = 0
    mark: str = ""

    def grouped(self) -> frozenset[int]:
        return frozenset()


def test_one_look_is_for_all_apps_that_are_listed_or_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def counted(here: Process) -> frozenset[Process]:
        looks.append(here)
        return frozenset({a_process(20, parent=here.pid), a_process(30, parent=here.pid), a_process(31, parent=30)})

    monkeypatch.setattr("gradio_apps.runtime.supervisor.descendants.descendants_of", counted)
    descendants, apps = Descendants(), [A(20), A(30)]
    for app in apps:
        descendants.add(app)

    assert [pids(descendants.lately_of(app)) for app in apps * 3] == [{20}, {30, 31}] * 3
    assert len(looks) == 1
    assert pids(descendants.of(apps[1])) == {30, 31}
    assert len(looks) == 2


def test_what_was_given_up_belongs_to_no_other_app(monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.getuid()
    seen = frozenset({a_process(20), a_process(21, parent=20)})
    monkeypatch.setattr("gradio_apps.runtime.supervisor.descendants.descendants_of", lambda _here: seen)
    monkeypatch.setattr("gradio_apps.runtime.supervisor.descendants.uid_of", lambda _process: uid)
    descendants, stuck, other = Descendants(), A(20, uid), A(40, uid)
    descendants.add(stuck)
    descendants.give_up(stuck)
    descendants.add(other)

    assert descendants.of(other) == descendants.of(stuck) == frozenset()


STUCK = """
import os, signal
from pathlib import Path

def sparing(signalled, pid_of):
    def send(target, number, *more):
        pid = pid_of(target)
        try:
            stuck = b"OWN_KEY=own-key-of-stuck" in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            stuck = False
        return None if stuck and Path("hold").exists() else signalled(target, number, *more)
    return send

def of_handle(handle):
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])

os.kill = sparing(os.kill, int)
os.killpg = sparing(os.killpg, int)
signal.pidfd_send_signal = sparing(signal.pidfd_send_signal, of_handle)
"""
"""Code that makes a process of one app such as the system cannot end: no signal reaches it while a file is there."""


@pytest.mark.usefixtures("processes")
@ON_LINUX
def test_a_process_that_the_system_cannot_end_holds_up_no_app(
    tmp_path: Path, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its app begins anew without it, the others are kept meanwhile, and it is forgotten once it ends.
    """
    monkeypatch.chdir(tmp_path)
    hold = tmp_path / "hold"
    hold.touch()
    document = a_document(an_app(tmp_path, "stuck"), an_app(tmp_path, "other"), control=str(control))
    with supervised(document, before=WITHOUT_CGROUPS + STUCK) as supervisor:
        pid = the_app(control, is_state("running"), slug="stuck")["pid"]
        other = the_app(control, is_state("running"), slug="other")["pid"]
        try:
            tell(control, {"do": "restart-now", "app": "stuck"})
            tell(control, {"do": "restart-now", "app": "other"})
            the_app(control, lambda app: app["state"] == "running" and app["pid"] != other, slug="other")
            assert is_alive(pid)
            supervisor.event("app-not-ended", app="stuck")
            again = the_app(control, lambda app: app["state"] == "running" and app["pid"] != pid, slug="stuck")
            assert is_alive(pid)
            assert again["memory"]
        finally:
            hold.unlink()
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists())


def everything_of(uid: int) -> frozenset[Process]:
    return frozenset(one for one in running() if uid_of(one) == uid)


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
@BOTH_WAYS
class TestSameUser:
    def test_nothing_goes_on_after_a_stop(self, tmp_path: Path, control: Path, before: str) -> None:
        with supervised(a_document(an_app(tmp_path, mode="escaping"), control=str(control)), before=before):
            port = the_app(control, is_state("running"))["port"]
            outside = the_one_outside(tmp_path)
            assert is_alive(outside)
            tell(control, {"do": "stop", "app": "forecast"})
            the_app(control, is_state("stopped"))
            answers = {httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code for _ in range(8)}

        assert not is_alive(outside)
        assert answers == {503}

    def test_where_the_address_is_kept_nobody_answers_rather_than_what_is_stopped(
        self, tmp_path: Path, control: Path, before: str
    ) -> None:
        [port] = free_ports(1)
        document = a_document(an_app(tmp_path, mode="selfish", port=port), control=str(control))
        with supervised(document, before=before) as supervisor:
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

    def test_nothing_goes_on_after_the_end(self, tmp_path: Path, control: Path, before: str) -> None:
        document = a_document(an_app(tmp_path, mode="escaping"), control=str(control))
        with supervised(document, before=before) as supervisor:
            supervisor.event("app-ready")
            outside = the_one_outside(tmp_path)
            assert supervisor.end() == 0

        assert not is_alive(outside)

    def test_one_of_two_apps_of_a_user_is_ended_with_what_says_that_it_is_its_own(
        self, tmp_path: Path, control: Path, before: str
    ) -> None:
        """What has shed all that says so stays without a cgroup, until no app of that user runs."""
        one = a_script(tmp_path, "one", "(setsid sleep 600 &)\n(env -i setsid sleep 600 &)\nexec sleep 600\n")
        two = a_script(tmp_path, "two", "(env -i setsid sleep 600 &)\nexec sleep 600\n")
        document = a_document(one, two, control=str(control))
        with supervised(document, command=("/bin/sh",), before=before) as supervisor:
            wait_for(lambda: len(below(supervisor.process.pid)) == 5)
            tell(control, {"do": "stop", "app": "one"})
            the_app(control, is_state("stopped"), slug="one")
            left = len(below(supervisor.process.pid))
            still = the_app(control, is_state("starting"), slug="two")
            tell(control, {"do": "stop", "app": "two"})
            the_app(control, is_state("stopped"), slug="two")
            assert not below(supervisor.process.pid)

        assert (left, still["restarts"]) == (3 if before else 2, 0)

    def test_what_lost_its_parent_and_ended_leaves_nothing(self, tmp_path: Path, control: Path, before: str) -> None:
        app = a_script(tmp_path, "one", "(sleep 0.1 &)\nexec sleep 600\n")
        with supervised(a_document(app, control=str(control)), command=("/bin/sh",), before=before) as supervisor:
            pid = supervisor.event("app-started")["pid"]
            children = Path(f"/proc/{supervisor.process.pid}/task/{supervisor.process.pid}/children")
            wait_for(lambda: len(children.read_text().split()) > 1)
            wait_for(lambda: children.read_text().split() == [str(pid)])

    def test_the_mark_of_an_app_is_its_own(self, tmp_path: Path, control: Path, before: str) -> None:
        with supervised(a_document(an_app(tmp_path), an_app(tmp_path, "other"), control=str(control)), before=before):
            asked = [
                httpx.get(f"http://127.0.0.1:{the_app(control, is_state('running'), slug=slug)['port']}/").json()
                for slug in ("forecast", "other")
            ]

        marks = {one["environment"][MARK] for one in asked}
        assert len(marks) == 2
        assert all(re.fullmatch(r"[0-9a-f]{32}", mark) for mark in marks)


def a_script(tmp: Path, slug: str, script: str) -> dict[str, Any]:
    source = tmp / f"{slug}.sh"
    source.write_text(script)
    return an_app(tmp, slug, source=str(source))


def below(pid: int) -> frozenset[Process]:
    return with_descendants([found(pid)], running()) - {found(pid)}


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
    while left := everything_of(FIRST):  # whatever a test that failed has left
        for one in left:
            end(one)


def a_shell_app(public: Path, slug: str, script: str, *, uid: int = FIRST, **changes: Any) -> dict[str, Any]:
    """An app that is a shell script, as a user of its own."""
    source = public / f"{slug}.sh"
    source.write_text(script)
    source.chmod(0o644)
    user = {"uid": uid, "gid": uid, "home": str(public / "homes" / slug)}
    return an_app(public / "data", slug, source=str(source), user=user, **changes)


_LOADED = "import encodings.idna\nfrom gradio_apps.runtime.supervisor.__main__ import main\n"
HIDING = "(env -i setsid sleep 600 &)\n(env -i setsid sh -c 'sleep 600 & sleep 600 & wait' &)\nexec sleep 600\n"
"""Processes that nothing ties to their app but that it started them."""
PERL = pytest.mark.skipif(shutil.which("perl") is None, reason="install perl: a shell's fork bomb ends by itself")
FEW = "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (60, 60))\n"
"""So that a fork bomb costs the test what it must, and no other."""


def left_after_a_stop(public: Path, attack: str, *, before: str = "") -> frozenset[Process]:
    """Return what is left of an app that does *attack*, once it is stopped."""
    control = public / "data" / "supervisor.sock"
    app = a_shell_app(public, "one", f"exec 2> /dev/null\n{attack}exec sleep 600\n")
    with supervised(owned(app, control=str(control)), command=("/bin/sh",), before=before) as supervisor:
        supervisor.event("app-started")
        time.sleep(0.5)  # so that it is well under way
        wait_for(lambda: len(everything_of(FIRST)) > 1)
        tell(control, {"do": "stop", "app": "one"})
        supervisor.event("app-stopped")
        left = frozenset[Process]().union(*(everything_of(FIRST) for _ in range(5)))
    assert "app-not-ended" not in "".join(supervisor.lines)
    return left


@pytest.mark.usefixtures("processes")
@AS_ROOT
@BOTH_WAYS
class TestOwnUser:
    def test_a_stop_ends_everything_it_started(self, public: Path, before: str) -> None:
        control = public / "data" / "supervisor.sock"
        document = owned(a_shell_app(public, "one", HIDING), control=str(control))
        with supervised(document, command=("/bin/sh",), before=before) as supervisor:
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

    def test_a_crash_does_too(self, public: Path, before: str) -> None:
        control = public / "data" / "supervisor.sock"
        app = a_shell_app(public, "one", HIDING.replace("exec sleep 600", "sleep 1; exit 7"))
        with supervised(owned(app, control=str(control)), command=("/bin/sh",), before=before) as supervisor:
            supervisor.event("app-started")
            wait_for(lambda: len(everything_of(FIRST)) > 4)
            assert supervisor.event("app-crashed")["code"] == 7
            assert not everything_of(FIRST)

    def test_what_hides_is_weighed(self, public: Path, before: str) -> None:
        """Sixty megabytes in a shell that nothing ties to the app."""
        hungry = (
            "(env -i setsid sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\\\0\" x); sleep 600' &)\nexec sleep 600\n"
        )
        document = owned(
            a_shell_app(public, "one", hungry, memory=50_000_000), control=str(public / "data" / "supervisor.sock")
        )
        with supervised(document, command=("/bin/sh",), before=before) as supervisor:
            assert supervisor.event("app-over-memory")["used"] > 50_000_000
            assert supervisor.event("app-crashed")["reason"].endswith("more than its limit of 50 MB.")

    @pytest.mark.parametrize(
        "attack",
        [
            pytest.param("perl -e 'fork while 1' &\n", id="a fork bomb", marks=PERL),
            pytest.param("perl -MPOSIX -e 'fork, setsid while 1' &\n", id="one that sheds its group", marks=PERL),
            pytest.param("(while :; do kill -STOP -1; done) &\n" * 2, id="fighting back"),
        ],
    )
    def test_nothing_gets_away(self, public: Path, before: str, attack: str) -> None:
        assert not left_after_a_stop(public, attack, before=FEW + before)

    def test_two_supervisors_leave_each_others_processes_alone(self, public: Path, before: str) -> None:
        """Such as those of two runs of the tests: apps of both have one user."""
        with supervised(owned(a_shell_app(public, "two", HIDING)), command=("/bin/sh",), before=before) as second:
            wait_for(lambda: len(everything_of(FIRST)) == 5)
            theirs = everything_of(FIRST)
            control = public / "data" / "supervisor.sock"
            document = owned(a_shell_app(public, "one", HIDING), control=str(control))
            with supervised(document, command=("/bin/sh",), before=before) as first:
                wait_for(lambda: len(everything_of(FIRST)) == 10)
                tell(control, {"do": "stop", "app": "one"})
                the_app(control, is_state("stopped"), slug="one")
                after_stop = everything_of(FIRST)
                tell(control, {"do": "start", "app": "one"})
                wait_for(lambda: len(everything_of(FIRST)) == 10)
                assert first.end() == 0
            after_end = everything_of(FIRST)
            assert second.process.poll() is None

        assert after_stop == after_end == theirs
        assert not everything_of(FIRST)

    def test_who_signals_what_becomes_their_user_does_not_end_the_supervisor(self, public: Path, before: str) -> None:
        """And what the supervisor did not start goes on, though it runs as the app's user."""
        code = "import os\nos.setuid(int(os.sys.argv[1]))\nprint(flush=True)\nwhile True:\n    os.kill(-1, 15)"
        stranger = subprocess.Popen(
            [sys.executable, "-c", code.replace("import os", "import os, signal, contextlib", 1), str(FIRST)],
            stdout=subprocess.PIPE,
        )
        assert stranger.stdout is not None
        stranger.stdout.readline()
        stranger.stdout.close()
        try:
            document = owned(a_shell_app(public, "one", "exec sleep 600\n"), control=str(public / "data" / "s"))
            with supervised(document, command=("/bin/sh",), before=before) as supervisor:
                for _ in range(3):
                    assert supervisor.event("app-crashed")["code"] == -signal.SIGTERM
                assert supervisor.process.poll() is None
                assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


def cgroup_of(data: Path) -> Path:
    around = own_cgroup_here()
    assert around is not None
    return around / f"gradio-portal-{data.stat().st_dev:x}-{data.stat().st_ino:x}"


@AS_ROOT
@CGROUPS
@pytest.mark.usefixtures("processes")
class TestCgroups:
    @pytest.mark.parametrize("start", ["", "setsid "], ids=["in its group", "and apart"])
    def test_no_chase_gets_away(self, public: Path, start: str) -> None:
        """Each process starts the next and ends: looking for them by descent may come too late, always."""
        attack = f"case $1 in hop) {start}sh $0 hop & exit;; esac\n" + f"{start}sh $0 hop &\n" * 3

        assert not left_after_a_stop(public, attack)

    def test_the_next_supervisor_ends_what_one_that_was_killed_left(self, public: Path) -> None:
        """The app's process itself holds the address that the next one wants."""
        control, [port] = public / "data" / "supervisor.sock", free_ports(1)
        document = owned(a_shell_app(public, "one", HIDING, port=port), control=str(control))
        with supervised(document, command=("/bin/sh",)) as killed:
            wait_for(lambda: len(everything_of(FIRST)) == 5)
            killed.end(signal.SIGKILL)
        before = everything_of(FIRST)
        with supervised(document, command=("/bin/sh",)) as supervisor:
            supervisor.event("app-started")
            assert before.isdisjoint(everything_of(FIRST))
            assert cgroup_of(public / "data").exists()

        assert before
        assert not cgroup_of(public / "data").exists()

    def test_another_supervisor_of_that_folder_takes_nothing_from_one_that_runs(self, public: Path) -> None:
        control = public / "data" / "supervisor.sock"
        document = owned(a_shell_app(public, "one", HIDING), control=str(control))
        with supervised(document, command=("/bin/sh",)) as first:
            wait_for(lambda: len(everything_of(FIRST)) == 5)
            the_app(control, is_state("starting"), slug="one")
            before = everything_of(FIRST)
            with supervised(owned(control=str(control))) as second:
                second.event("control-failed")
            assert everything_of(FIRST) == before
            assert first.end() == 0

        assert not everything_of(FIRST)

    def test_an_app_is_in_one_that_its_user_cannot_leave(self, public: Path) -> None:
        control = public / "data" / "supervisor.sock"
        leaving = f"echo $$ > {cgroup_of(public / 'data').parent}/cgroup.procs\nexec sleep 600\n"
        with supervised(owned(a_shell_app(public, "one", leaving), control=str(control)), command=("/bin/sh",)) as held:
            pid = held.event("app-started")["pid"]
            wait_for(lambda: "cgroup.procs" in Path(an_app(public / "data", "one")["log"]).read_text())
            assert f"/{cgroup_of(public / 'data').name}/one-1\n" in Path(f"/proc/{pid}/cgroup").read_text()

    def test_what_leaves_one_by_the_right_to_it_is_found_by_its_descent(self, tmp_path: Path, control: Path) -> None:
        """An app that runs as the portal's user can leave, where a part of the tree is that user's."""
        around = own_cgroup_here()
        leaving = f"(setsid sh -c 'echo $$ > {around}/cgroup.procs; sleep 600' &)\nexec sleep 600\n"
        app = a_script(tmp_path, "one", leaving)
        with supervised(a_document(app, control=str(control)), command=("/bin/sh",)) as supervisor:
            wait_for(lambda: len(below(supervisor.process.pid)) == 3)
            wait_for(
                lambda: (
                    len({Path(f"/proc/{one}/cgroup").read_text() for one in pids(below(supervisor.process.pid))}) == 2
                )
            )
            tell(control, {"do": "stop", "app": "one"})
            the_app(control, is_state("stopped"), slug="one")
            assert not below(supervisor.process.pid)

    @pytest.mark.parametrize("is_delegated", [True, False])
    def test_an_ordinary_user_has_them_where_a_part_of_the_tree_is_theirs(
        self, public: Path, *, is_delegated: bool
    ) -> None:
        around = own_cgroup_here()
        assert around is not None
        delegated = around / f"gradio-portal-test-{os.getpid()}"
        delegated.mkdir()
        if is_delegated:
            for path in (delegated, delegated / "cgroup.procs"):
                os.chown(path, FIRST, FIRST)
        os.chown(public / "data", FIRST, FIRST)
        become = (
            f"import os\nopen('{delegated}/cgroup.procs', 'w').write('0')\nos.setgroups([])\n"
            f"os.setgid({FIRST})\nos.setuid({FIRST})\n"
        )
        control = public / "data" / "supervisor.sock"
        source = public / "one.sh"
        source.write_text(HIDING)
        source.chmod(0o644)
        document = a_document(an_app(public / "data", "one", source=str(source)), control=str(control))
        try:
            # What the interpreter loads later may lie where that user does not get.
            with supervised(document, command=("/bin/sh",), before=_LOADED + become) as supervisor:
                pid = supervisor.event("app-started")["pid"]
                wait_for(lambda: len(everything_of(FIRST)) == 6)
                inside = Path(f"/proc/{pid}/cgroup").read_text()
                tell(control, {"do": "stop", "app": "one"})
                the_app(control, is_state("stopped"), slug="one")
                assert pids(everything_of(FIRST)) == {supervisor.process.pid}
                assert supervisor.end() == 0
            assert [one for one in delegated.iterdir() if one.is_dir()] == []
        finally:
            Cgroup(delegated).end()

        assert inside.endswith("/one-1\n" if is_delegated else f"/{delegated.name}\n")

    def test_one_within_is_ended_and_removed_too(self) -> None:
        around = own_cgroup_here()
        assert around is not None
        folder = around / f"gradio-portal-test-{os.getpid()}"
        (folder / "within").mkdir(parents=True)
        child = subprocess.Popen(["/bin/sleep", "600"])
        try:
            (folder / "within" / "cgroup.procs").write_text(str(child.pid))
            assert Cgroup(folder).end()
            assert child.wait(PATIENCE) == -signal.SIGKILL
            assert not folder.exists()
        finally:
            child.kill()
            child.wait()
            Cgroup(folder).end()
