"""What is signalled to a process that was forked off of the supervisor is not the supervisor's to hear."""

import signal
import subprocess
import sys

import pytest

from tests.gradio_apps.supervisor.supervising import PATIENCE

pytestmark = pytest.mark.usefixtures("processes")

FORKING = """
import os, signal, socket, sys
from gradio_apps.runtime.supervisor.apart import held_back, stand_apart
reading, writing = socket.socketpair()
writing.setblocking(False)
reading.setblocking(False)
signal.signal(signal.SIGTERM, lambda number, frame: None)
signal.set_wakeup_fd(writing.fileno())  # as asyncio does
early = sys.argv[1] == "early"
with held_back():
    child = os.fork()
    if child == 0:
        if early:
            os.kill(os.getpid(), signal.SIGTERM)
        stand_apart()
        if not early:
            os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
_, status = os.waitpid(child, 0)
try:
    heard = reading.recv(1)
except BlockingIOError:
    heard = b""
os.kill(os.getpid(), signal.SIGTERM)  # it hears its own
print(os.waitstatus_to_exitcode(status), list(heard), list(reading.recv(1)))
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_only_the_fork_hears_it(when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, when], capture_output=True, text=True, timeout=PATIENCE, check=True
    )

    assert done.stdout == f"{-signal.SIGTERM} [] [{int(signal.SIGTERM)}]\n"
