"""A hostile app at each level of isolation: it tries everything, and gets what the level says, no more.

What the table here says of the levels stands in ``docs/security-model.md``, which is held against it.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from portal.contract.supervisor_messages import AppStatus, ListApps
from portal.machine.isolation import OWN_USER, PORTAL_USER
from portal.supervisor_socket import ask
from tests.architecture.pages import page
from tests.journeys import strangers
from tests.ports import free_ports, own_uids
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")

SAMPLE: Final = Path(__file__).parents[1] / "samples" / "hostile.py"
MODEL_KEY: Final = "sk-of-the-model-0123456789"
FILE_SECRET: Final = "secret-of-the-victims-file"
UIDS: Final = own_uids()
GOT, REFUSED = "got", "refused"

TABLE: Final[dict[str, tuple[str, str, frozenset[str]]]] = {
    "the portal's database, `.env` and logs": (
        GOT,
        REFUSED,
        frozenset({"read the database", "read the key", "make a file in the data folder"}),
    ),
    "changing `portal.toml`": (GOT, REFUSED, frozenset({"write the configuration"})),
    "environment and descriptors of portal, supervisor and other apps": (
        GOT,
        REFUSED,
        frozenset(
            f"{what} of {whom}"
            for what in ("environment", "descriptors")
            for whom in ("portal", "supervisor", "victim")
        ),
    ),
    "their memory, and tracing them": (
        GOT,
        REFUSED,
        frozenset(
            {f"memory of {whom}" for whom in ("portal", "supervisor", "victim")}
            | {f"trace {whom}" for whom in ("portal", "supervisor", "victim")}
        ),
    ),
    "ending them": (GOT, REFUSED, frozenset({"signal portal", "signal supervisor", "signal victim"})),
    "other apps' logs, files and `env_file`": (
        GOT,
        REFUSED,
        frozenset({"read the victim's log", "read the victim's env_file", "make a file in the victim's folder"}),
    ),
    "the supervisor's control socket": (GOT, REFUSED, frozenset({"control socket"})),
    "becoming root": (REFUSED, REFUSED, frozenset({"become root"})),
    "a session of another app, by its own secret": (
        REFUSED,
        REFUSED,
        frozenset(
            {
                "session of victim, forged",
                "session of victim, asked for",
                "session of victim, asked for as oneself",
            }
        ),
    ),
    "its own client secret": (GOT, GOT, frozenset({"own client secret"})),
}
"""What is tried, what comes of it as the portal's user and as a user of its own, and the attempts of the sample."""
_YAMA: Final = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder that everybody reaches, an interpreter, and the portal's user."""

    folder: Path
    python: str
    user: pwd.struct_passwd


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """What running something as somebody else takes."""
    why_not = strangers.missing()
    if why_not is not None:
        pytest.skip(why_not)
    # Not pytest's own, which only its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Machine(folder, strangers.python_for_all(), pwd.getpwnam(strangers.a_system_user()))


