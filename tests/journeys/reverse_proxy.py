"""A real nginx with TLS in front of a house, as ``portal config nginx`` has it; and an authority of the tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Certificate
from tests.processes import end

_START: Final = 120
_AROUND: Final = """
daemon off;
master_process off;
pid "{folder}/nginx.pid";
error_log "{folder}/error.log";
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    include "{configuration}";
}}
"""


def nginx() -> str:
    """Return the path of nginx; skip the test where there is none."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    explanation = "install nginx (Debian: apt-get install nginx-light) to try the portal behind a web server"
    if os.environ.get("CI") == "true":
        pytest.fail(explanation)
    pytest.skip(explanation)


def whole_configuration(folder: Path, configuration: Path, *, connections: int = 512) -> Path:
    """Write what stands around *configuration* on a server of its own, and return where."""
    whole = folder / "nginx.conf"
    whole.write_text(_AROUND.format(folder=folder, configuration=configuration, connections=connections))
    return whole


@contextmanager
def running_proxy(
    folder: Path,
    environ: Mapping[str, str],
    certificate: Certificate,
    *,
    ports: tuple[int, int],
    connections: int = 512,
) -> Iterator[None]:
    """Run nginx on the second of *ports*, in front of a portal on the first, until the block ends.

    It takes so many *connections*.
    """
    port, front_port = ports
    command = [sys.executable, "-m", "portal.cli", "config", "nginx", "--port", str(port)]
    command += ["--certificate", str(certificate.certificate), "--key", str(certificate.key)]
    command += ["--output", str(folder / "portal.conf")]
    subprocess.run(command, env=dict(environ), cwd=folder, check=True, timeout=_START * 2)
    whole = whole_configuration(folder, folder / "portal.conf", connections=connections)
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen([nginx(), "-p", str(folder), "-c", str(whole)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START
        while True:
            assert process.poll() is None, (folder / "nginx.log").read_text()
            assert time.monotonic() < deadline, "nginx does not answer"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", front_port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        end(process)
