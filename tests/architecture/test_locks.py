"""Each lock is complete: it is installed without resolving, so whatever it lacks would be missing."""

import itertools
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Final

import pytest

from tests import run
from tests.architecture.locks import LOCKS, ROOT, pins, text_of

PLATFORMS: Final = (
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
)
PYTHONS: Final = ("3.11.0", "3.11.14", "3.12.0", "3.13.0", "3.14.0")
_NO_INDEX: Final = re.compile("error sending request|Failed to fetch|dns error|Network connectivity is disabled")


def environments() -> Iterator[dict[str, str]]:
    """Yield the variables of PEP 508 wherever the project is said to run."""
    for python, platform in itertools.product(PYTHONS, PLATFORMS):
        yield {
            "python_version": python.rpartition(".")[0],
            "python_full_version": python,
            "implementation_version": python,
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            **platform,
        }


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_every_requirement_of_what_it_pins(lock: str) -> None:
    """
    uv resolves the pins anew, extras and markers included: it must come to the very same ones, and to no more.
    """
    shape = ["--no-header", "--no-annotate", "--no-strip-extras", "--no-build"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += [*shape, "--cache-dir", str(run.folder() / "uv"), lock]  # there may be no home for one
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    if _NO_INDEX.search(done.stderr) and os.environ.get("CI") != "true":
        pytest.skip("connect this machine to a package index: requirements of packages are read there")

    assert done.returncode == 0, done.stderr
    for environment in environments():
        assert pins(done.stdout, environment) == pins(text_of(lock), environment)


def test_the_pythons_that_are_claimed_are_those_the_locks_are_held_against() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = {one.rpartition(" :: ")[2] for one in project["classifiers"] if re.search(r"Python :: 3\.\d+$", one)}

    assert claimed == {one.rpartition(".")[0] for one in PYTHONS}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = text_of(lock)
    lines = [line for line in text.splitlines() if not line.startswith(("    --hash=sha256:", "#"))]

    assert lines
    assert all(re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\S+( ; .*)? \\", line) for line in lines)
    assert text.count("==") <= text.count("--hash=sha256:")


@pytest.mark.parametrize(
    ("file", "installs"),
    [
        ("Makefile", r".*pip install.*"),
        ("Dockerfile", r".*requirements\.txt.*"),
        ("docs/deploy.md", r".*pip install.*"),
    ],
)
def test_wherever_a_lock_is_installed_nothing_is_resolved(file: str, installs: str) -> None:
    found = [line for line in re.findall(installs, (ROOT / file).read_text(), re.MULTILINE) if "install" in line]

    assert found
    assert all("--no-deps" in line for line in found)