class Running:
    """``portal serve`` with a hostile app and its victim."""

    def __init__(self, machine: Machine, folder: Path, isolation: str) -> None:
        self.machine = machine
        self.folder = folder
        self.data = folder / "data"
        self.port, hostile, victim = free_ports(3)
        self.ports = {"hostile": hostile, "victim": victim}
        self.output = folder / "output"
        shutil.copy(SAMPLE, folder / "app.py")
        (folder / "app.py").chmod(0o644)
        toml = f"""
        [portal]
        url = "http://portal.demo.localhost:{self.port}"
        apps_url = "http://{{app}}.demo.localhost:{{port}}"
        data_dir = "data"
        user = "{machine.user.pw_name}"
        {isolation}
        [[providers]]
        id = "company"
        issuer = "http://127.0.0.1:9"
        client_id = "portal"
        client_secret_env = "COMPANY_CLIENT_SECRET"
        [apps.hostile]
        source = "app.py"
        port = {hostile}
        open_to = ["everyone"]
        env = {{ TARGETS = "{folder}/targets.json" }}
        [apps.victim]
        source = "app.py"
        port = {victim}
        open_to = ["everyone"]
        env_file = "victim.env"
        secrets = ["MODEL_KEY"]
        """
        self._own("portal.toml", toml, mode=0o644)
        self._own(".env", f"MODEL_KEY={MODEL_KEY}\nCOMPANY_CLIENT_SECRET=client-secret-of-ours\n", mode=0o600)
        self._own("victim.env", f"FILE_SECRET={FILE_SECRET}\n", mode=0o600)

    def _own(self, name: str, text: str, *, mode: int) -> None:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        os.chown(path, self.machine.user.pw_uid, self.machine.user.pw_gid)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "PORTAL_SECRET_KEY": "zB1-kept-from-everybody-0123456789abcdefgh", "HOME": "/root"}

    def command(self, *arguments: str) -> list[str]:
        return [self.machine.python, "-P", "-m", "portal.cli", *arguments]

    def say(self, *arguments: str, code: int = 0) -> str:
        """What the command answers, as root asks."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        logs = "\n".join(path.read_text(encoding="utf-8") for path in self.data.glob("logs/*.log"))
        assert done.returncode == code, f"{done.stdout}\n{logs[-8000:]}"
        return done.stdout

    def app(self, slug: str) -> AppStatus:
        """How the supervisor says that an app stands."""
        return next(one for one in ask(self.data / "supervisor.sock", ListApps()).apps if one.app == slug)

    def log(self, app: str) -> str:
        return (self.data / "logs" / f"{app}.log").read_text(encoding="utf-8")


@contextmanager
def running(machine: Machine, isolation: str) -> Iterator[Running]:
    """``portal serve``, until the block ends; everything has ended then."""
    folder = Path(tempfile.mkdtemp(dir=machine.folder))
    folder.chmod(0o755)
    deployment = Running(machine, folder, isolation)
    with deployment.output.open("wb") as output:
        process = subprocess.Popen(
            deployment.command("serve", "--no-browser"),
            cwd=folder,
            env=deployment.environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: "All apps are running." in deployment.output.read_text(), process, deployment)
        yield deployment
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def wait_for(condition: Any, process: "subprocess.Popen[bytes]", deployment: Running) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, deployment.output.read_text()
        assert time.monotonic() < deadline, deployment.output.read_text()
        time.sleep(0.1)


def process_of(deployment: Running, words: str) -> int:
    """The number of the first process of *house* whose command line has *words*."""
    for entry in sorted(Path("/proc").iterdir(), key=lambda one: one.name.zfill(9)):
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                inside = (entry / "cwd").readlink() == deployment.folder
            except OSError:
                continue
            if words in line and inside:
                return int(entry.name)
    raise AssertionError(f"no process has {words!r} in its command line")


def let_loose(deployment: Running, victims_folder: Path) -> dict[str, Any]:
    """Give the hostile app its targets, and return what it says it got."""
    data = deployment.data
    targets = {
        "portal": {
            "pid": process_of(deployment, "gunicorn"),
            "port": deployment.port,
            "host": f"portal.demo.localhost:{deployment.port}",
        },
        "supervisor": process_of(deployment, "gradio_apps.runtime.supervisor"),
        "victim": {
            "pid": deployment.app("victim").pid,
            "port": deployment.ports["victim"],
            "host": f"victim.demo.localhost:{deployment.ports['victim']}",
            "cookie": "__Host-portal-app-victim",
            "session": "0123456789abcdef",
        },
        "control": str(data / "supervisor.sock"),
        "read": {
            "the database": str(data / "portal.db"),
            "the key": str(deployment.folder / ".env"),
            "the victim's log": str(data / "logs" / "victim.log"),
            "the victim's env_file": str(deployment.folder / "victim.env"),
        },
        "write": {"the configuration": str(deployment.folder / "portal.toml")},
        "make": {"the data folder": str(data), "the victim's folder": str(victims_folder)},
    }
    new = deployment.folder / "targets.new"
    new.write_text(json.dumps(targets), encoding="utf-8")
    new.chmod(0o644)
    new.rename(deployment.folder / "targets.json")
    deadline = time.monotonic() + PATIENCE
    while "HOSTILE {" not in deployment.log("hostile"):
        assert time.monotonic() < deadline, deployment.log("hostile")
        time.sleep(0.1)
    line = next(line for line in deployment.log("hostile").splitlines() if line.startswith("HOSTILE {"))
    facts: dict[str, Any] = json.loads(line.removeprefix("HOSTILE "))
    return facts


def expected(column: int) -> dict[str, str]:
    return {attempt: (first, second)[column] for first, second, attempts in TABLE.values() for attempt in attempts}


def is_up(deployment: Running) -> bool:
    answer = httpx.get(
        f"http://127.0.0.1:{deployment.port}/healthz",
        headers={"Host": f"portal.demo.localhost:{deployment.port}"},
        timeout=PATIENCE,
        trust_env=False,
    )
    return answer.status_code == 200


@pytest.fixture(scope="module")
def own_user(machine: Machine) -> Iterator[Running]:
    """Apps as users of their own."""
    with running(machine, f'app_uids = "{UIDS[0]}-{UIDS[-1]}"') as deployment:
        yield deployment


def test_a_user_of_its_own_gets_nothing_of_portal_and_other_apps(own_user: Running) -> None:
    facts = let_loose(own_user, own_user.folder / "data-apps" / "victim")
    got = {attempt: outcome for attempt, (outcome, _) in facts["tried"].items()}

    assert got == expected(1), facts["tried"]
    reasons = {attempt: why for attempt, (outcome, why) in facts["tried"].items() if outcome == REFUSED}
    assert {attempt: why for attempt, why in reasons.items() if not why.startswith("PermissionError: ")} == {}
    assert reasons["session of victim, forged"].startswith("PermissionError: 401")
    assert is_up(own_user)
    assert own_user.app("victim").restarts == 0


def test_a_user_of_its_own_has_given_up_everything_else(own_user: Running) -> None:
    facts = let_loose(own_user, own_user.folder / "data-apps" / "victim")
    (real, effective, saved), groups, others = facts["ids"]
    status, environment, home = facts["status"], facts["environment"], own_user.folder / "data-apps" / "hostile"

    assert real == effective == saved == groups[0] == groups[1] == groups[2]
    assert real in UIDS
    assert others == []
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], facts["umask"], facts["session"]) == ("1", 0o077, True)
    ours = [path for path in facts["inherited"] if path.startswith(str(own_user.folder))]
    assert ours == [str(own_user.data / "logs" / "hostile.log")]
    assert (environment["HOME"], environment["TMPDIR"]) == (str(home), str(home / "tmp"))
    assert not {"PORTAL_SECRET_KEY", "COMPANY_CLIENT_SECRET", "MODEL_KEY", "FILE_SECRET"} & environment.keys()
    for folder in (home, home / "tmp", home / "uploads"):
        assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (real, 0o700)


def test_the_portal_runs_as_its_user_and_owns_what_it_keeps(own_user: Running) -> None:
    uid = own_user.machine.user.pw_uid
    ids = Path(f"/proc/{process_of(own_user, 'gunicorn')}/status").read_text().partition("Uid:")[2].split()[:4]

    assert ids == [str(uid)] * 4
    assert {path.lstat().st_uid for path in (own_user.data, *own_user.data.rglob("*"))} == {uid}
    assert own_user.data.stat().st_mode & 0o777 == 0o700


def test_no_secret_is_shown_anywhere(own_user: Running) -> None:
    """The victim printed both of its secrets."""
    page = httpx.get(
        f"http://127.0.0.1:{own_user.ports['victim']}/",
        headers={"Host": f"victim.demo.localhost:{own_user.ports['victim']}", "Accept": "text/html"},
        timeout=PATIENCE,
        trust_env=False,
    )
    assert MODEL_KEY in own_user.log("victim")
    assert FILE_SECRET in own_user.log("victim")
    shown = [
        own_user.say("apps", "logs", "victim"),
        own_user.say("apps", "status", "victim"),
        own_user.say("apps", "list"),
        own_user.say("check"),
        own_user.output.read_text(),
        page.text,
    ]

    assert [text for text in shown if MODEL_KEY in text or FILE_SECRET in text] == []
    assert "begun with ******** ********" in shown[0]
    assert "own-user" in shown[3]


def test_an_app_is_restarted_and_gets_what_its_file_says_then(own_user: Running) -> None:
    changed = "another-secret-of-the-file"
    (own_user.folder / "victim.env").write_text(f"FILE_SECRET={changed}\n", encoding="utf-8")
    own_user.say("apps", "restart", "victim")
    deadline = time.monotonic() + PATIENCE
    while changed not in own_user.log("victim"):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert changed not in own_user.say("apps", "logs", "victim")
    assert "********" in own_user.app("victim").last_line


def test_the_portals_user_gets_what_the_portal_has(machine: Machine) -> None:
    with running(machine, "trust_apps = true") as deployment:
        facts = let_loose(deployment, deployment.data / "tmp" / "victim")
        up = is_up(deployment)
    got = {attempt: outcome for attempt, (outcome, _) in facts["tried"].items()}
    wanted = expected(0)
    if _YAMA.exists() and _YAMA.read_text().strip() != "0":  # the system forbids tracing, whoever asks
        for attempt in TABLE["their memory, and tracing them"][2]:
            del got[attempt], wanted[attempt]

    assert got == wanted, facts["tried"]
    assert facts["ids"][0] == [machine.user.pw_uid] * 3
    assert facts["status"]["CapPrm"] == "0" * 16
    assert not {"PORTAL_SECRET_KEY", "COMPANY_CLIENT_SECRET", "MODEL_KEY", "FILE_SECRET"} & facts["environment"].keys()
    assert up


def test_the_security_model_says_the_same() -> None:
    rows = page("docs/security-model.md").rows("What a hostile app gets")

    assert [tuple(row[:3]) for row in rows] == [(what, first, second) for what, (first, second, _) in TABLE.items()]
    assert f"`{PORTAL_USER.word}` | `{OWN_USER.word}`" in page("docs/security-model.md").text


def test_root_reloads_everything_and_everybody_stays_who_they_are(own_user: Running) -> None:
    before = {slug: own_user.app(slug).pid for slug in own_user.ports}
    said = own_user.say("reload", "--apps")
    ids = {
        slug: Path(f"/proc/{own_user.app(slug).pid}/status").read_text().partition("Uid:")[2].split()[:4]
        for slug in own_user.ports
    }
    portal = Path(f"/proc/{process_of(own_user, 'gunicorn')}/status").read_text().partition("Uid:")[2].split()[:4]

    assert "The portal: its processes are new.\nhostile: replaced." in said
    assert "victim: replaced." in said
    assert all(own_user.app(slug).pid != pid for slug, pid in before.items())
    assert all(len(set(own)) == 1 and int(own[0]) in UIDS for own in ids.values()), ids
    assert ids["hostile"] != ids["victim"]
    assert portal == [str(own_user.machine.user.pw_uid)] * 4


def test_what_was_stopped_does_not_go_on(own_user: Running) -> None:
    """It has a process that waits for its end, in a session and an environment of its own, with the app's socket."""
    uid = Path(f"/proc/{own_user.app('hostile').pid}").stat().st_uid
    before = processes_of(uid)
    own_user.say("apps", "stop", "hostile")
    answers = {
        httpx.get(f"http://127.0.0.1:{own_user.ports['hostile']}/", timeout=PATIENCE, trust_env=False).status_code
        for _ in range(5)
    }

    assert len(before) > 1
    assert processes_of(uid) == set()
    assert answers == {503}


def processes_of(uid: int) -> set[str]:
    """The processes of the user *uid* that have not ended."""
    states = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                status = (folder / "status").read_text()
                if status.partition("\nUid:")[2].split()[0] == str(uid):
                    states[folder.name] = status.partition("State:")[2].split()[0]
    return {pid for pid, state in states.items() if state != "Z"}
