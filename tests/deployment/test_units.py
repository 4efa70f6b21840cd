"""The page's way from ``portal init`` to TLS, step by step, and the units it leads to, started as systemd would.

systemd itself is not there: a unit's command is run with its environment, files and credentials, and an app's socket is
handed over by ``systemd-socket-activate``, in the real protocol.  Users, and what hardening forbids, are not tried.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from dotenv import dotenv_values

from tests.architecture.pages import page
from tests.architecture.sources import ROOT
from tests.certificates import issue
from tests.journeys.plain_browser import PlainBrowser
from tests.journeys.reverse_proxy import nginx, whole_configuration
from tests.ports import free_ports
from tests.processes import PATIENCE
from tests.provider.process import Person, a_client, running_provider

pytestmark = pytest.mark.usefixtures("journey")

SECTION: Final = "From `portal init` to TLS"
NOT_RUN: Final = {
    "python3": "the packages are there; how they are installed is tried with the Dockerfile's own steps",
    "/opt/gradio-portal/bin/pip": "as above",
    "ln": "the command is on the path of the test",
    "useradd": "the users of a machine are not a test's to make",
    "systemctl": "there is no systemd to speak to; the units are started below",
    "nginx": "it is started below, with what was written",
}
"""First words of commands that are not run, and why."""
RUN: Final = {"cd", "export", "install", "mv", "portal", "set", "systemd-run"}
"""The others; of ``systemd-run`` the command that it runs."""


def activator() -> str:
    """Return the path of ``systemd-socket-activate``; skip the test where there is none."""
    found = shutil.which("systemd-socket-activate")
    if found is not None:
        return found
    explanation = "install systemd (Debian: apt-get install systemd) to hand sockets over as it does"
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


def blocks() -> list[list[str]]:
    """Return the commands of the section, one list for each block; lines that go on are joined."""
    text = page("docs/deploy.md").text.partition(f"## {SECTION}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [re.findall(r"^# (.+)$", block.replace("\\\n", " "), re.MULTILINE) for block in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit, with places and numbers of the machine as they are here."""

    settings: Mapping[str, list[str]]

    def environment(self, *, credentials: Path) -> dict[str, str]:
        """Return what systemd would give the process: ``EnvironmentFile`` over ``Environment`` (systemd.exec(5))."""
        environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        for line in self.settings.get("Environment", []):
            environ |= dict(word.split("=", 1) for word in words(line))
        for file in self.settings.get("EnvironmentFile", []):
            written = dotenv_values(file, interpolate=False)
            environ |= {name: value for name, value in written.items() if value is not None}
        for line in self.settings.get("LoadCredential", []):
            name, _, source = line.partition(":")
            credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy(source, credentials / name)
        return environ

    @property
    def command(self) -> list[str]:
        """The words of ``ExecStart``."""
        [line] = self.settings["ExecStart"]
        return [word.replace("$$", "$") for word in words(line)]


