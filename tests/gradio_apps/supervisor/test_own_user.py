"""Apps that run as users of their own, started by a real supervisor; what it refuses, and which users it obeys."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gradio_apps.runtime.supervisor.document import DocumentError, read_plan
from gradio_apps.runtime.supervisor.env_file import EnvFileUnusable, with_env_file
from gradio_apps.runtime.supervisor.environment import environment_of
from gradio_apps.runtime.supervisor.own_user import HomeUnusable, make_home
from tests.gradio_apps.supervisor.supervising import a_document, an_app, supervised
from tests.processes import PATIENCE

OWNER = {"uid": 70900, "gid": 70900}
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="run the tests as root, on Linux: only root may change user"
)


def owned(*apps: dict[str, Any], owner: object = OWNER, **more: Any) -> str:
    return json.dumps({**json.loads(a_document(*apps)), "owner": owner, **more})


def user(home: Path, *, uid: int = 70001) -> dict[str, Any]:
    return {"uid": uid, "gid": uid, "home": str(home)}


class TestDocument:
    def test_who_runs_what_is_read(self, tmp_path: Path) -> None:
        plan = read_plan(owned(an_app(tmp_path, user=user(tmp_path / "one")), an_app(tmp_path, "other")))
        own, other = (app.user for app in plan.apps)

        assert plan.owner == (70900, 70900)
        assert own is not None
        assert (own.uid, own.gid, own.home) == (70001, 70001, tmp_path / "one")
        assert other is not None, "with root, no app runs as the user that starts it"
        assert (other.uid, other.gid, other.home) == (70900, 70900, None)

    def test_without_an_owner_there_is_nobody_to_become(self, tmp_path: Path) -> None:
        [app] = read_plan(a_document(an_app(tmp_path))).apps

        assert app.user is None

    @pytest.mark.parametrize(
        ("own", "owner", "named"),
        [
            pytest.param({"uid": 0}, OWNER, r"apps\[0\]\.user\.uid", id="an app as root"),
            pytest.param({"gid": 0}, OWNER, r"apps\[0\]\.user\.uid", id="an app of root's group"),
            pytest.param({"uid": -1}, OWNER, r"apps\[0\]\.user\.uid", id="an app that stays who it is"),
            pytest.param({"uid": 2**32}, OWNER, r"apps\[0\]\.user\.uid", id="a number too large"),
            pytest.param({"uid": True}, OWNER, r"apps\[0\]\.user\.uid", id="no number"),
            pytest.param({"uid": 70900}, OWNER, r"owner\.uid", id="an app as the portal's user"),
            pytest.param({"gid": 70900}, OWNER, r"owner\.uid", id="an app of the portal's group"),
            pytest.param({"home": "here"}, OWNER, r"apps\[0\]\.user\.home", id="a folder that begins anywhere"),
            pytest.param({"home": "/"}, OWNER, r"apps\[0\]\.user\.home", id="everything as its folder"),
            pytest.param({}, None, r"document\.owner", id="no owner"),
            pytest.param({}, {"uid": 0, "gid": 5}, r"owner\.uid", id="root as the owner"),
            pytest.param({}, {"uid": 5, "gid": 0}, r"owner\.uid", id="root's group as the owner's"),
            pytest.param({}, {"uid": 5}, r"owner\.gid", id="an owner without a group"),
        ],
    )
    def test_nobody_becomes_whom_they_must_not(
        self, tmp_path: Path, own: dict[str, Any], owner: object, named: str
    ) -> None:
        with pytest.raises(
            DocumentError, match=rf"^{named if named.startswith(('apps', 'doc')) else 'document.' + named}"
        ):
            read_plan(owned(an_app(tmp_path, user={**user(tmp_path / "one"), **own}), owner=owner))

    def test_its_environment_names_only_its_own_folder(self, tmp_path: Path) -> None:
        plan = read_plan(owned(an_app(tmp_path, user=user(Path("/homes/one")))))
        environment = environment_of(plan.apps[0], plan=plan, outer={"HOME": "/root", "TMPDIR": "/roots"}, pause=1)

        assert (environment["HOME"], environment["TMPDIR"]) == ("/homes/one", "/homes/one/tmp")
        assert environment["GRADIO_TEMP_DIR"] == "/homes/one/uploads"


class TestSupplied:
    def test_a_file_of_variables_wins_and_is_secret(self, tmp_path: Path) -> None:
        file = tmp_path / "one.env"
        file.write_text("OWN_KEY=of the file\nNEW=more\n")
        file.chmod(0o600)
        [plan] = read_plan(a_document(an_app(tmp_path, env_file=str(file), secret_names=["OWN_KEY"]))).apps
        app = with_env_file(plan)

        assert app.env == {"MODE": "serve", "OWN_KEY": "of the file", "NEW": "more"}
        assert app.secret_names == ("OWN_KEY", "NEW")
        assert set(app.hidden) == {"the-secret-of-forecast", "of the file", "more"}
        assert "of the file" not in repr(app)

    @pytest.mark.parametrize(
        ("text", "mode", "why"),
        [
            (None, 0, "No such file"),
            ("A=1", 0o644, "it is open to others"),
            ("hush", 0o600, "line 1 is not NAME=value"),
            ("PORTAL_URL=hush", 0o600, "line 1 sets a variable that is reserved"),
            ("A=" + "x" * 70000, 0o600, "it is larger than 64 KiB"),
        ],
        ids=["gone", "open", "no variables", "the guard's", "large"],
    )
    def test_one_that_cannot_be_used_is_a_reason_and_no_value(
        self, tmp_path: Path, text: str | None, mode: int, why: str
    ) -> None:
        file = tmp_path / "one.env"
        if text is not None:
            file.write_text(text)
            file.chmod(mode)
        [plan] = read_plan(a_document(an_app(tmp_path, env_file=str(file)))).apps

        with pytest.raises(EnvFileUnusable) as caught:
            with_env_file(plan)
        assert why in (caught.value.strerror or "")
        assert "hush" not in (caught.value.strerror or "")

    def test_a_pipe_is_no_file_and_does_not_hold_anybody_up(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "one.env", 0o600)
        [plan] = read_plan(a_document(an_app(tmp_path, env_file=str(tmp_path / "one.env")))).apps

        with pytest.raises(EnvFileUnusable) as caught:
            with_env_file(plan)
        assert "it is not a regular file" in (caught.value.strerror or "")

    @pytest.mark.usefixtures("processes")
    def test_the_app_waits_until_it_is_fixed(self, tmp_path: Path) -> None:
        file = tmp_path / "one.env"
        with supervised(a_document(an_app(tmp_path, env_file=str(file)))) as supervisor:
            crash = supervisor.event("app-crashed")
            file.write_text("NEW=of-the-file\n")
            file.chmod(0o600)
            supervisor.event("app-ready")

        assert f"its env_file {file} cannot be used: No such file" in crash["reason"]
        assert "of-the-file" not in "".join(supervisor.lines)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@AS_ROOT
class TestHomes:
    def test_a_folder_is_made_once_for_its_user_alone(self, public: Path) -> None:
        home = public / "homes" / "one"
        make_home(home, uid=70001, gid=70001)
        (home / "kept").touch()
        make_home(home, uid=70001, gid=70001)

        assert (home.stat().st_uid, home.stat().st_gid, stat.S_IMODE(home.stat().st_mode)) == (70001, 70001, 0o700)
        assert (home.parent.stat().st_uid, stat.S_IMODE(home.parent.stat().st_mode)) == (0, 0o755)
        assert (home / "kept").exists()

    def test_another_users_folder_is_not_taken_over(self, public: Path) -> None:
        make_home(public / "one", uid=70001, gid=70001)

        with pytest.raises(HomeUnusable, match="belongs to the user 70001, and the app runs as 70002"):
            make_home(public / "one", uid=70002, gid=70002)

    def test_a_link_leads_nowhere(self, public: Path) -> None:
        (public / "target").mkdir()
        (public / "one").symlink_to(public / "target")

        with pytest.raises(HomeUnusable, match="is not a folder"):
            make_home(public / "one", uid=70001, gid=70001)
        assert (public / "target").stat().st_uid == 0

    @pytest.mark.parametrize(("uid", "mode"), [(70900, 0o755), (0, 0o777), (0, 0o775)])
    def test_where_somebody_else_writes_nothing_is_made(self, public: Path, uid: int, mode: int) -> None:
        around = public / "homes"
        around.mkdir()
        around.chmod(mode)
        os.chown(around, uid, 0)

        with pytest.raises(HomeUnusable, match="must belong to root"):
            make_home(around / "one", uid=70001, gid=70001)
        assert list(around.iterdir()) == []


def tell(path: Path, request: dict[str, Any], *, uid: int) -> dict[str, Any]:
    """What the supervisor at *path* answers to the user *uid*."""
    code = (
        "connection = socket.socket(socket.AF_UNIX)\n"
        "connection.connect(sys.argv[1])\n"
        "connection.sendall(sys.stdin.buffer.read() + b'\\n')\n"
        "print(connection.makefile().readline())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import os, socket, sys, encodings.idna\nos.setuid({uid})\n{code}", str(path)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.usefixtures("processes")
@AS_ROOT
class TestSupervisor:
    @pytest.fixture
    def data(self, public: Path) -> Path:
        folder = public / "data"
        folder.mkdir(mode=0o700)
        os.chown(folder, *OWNER.values())
        return folder

    def test_it_acts_as_its_owner_and_only_root_says_who_runs_what(self, data: Path) -> None:
        """The app cannot be started: it is not its folder.  All the same everything is there, and is the owner's."""
        control = data / "supervisor.sock"
        homes = data.parent / "homes"
        homes.mkdir()
        (homes / "one").mkdir()
        document = owned(an_app(data, "one", user=user(homes / "one")), control=str(control))
        with supervised(document) as supervisor:
            crash = supervisor.event("app-crashed")
            status = Path(f"/proc/{supervisor.process.pid}/status").read_text()
            ids = status.partition("Uid:")[2].split()[:4]
            answers = {
                uid: tell(control, {"do": "reload", "document": json.loads(document)}, uid=uid)
                for uid in (OWNER["uid"], 0)
            }
            listed = tell(control, {"do": "list"}, uid=OWNER["uid"])
            owners = {path.lstat().st_uid for path in data.rglob("*")}

        assert "belongs to the user 0, and the app runs as 70001" in crash["reason"]
        assert ids == ["0", "70900", "0", "70900"]
        assert answers[OWNER["uid"]] == {
            "ok": False,
            "problem": "Apps have users of their own here: only root may reload them.",
        }
        assert answers[0]["ok"]
        assert listed["ok"]
        assert owners == {OWNER["uid"]}

    def test_the_owner_can_neither_end_it_nor_look_into_it(self, data: Path) -> None:
        with supervised(owned(control=str(data / "supervisor.sock"))) as supervisor:
            wait_for_socket(data / "supervisor.sock")
            pid = supervisor.process.pid
            code = (
                f"import os\nos.setuid({OWNER['uid']})\n"
                f"for attempt in (lambda: os.kill({pid}, 0), lambda: open('/proc/{pid}/environ', 'rb'), "
                f"lambda: open('/proc/{pid}/mem', 'rb')):\n"
                "    try:\n        attempt()\n    except PermissionError:\n        print('refused')\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True
            )

        assert done.stdout.split() == ["refused"] * 3

    def test_without_root_it_does_not_begin(self, data: Path) -> None:
        document = owned(an_app(data, user=user(data.parent / "homes" / "one")))
        code = (
            "import os, sys\n"
            "from gradio_apps.runtime.supervisor.__main__ import main\n"
            "os.setuid(70900)\nsys.exit(main(sys.stdin, sys.stderr, os.environ))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=document,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

        assert done.returncode == 2
        assert "changing user takes root, which this process does not have" in done.stderr


def wait_for_socket(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(path))
            return
        assert time.monotonic() < deadline, f"nobody answers at {path}"
        time.sleep(0.05)
