"""The listening sockets: reclaimed from other holders, without a moment in which the address is free."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradio_apps.runtime.supervisor.document import AppPlan, read_plan
from gradio_apps.runtime.supervisor.sockets import Listening, listen
from tests.gradio_apps.supervisor.supervising import a_document, an_app, has_ipv6
from tests.gradio_apps.supervisor.test_own_user import AS_ROOT
from tests.ports import free_ports
from tests.processes import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="run the tests on Linux: elsewhere sockets stay")


def an_app_plan(tmp: Path, host: str = "127.0.0.1") -> AppPlan:
    [port] = free_ports(1)  # an app has one: a socket that the system gave a port loses it when it is shut
    return read_plan(a_document(an_app(tmp, host=host, port=port))).apps[0]


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    [one] = listen([an_app_plan(tmp_path)])
    yield one
    one.socket.close()


def at(listening: Listening) -> tuple[str, int]:
    return "127.0.0.1", listening.port


def test_who_holds_the_old_one_takes_no_connection_any_more(listening: Listening) -> None:
    held, port = listening.socket.dup(), listening.port
    new, waiting = listening.exchanged()
    with held, new.socket, socket.create_connection(at(new), timeout=PATIENCE) as asking:
        held.settimeout(PATIENCE)
        with pytest.raises(OSError, match="Invalid argument"):
            held.accept()
        new.socket.settimeout(PATIENCE)
        with new.socket.accept()[0] as taken:
            assert taken.getpeername() == asking.getsockname()
        assert (waiting, new.port, new.app) == ((), port, listening.app)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_can_be_done_again_and_again(tmp_path: Path, host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    [one] = listen([an_app_plan(tmp_path, host)])
    port = one.port
    for _ in range(3):
        one, _ = one.exchanged()
    with one.socket, socket.create_connection((host, port), timeout=PATIENCE):
        assert one.port == port


def test_what_waits_and_what_is_open_is_not_cut(listening: Listening) -> None:
    with (
        socket.create_connection(at(listening)) as early,
        listening.socket.accept()[0] as open_already,
        socket.create_connection(at(listening)) as late,
    ):
        new, [taken] = listening.exchanged()
        with new.socket, taken:
            for mine, theirs in ((early, open_already), (late, taken)):
                theirs.setblocking(True)
                theirs.sendall(b"here")
                mine.settimeout(PATIENCE)
                assert mine.recv(4) == b"here"


def listens_again(sock: socket.socket) -> bool:
    for shared in (0, 1):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
            sock.listen()
        except OSError:
            continue
        return True
    return False


@AS_ROOT
def test_who_holds_the_old_one_cannot_listen_again(listening: Listening) -> None:
    generations = [listening.socket.dup()]
    for _ in range(2):
        listening, _ = listening.exchanged()
        generations.append(listening.socket.dup())
    with listening.socket:
        for held in generations[:-1]:
            with held:
                assert not listens_again(held)
    generations[-1].close()


TAKING = """
import os, socket, sys
os.setuid(1_000_000)
for shared in (0, 1):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        try:
            sock.bind(("127.0.0.1", int(sys.argv[1])))
            sock.listen()
        except OSError as error:
            print(error.strerror)
"""


@pytest.mark.usefixtures("processes")
@AS_ROOT
def test_nobody_else_gets_the_address(listening: Listening) -> None:
    new, _ = listening.exchanged()
    with new.socket:
        done = subprocess.run(
            [sys.executable, "-c", TAKING, str(new.port)], capture_output=True, text=True, timeout=PATIENCE, check=True
        )

    assert done.stdout.splitlines() == [os.strerror(98)] * 2


def test_one_that_is_kept_is_as_it_was(listening: Listening) -> None:
    """A connection that its holder would not share an address with: the new socket cannot be bound beside it."""
    with socket.create_connection(at(listening)), listening.socket.accept()[0] as selfish:
        selfish.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with pytest.raises(OSError, match="in use"):
            listening.exchanged()
        with socket.create_connection(at(listening)), listening.socket.accept()[0]:
            pass
        listening.shut()
        listening.shut()
        assert refuses(lambda: socket.create_connection(at(listening), timeout=PATIENCE))


def refuses(connect: Callable[[], socket.socket]) -> bool:
    try:
        connect().close()
    except ConnectionRefusedError:
        return True
    return False
