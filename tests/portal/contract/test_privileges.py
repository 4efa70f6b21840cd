"""Root's rights: whether they are there, put aside, and taken up for a moment."""

import json
import os
import subprocess
import sys

import pytest

from portal.contract.privileges import NEEDED, as_root, missing_privileges

ALL = "Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000000\n"


@pytest.mark.parametrize(
    ("uid", "status", "missing"),
    [
        pytest.param(0, ALL, (), id="root"),
        pytest.param(0, "CapPrm:\t00000000a80425fb\n", (), id="root of a container"),
        pytest.param(0, "CapPrm:\t0000000000000000\n", NEEDED, id="root in name alone"),
        pytest.param(0, "CapPrm:\t00000000000000c0\n", ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL"), id="half"),
        pytest.param(1000, ALL, ("root",), id="somebody with rights"),
        pytest.param(0, "", ("Linux",), id="another system"),
    ],
)
def test_missing_privileges_are_named(uid: int, status: str, missing: tuple[str, ...]) -> None:
    assert missing_privileges(uid=uid, status=status) == missing


def test_without_dropped_privileges_nothing_is_raised() -> None:
    before = os.getresuid(), os.getresgid()
    with as_root():
        assert (os.getresuid(), os.getresgid()) == before


_SCRIPT = """
import json, os
from portal.contract.privileges import own_missing_privileges, drop_privileges, as_root
seen = {}
def look(when):
    seen[when] = [os.getresuid(), os.getresgid(), os.getgroups()]
drop_privileges(70001, 70002, [70003])
look("aside")
try:
    open("/etc/shadow").close()
except PermissionError:
    seen["refused"] = True
with as_root():
    look("up")
    with as_root():
        pass
    look("still up")
look("aside again")
seen["lacking"] = own_missing_privileges()
try:
    with as_root():
        raise KeyError
except KeyError:
    look("after an error")
print(json.dumps(seen))
"""


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="run the tests as root, on Linux")
def test_privileges_are_dropped_and_raised_for_single_steps() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    seen = json.loads(done.stdout)
    aside = [[0, 70001, 0], [0, 70002, 0], [70003]]

    assert seen["aside"] == seen["aside again"] == seen["after an error"] == aside
    assert seen["up"] == seen["still up"] == [[0, 0, 0], [0, 0, 0], [70003]]
    assert seen["refused"]
    assert seen["lacking"] == []