def words(line: str) -> list[str]:
    """Split *line* as systemd.syntax(7) has it: quoted words with escapes, or plain ones."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain).replace("%%", "%") for quoted, plain in found]


class Machine:
    """A folder that stands for the machine's root."""

    def __init__(self, root: Path, stack: contextlib.ExitStack) -> None:
        self.root = root
        self.stack = stack
        self.port, self.app_port, self.front = free_ports(3)
        self.url = f"https://portal.demo.localhost:{self.front}"
        self.app = f"https://forecast.apps.demo.localhost:{self.front}"
        for folder in ("etc/nginx/conf.d", "etc/systemd", "etc/ssl/private", "srv/apps", "run", "bin", "var/lib"):
            (root / folder).mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "samples" / "interface.py", root / "srv" / "apps" / "forecast.py")
        made = issue(root, ["portal.demo.localhost", "*.apps.demo.localhost"])
        made.certificate.rename(root / "etc" / "ssl" / "portal.pem")
        made.key.rename(root / "etc" / "ssl" / "private" / "portal.key")
        self.program("portal", f'exec {shlex.quote(sys.executable)} -m portal.cli "$@"')
        self.program("systemd-run", 'while [ "${1##*/}" != portal ]; do shift; done\nexec "$@"')

    def program(self, name: str, text: str) -> None:
        """Put a program on the path."""
        file = self.root / "bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def here(self, text: str) -> str:
        """Return *text* with the machine's places under our root."""
        text = text.replace("/usr/local/bin/portal", str(self.root / "bin" / "portal"))
        places = r'(?<![\w/.])/(?:etc|srv|var/lib)(?=[/\s"]|$)'
        # The tests may themselves lie below one of these places.
        pieces = re.split(f"({re.escape(sys.prefix)})", text)
        return "".join(one if one == sys.prefix else re.sub(places, rf"{self.root}\g<0>", one) for one in pieces)

    def sh(self, commands: list[str]) -> str:
        """Run *commands* in one shell, and return what it said."""
        run = [one for one in commands if one.split()[0].rstrip(";") not in NOT_RUN]
        assert {one.split()[0].rstrip(";") for one in run} <= RUN
        environ = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "HOME": str(self.root), "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["sh", "-eu", "-c", "\n".join(map(self.here, run))],
            cwd=self.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def unit(self, name: str) -> Unit:
        """Return the unit called *name*, as it was written."""
        text = (self.root / "etc" / "systemd" / "system" / name).read_text()
        text = self.here(text).replace("/etc/gradio-portal/", f"{self.root}/etc/gradio-portal/")
        text = text.replace(f"{self.root}{self.root}", str(self.root))
        for specifier, place in (("%S", "var/lib"), ("%t", "run"), ("%d", f"credentials/{name}")):
            text = re.sub(rf"(?<!%){specifier}", str(self.root / place), text)
        settings: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, separator, value = line.partition("=")
            if separator and not line.startswith("#"):
                settings.setdefault(key, []).append(value)
        return Unit(settings=settings)

    def start(self, name: str, *, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start the service *name*; *before* stands before its command, and is handed its environment by ``-E``."""
        unit = self.unit(name)
        environ = unit.environment(credentials=self.root / "credentials" / name)
        for folder in unit.settings.get("RuntimeDirectory", []):
            (self.root / "run" / folder).mkdir(mode=0o700)
        for folder in unit.settings.get("StateDirectory", []):
            (self.root / "var" / "lib" / folder.strip('"')).mkdir(mode=0o700, exist_ok=True)
        handed = [part for pair in environ.items() if before for part in ("-E", "=".join(pair))]
        [cwd] = unit.settings.get("WorkingDirectory", ["/"])
        log = self.stack.enter_context((self.root / f"{name}.log").open("wb"))
        command = [*before, *handed, *unit.command]
        process = subprocess.Popen(command, env=environ, cwd=cwd, stdout=log, stderr=log)
        self.stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_every_step_is_run_or_has_its_reason() -> None:
    first = {one.split()[0].rstrip(";") for block in blocks() for one in block}

    assert first == NOT_RUN.keys() | RUN


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    activator(), nginx()  # or skip, before everything else is started
    with contextlib.ExitStack() as stack:
        machine = Machine(tmp_path, stack)
        provider = stack.enter_context(running_provider(a_client(machine.url)))
        ours = {
            "https://portal.example.com": machine.url,
            "apps.example.com": f"apps.demo.localhost:{machine.front}",
            "https://id.example.com": provider.issuer,
        }
        begun, done = ([_replaced(one, ours) for one in block] for block in blocks())
        said = machine.sh(begun)
        assert "portal.toml and .env are written. Next:" in said
        # What is the operator's to do, and what would clash with another test.
        toml, dotenv = tmp_path / "etc" / "gradio-portal.toml", tmp_path / "etc" / "gradio-portal" / "portal.env"
        own = f'internal_url = "http://127.0.0.1:{machine.port}"\napps_port = {machine.app_port}\n'
        text = toml.read_text().replace("[portal]\n", f"[portal]\n{own}")
        toml.write_text(text.replace("/var/lib", f"{tmp_path}/var/lib"))
        secret = "COMPANY_CLIENT_SECRET="
        dotenv.write_text(dotenv.read_text().replace(secret, f"{secret}{provider.client_secret}"))
        assert "The configuration has no problems." in machine.sh(done)
        yield machine


def _replaced(text: str, ours: Mapping[str, str]) -> str:
    for theirs, own in ours.items():
        text = text.replace(theirs, own)
    return text


def wait_for(browser: PlainBrowser, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with contextlib.suppress(OSError):
            if browser.get(url).status_code == 200:
                return
        time.sleep(0.2)


def test_the_steps_lead_to_units_that_serve_people(machine: Machine) -> None:
    root = machine.root
    portal = machine.start("gradio-portal.service")
    [listen] = machine.unit("gradio-app-forecast.socket").settings["ListenStream"]
    app = machine.start("gradio-app-forecast.service", before=(activator(), "--listen", listen))
    whole = whole_configuration(root, root / "etc" / "nginx" / "conf.d" / "*.conf")
    front = subprocess.Popen([nginx(), "-p", str(root), "-c", str(whole)])
    machine.stack.callback(_end, front)

    browser = PlainBrowser(authority=root / "authority.pem")
    wait_for(browser, f"{machine.url}/readyz", portal, root / "gradio-portal.service.log")
    # Nothing of the app runs before somebody comes.
    program = (Path("/proc") / str(app.pid) / "cmdline").read_bytes().split(b"\0")[0]
    assert program.endswith(b"systemd-socket-activate")
    wait_for(browser, f"{machine.app}/.portal/health", app, root / "gradio-app-forecast.service.log")

    assert browser.get(f"{machine.app}/config").headers["Location"] == f"{machine.url}/apps/forecast/config"
    asked = browser.get(f"{machine.url}/auth/oauth/company")
    assert browser.get(Person("ana").sign_in(asked.headers["Location"])).status_code == 303
    assert "gradio" in browser.open_app(machine.url, "forecast").text
    assert browser.get(f"{machine.app}/config").json()["username"] == "ana@example.com"

    for process in (portal, app):
        process.terminate()
        assert process.wait(60) in {0, -15}
