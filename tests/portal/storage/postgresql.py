"""A PostgreSQL of our own for the length of a test run: a temporary folder, a Unix socket, no port."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import psycopg


class _Person(TypedDict, total=False):
    user: str
    group: str
    extra_groups: list[str]


INSTALL = "PostgreSQL is not installed: apt-get install --no-install-recommends postgresql"


def find_programs() -> Path | None:
    """Return the folder with initdb and postgres, of the newest version there is."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


@contextmanager
def running(programs: Path) -> Iterator[Path]:
    """Run a server; yields the folder of its socket.  Everybody of this machine's user may connect."""
    folder = Path(tempfile.mkdtemp(prefix="portal-pg-"))
    # The server refuses to run as root.
    person: _Person = {}
    if os.geteuid() == 0:
        person = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    try:
        subprocess.run(
            [
                programs / "initdb",
                "--pgdata",
                data,
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
            ],
            check=True,
            capture_output=True,
            timeout=120,
            cwd=folder,
            **person,
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "max_connections": "120",
            "shared_buffers": "16MB",
        }
        command: list[str | Path] = [
            programs / "postgres",
            "-D",
            data,
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        with (
            log.open("wb") as output,
            subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, **person) as server,
        ):
            try:
                _wait(folder, server, log)
                yield folder
            finally:
                server.send_signal(signal.SIGINT)  # fast shutdown
                server.wait(60)
    finally:
        shutil.rmtree(folder)


def connect(folder: Path, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
    """Connect to the server whose socket lies in *folder*, each statement by itself."""
    return psycopg.connect(host=str(folder), user="postgres", dbname=database, autocommit=True)


def _wait(folder: Path, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connect(folder).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
