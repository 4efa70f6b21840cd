"""Open files: as many as may be, and a few for when there are none left."""

import os
import resource
import subprocess
import sys

import pytest

from portal.contract.descriptors import SPARE, Spare, none_left, raise_limit

pytestmark = pytest.mark.usefixtures("processes")

RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
from portal.contract.descriptors import raise_limit
print(raise_limit({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
USE_UP = """
import os, resource
from portal.contract.descriptors import SPARE, Spare, none_left
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
spare, taken = Spare(), []
while not none_left():
    taken.append(os.open("/", os.O_RDONLY))
with spare.release():
    more = [os.open("/", os.O_RDONLY) for _ in range(SPARE)]
    assert none_left()
    for one in more[2:]:
        os.close(one)
assert none_left(), "it took back what there was"
with spare.release():
    assert not none_left()
spare.close()
spare.close()
print(SPARE - 2, len([0 for _ in range(SPARE) if not none_left() and taken.append(os.open("/", os.O_RDONLY)) is None]))
"""


def said_by(code: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize(
    ("hard", "wanted", "then"), [(1024, 65536, 1024), (1024, 512, 512), (1024, 100, 256), (256, 65536, 256)]
)
def test_the_limit_is_raised_as_far_as_it_may_be_and_never_lowered(hard: int, wanted: int, then: int) -> None:
    assert said_by(RAISE.format(hard=hard, wanted=wanted)) == [then, then, hard]


def test_the_reserve_is_usable_when_no_descriptor_is_left() -> None:
    expected, found = said_by(USE_UP)
    assert expected == found


PROGRAMS = {
    "an app": "from gradio_apps.serve import main; main(['nowhere.py'])",
    "the supervisor": "from gradio_apps.runtime.supervisor import __main__ as it; it.main(nothing, nothing, {})",
    "portal serve": "from portal.cli import main; main(['serve', '--config', 'nowhere.toml'])",
}
STARTED = """
import contextlib, io, resource
nothing = io.StringIO()
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    {program}
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_each_of_our_programs_asks_for_more_before_anything_else(program: str) -> None:
    """
    None of them gets far here; each has raised its limit, which what it starts inherits.
    """
    assert said_by(STARTED.format(program=program)) == [1024, 1024]


def test_this_process_has_free_descriptors() -> None:
    assert not none_left()
    assert raise_limit(1) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    spare = Spare()
    assert len(spare._held) == SPARE
    first = spare._held[0]
    spare.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(first)
