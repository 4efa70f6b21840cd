"""Root's rights: whether they are there, put aside, and taken up for a moment."""

import json
import os
import subprocess
import sys

import pytest

from portal.contract.privileges import NEEDED, lacking, taken_up

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
def test_what_is_lacking_is_named(uid: int, status: str, missing: tuple[str, ...]) -> None:
    assert lacking(uid=uid, status=status) == missing


def test_who_put_nothing_aside_takes_nothing_up() -> None:
    before = os.getresuid(), os.getresgid()
    with taken_up():
        assert (os.getresuid(), os.getresgid()) == before


_SCRIPT = """
import json, os
from portal.contract.privileges import lacking_here, put_aside, taken_up
seen = {}
def look(when):
    seen[when] = [os.getresuid(), os.getresgid(), os.getgroups()]
put_aside(70001, 70002, [70003])
look("aside")
try:
    open("/etc/shadow").close()
except PermissionError:
    seen["refused"] = True
with taken_up():
    look("up")
    with taken_up():
        pass
    look("still up")
look("aside again")
seen["lacking"] = lacking_here()
try:
    with taken_up():
        raise KeyError
except KeyError:
    look("after an error")
print(json.dumps(seen))
"""


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="run the tests as root, on Linux")
def test_rights_are_aside_but_for_the_moment() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    seen = json.loads(done.stdout)
    aside = [[0, 70001, 0], [0, 70002, 0], [70003]]

    assert seen["aside"] == seen["aside again"] == seen["after an error"] == aside
    assert seen["up"] == seen["still up"] == [[0, 0, 0], [0, 0, 0], [70003]]
    assert seen["refused"]
    assert seen["lacking"] == []
