"""``portal serve`` with a configuration as a company has it, without apps to start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from portal.cli import main
from portal.cli.listening_port import port_of
from tests.builders import settings_for
from tests.ports import free_ports
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")
VARIABLES = {
    "PORTAL_SECRET_KEY": "zB1-kept-from-everybody-0123456789abcdefgh",
    "COMPANY_CLIENT_SECRET": "a-client-secret",
    "PYTHONUNBUFFERED": "1",
}


def start(folder: Path, *, port: int, **environ: str) -> subprocess.Popen[str]:
    (folder / "portal.toml").write_text(
        f"""
        [portal]
        url = "http://portal.demo.localhost:{port}"
        [[providers]]
        id = "company"
        issuer = "http://127.0.0.1:9"
        client_id = "portal"
        client_secret_env = "COMPANY_CLIENT_SECRET"
        [roles.analyst]
        groups = ["AI-Analysts"]
        [apps.forecast]
        url = "http://forecast.demo.localhost:9"
        open_to = ["analyst"]
        """,
        encoding="utf-8",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "serve", "--no-browser", "--config", "portal.toml"],
        cwd=folder,
        env={**os.environ, **VARIABLES, **environ},
        stdin=subprocess.DEVNULL,  # on a terminal a hang-up is the end
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_serves_where_the_configuration_says_until_stopped(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with start(tmp_path, port=port) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            answer = None
            while answer is None:
                try:
                    answer = httpx.get(
                        f"http://127.0.0.1:{port}/healthz",
                        headers={"Host": f"portal.demo.localhost:{port}"},
                        trust_env=False,
                        timeout=PATIENCE,
                    )
                except httpx.TransportError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
            assert process.stdout is not None
            output = next(line for line in process.stdout if line.startswith("The portal runs at"))
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)

    assert answer.status_code == 200
    assert 'portal_request_seconds_count{route="/healthz"} 1.0' in metrics, "whichever worker was asked"
    assert [path for path in (tmp_path / ".portal" / "metrics").iterdir() if path.suffix == ".db"]
    assert output == f"The portal runs at http://portal.demo.localhost:{port}, listening on 127.0.0.1:{port}.\n"
    assert code == 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_reload_is_asked_for_by_command_or_signal_and_refused_before_anything_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port, other = free_ports(2)
    file = tmp_path / "portal.toml"

    def reload() -> tuple[int, str]:
        code = main(["reload"])
        output = capsys.readouterr()
        return code, output.out + output.err

    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    with start(tmp_path, port=port) as process:
        monkeypatch.chdir(tmp_path)
        assert process.stdout is not None
        try:
            while not (line := process.stdout.readline()).startswith("The portal runs at"):
                assert line, "it ended"
            good = file.read_text()
            done = reload()
            file.write_text(good + "colour = 'blue'\n")
            refused = reload()
            file.write_text(good.replace(str(port), str(other)))
            fixed = reload()
            file.write_text(good)
            process.send_signal(signal.SIGHUP)
            while not (line := process.stdout.readline()).startswith("Reload"):
                assert line, "it ended"
            by_signal = line + process.stdout.readline()
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)
    after = reload()
    assert main(["audit", "--event", "command-run", "--json"]) == 0
    (recorded,) = map(json.loads, capsys.readouterr().out.splitlines())

    looked = "The configuration has no problems. The old processes answer until the new ones are ready.\n"
    assert done == (0, f"{looked}The portal: its processes are new.\n")
    assert recorded["fields"]["command"] == "reload"
    assert refused[0] == 2
    assert "apps.forecast.colour" in refused[1]
    output = "portal: These changes need a restart of portal serve: the portal's port. Nothing was reloaded.\n"
    assert fixed == (2, looked + output)
    assert by_signal == "Reload (exit code 0):\nThe portal: its processes are new.\n"
    assert code == 0
    assert after[0] == 1
    assert "No `portal serve` answers at" in after[1]
    assert not (tmp_path / ".portal" / "serve.sock").exists()


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    port, closed = free_ports(2)
    url = f"postgresql://portal:hush-hush@127.0.0.1:{closed}/portal"
    with start(tmp_path, port=port, PORTAL_DATABASE_URL=url) as process:
        output, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert "The database cannot be used" in output
    assert "hush-hush" not in output


@pytest.mark.parametrize(
    ("url", "internal_url", "port"),
    [
        ("https://portal.example.com", None, 7800),
        ("https://portal.example.com", "http://127.0.0.1:9000", 9000),
        ("http://portal.demo.localhost:7900", None, 7900),
        ("http://localhost", None, 7800),
        ("https://portal.example.com:8443", None, 7800),
    ],
)
def test_it_listens_where_its_address_on_this_machine_says(
    tmp_path: Path, url: str, internal_url: str | None, port: int
) -> None:
    assert port_of(settings_for(tmp_path, url=url, internal_url=internal_url)) == port
