"""The demo provider as a process: where it listens, and its first output."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from portal.demo.provider import main
from tests.ports import free_ports
from tests.processes import PATIENCE


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.5", "demo.example.com", "::"])  # noqa: S104 - refused
def test_it_listens_only_on_loopback(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", host]) == 2
    assert f"it does not listen on {host}" in capsys.readouterr().err


@pytest.mark.usefixtures("processes")
def test_alone_it_prints_its_banner_and_a_new_secret(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.demo.provider", "--port", str(port)], stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration", trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
    said = log.read_text()

    assert answer.json()["issuer"] == f"http://127.0.0.1:{port}"
    assert "anyone can sign in as anyone" in said
    assert "Client secret, made for this run:" in said
    assert code == 0
