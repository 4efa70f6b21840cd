"""The steps of the page for Compose, with processes in the place of containers: from nothing to an open app.

Each service is run with the command, environment, files and order of ``compose.yaml``, on the package as the
``Dockerfile`` builds it; nginx reads what ``setup`` wrote.  What Docker itself does is not tried.
"""

import contextlib
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.pages import page
from tests.architecture.sources import ROOT
from tests.certificates import issue
from tests.deployment.containers import compose, copied, image_environment, steps
from tests.journeys.plain_browser import PlainBrowser
from tests.journeys.reverse_proxy import nginx, whole_configuration
from tests.ports import free_ports
from tests.processes import PATIENCE, end
from tests.provider.process import Person, RunningProvider, a_client, running_provider

pytestmark = pytest.mark.usefixtures("journey")

APPS = ("user-dashboard", "showcase")
PORTAL = "https://portal.example.com"


class Machine:
    """What stands for Docker: folders for volumes, other ports, and processes."""

    def __init__(self, folder: Path, *, ports: Mapping[str, int], package: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.ports = ports
        """What the files say, and where it is here."""
        self.package = package
        self.stack = stack
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name, module in (("portal", " -m portal.cli"), ("python", "")):
            program = self.programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{module} "$@"\n')
            program.chmod(0o755)

    def services(self) -> dict[str, Any]:
        """Return the services, with the variables of ``.env`` filled in."""
        lines = (self.folder / ".env").read_text().splitlines()
        services: dict[str, Any] = compose(dict(line.split("=", 1) for line in lines))["services"]
        return services

    def here(self, text: str, service: str) -> str:
        """Return *text* with the container's paths and ports as they are here."""
        places = {
            "/etc/gradio-portal": self.folder / "deployment",
            "/run/secrets": self.folder / "deployment" / "secrets",
            "/data": self.folder / "volumes" / service,
            "/tmp": self.folder / "tmp",
            "/opt/gradio-portal/bin": self.programs,
        }
        ours = {place: str(path) for place, path in places.items()} | {
            port: str(own) for port, own in self.ports.items()
        }
        # All at once: what stands there afterwards may itself look like a place, or hold a port.
        return re.sub(rf"(?<![\w/])(?:{'|'.join(ours)})(?![\w-])", lambda match: ours[match[0]], text)

    def start(self, service: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start *service* with *arguments* in the place of its command, as its container would be."""
        message = self.services()[service]
        volume = self.folder / "volumes" / ("portal" if service == "setup" else service)
        volume.mkdir(mode=0o700, parents=True, exist_ok=True)  # as the image has /data
        entry = message.get("entrypoint") or next(one.form() for one in steps() if one.word == "ENTRYPOINT")
        words = [*entry, *(arguments or message["command"])]
        environ = {**image_environment(), **{name: str(value) for name, value in message["environment"].items()}}
        data = "portal" if service == "setup" else service
        log = self.stack.enter_context((self.folder / f"{service}.log").open("ab"))
        process = subprocess.Popen(
            [self.here(str(word), data) for word in words],
            env={
                **{name: self.here(value, data) for name, value in environ.items()},
                "PYTHONPATH": str(self.package),
                "LC_ALL": "C.UTF-8",
            },
            cwd=self.folder / "deployment",
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        self.running[service] = process
        self.stack.callback(end, process)
        return process

    def run(self, *arguments: str) -> None:
        """Run ``setup`` to its end."""
        code = self.start("setup", *arguments).wait(PATIENCE)
        assert code == 0, (self.folder / "setup.log").read_text()

    def up(self) -> None:
        """Start everything that has no profile, whoever is waited for first."""
        services = {name: message for name, message in self.services().items() if "profiles" not in message}
        for name in sorted(services, key=lambda one: len(services[one].get("depends_on", []))):
            if name == "web":
                self._start_web(services[name])
            else:
                self.start(name)

    def _start_web(self, message: Mapping[str, Any]) -> None:
        """Start nginx, which is not ours: it includes the folder that its container has mounted."""
        assert "./deployment/web:/etc/nginx/conf.d:ro" in message["volumes"]
        whole = whole_configuration(self.folder, self.folder / "deployment" / "web" / "*.conf")
        command = [nginx(), "-p", str(self.folder), "-c", str(whole)]
        log = self.stack.enter_context((self.folder / "web.log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log)
        self.running["web"] = process
        self.stack.callback(end, process)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, as the Dockerfile builds it from what it copies."""
    context = tmp_path_factory.mktemp("context")
    for file in copied():
        (context / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, context / file)
    built = tmp_path_factory.mktemp("built")
    own = next(one.form() for one in steps() if one.word == "RUN" and one.text.endswith('"."]'))
    assert own[:3] == ["/opt/gradio-portal/bin/python", "-m", "pip"]
    command = [sys.executable, *own[1:], "--target", str(built), "--quiet", "--disable-pip-version-check"]
    subprocess.run(command, cwd=context, check=True, timeout=PATIENCE)
    return built


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[tuple[Machine, str]]:
    nginx()  # or skip, before everything else is started
    folder = tmp_path_factory.mktemp("compose")
    (folder / "tmp").mkdir()
    names = ("443", "7800", "7811", "7812")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    url = f"https://portal.demo.localhost:{ports['443']}"
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(running_provider(a_client(url)))
        machine = Machine(folder, ports=ports, package=package, stack=stack)
        follow_the_page(machine, url=url, provider=provider)
        yield machine, url


def follow_the_page(machine: Machine, *, url: str, provider: RunningProvider) -> None:
    """Do what the section on Compose says, line by line, with addresses of this machine."""
    domain = f"apps.demo.localhost:{machine.ports['443']}"
    ours = {"https://id.example.com": provider.issuer, PORTAL: url, "apps.example.com": domain}
    certificate = issue(machine.folder, ["portal.demo.localhost", "*.apps.demo.localhost"])
    ours |= {"/etc/ssl/portal.pem": str(certificate.certificate), "/etc/ssl/private/portal.key": str(certificate.key)}

    def adapted(text: str) -> str:
        for theirs, own in ours.items():
            text = text.replace(theirs, own)
        return text

    section = page("docs/deploy.md").text.partition("## Compose\n")[2].partition("\n## ")[0]
    deployment = machine.folder / "deployment"
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if language == "toml":
            toml = deployment / "portal.toml"
            toml.write_text(toml.read_text() + machine.here(adapted(block), "portal"))
            dotenv = deployment / ".env"
            dotenv.write_text(
                re.sub("(?m)^(COMPANY_CLIENT_SECRET=).*$", rf"\g<1>{provider.client_secret}", dotenv.read_text())
            )
            continue
        for line in block.splitlines():
            command = adapted(line[2:])
            if command == "docker compose build":
                continue  # the fixture has built it
            if command.startswith("docker compose run --rm setup"):
                machine.run(*re.findall("'(.+)'", command))
            elif command == "docker compose up --detach":
                machine.up()
            else:
                assert command.startswith(("install -", "printf "))
                command = command.replace("-o 10001 -g 10001 ", "")  # whoever runs the tests owns everything
                subprocess.run(["sh", "-euc", command], cwd=machine.folder, check=True, timeout=PATIENCE)


def wait_until_open(machine: Machine, url: str, browser: PlainBrowser) -> None:
    """Wait until portal and apps answer through the web server."""
    health = {f"https://{app}.apps.demo.localhost:{machine.ports['443']}/.portal/health" for app in APPS}
    waiting = {f"{url}/readyz", *health}
    deadline = time.monotonic() + PATIENCE
    while waiting:
        for name, process in machine.running.items():
            assert name == "setup" or process.poll() is None, (machine.folder / f"{name}.log").read_text()
        assert time.monotonic() < deadline, waiting
        for address in list(waiting):
            with contextlib.suppress(OSError):
                if browser.get(address).status_code == 200:
                    waiting.remove(address)
        time.sleep(0.2)


def test_the_steps_lead_to_people_who_open_apps(machine: tuple[Machine, str]) -> None:
    deployment, url = machine
    browser = PlainBrowser(authority=deployment.folder / "authority.pem")
    wait_until_open(deployment, url, browser)

    assert stat.S_IMODE((deployment.folder / "deployment" / ".env").stat().st_mode) == 0o600
    secrets = {app: (deployment.folder / "deployment" / "secrets" / app) for app in APPS}
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.values()} == {0o600}
    assert len({file.read_text() for file in secrets.values()}) == len(APPS)

    [health] = [one.text for one in steps() if one.word == "HEALTHCHECK"]
    words = health.partition("CMD ")[2]
    [probe] = re.findall(r'"-c", "(.*)"\]', words)
    assert (
        subprocess.run([sys.executable, "-c", deployment.here(probe, "portal")], check=False, timeout=60).returncode
        == 0
    )

    showcase = f"https://showcase.apps.demo.localhost:{deployment.ports['443']}"
    assert browser.get(f"{showcase}/config").headers["Location"] == f"{url}/apps/showcase/config"
    asked = browser.get(f"{url}/auth/oauth/company")
    assert browser.get(Person("ana").sign_in(asked.headers["Location"])).status_code == 303
    for app in APPS:
        opened = browser.open_app(url, app)
        assert (opened.status_code, "gradio" in opened.text) == (200, True)
    assert browser.get(f"{showcase}/config").json()["username"] == "ana@example.com"


def test_setup_may_be_run_again_and_changes_nothing_that_is_right(machine: tuple[Machine, str]) -> None:
    deployment, _ = machine
    before = {
        file: file.read_bytes() for file in sorted((deployment.folder / "deployment").rglob("*")) if file.is_file()
    }
    deployment.run()

    after = {
        file: file.read_bytes() for file in sorted((deployment.folder / "deployment").rglob("*")) if file.is_file()
    }
    assert after == before
    assert "is up to date" in (deployment.folder / "setup.log").read_text()


def test_the_portal_ends_in_order_when_its_container_is_stopped(machine: tuple[Machine, str]) -> None:
    """
    The last of the module's tests: what is the container's first process takes SIGTERM itself.
    """
    deployment, url = machine
    wait_until_open(deployment, url, PlainBrowser(authority=deployment.folder / "authority.pem"))
    for name in ("portal", *APPS):
        deployment.running[name].terminate()
        code = deployment.running[name].wait(60)
        assert code == 0, (name, (deployment.folder / f"{name}.log").read_text())
