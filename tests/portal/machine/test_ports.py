"""Ports are checked before anything starts, and a taken one is named."""

import socket
from collections.abc import Iterator

import pytest

from portal.machine.failure import MISTAKEN, CommandFailed
from portal.machine.ports import Ports, chosen_ports, free_ports, problem_at, problem_of_port, require_free
from tests.gradio_apps.supervisor.supervising import has_ipv6


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_demo_takes_ports_after_its_first() -> None:
    assert chosen_ports(7900, apps=3) == Ports(portal=7900, provider=7901, apps=(7910, 7911, 7912))


def test_zero_means_any_that_are_free() -> None:
    ports = chosen_ports(0, apps=3)
    everything = {ports.portal, ports.provider, *ports.apps}

    assert len(everything) == 5
    assert all(problem_of_port(port) is None for port in everything)


@pytest.mark.parametrize("first", [-1, 65535, 65523, 99999])
def test_a_first_port_without_room_is_refused(first: int) -> None:
    with pytest.raises(CommandFailed, match="--port must be a number from 1 to 65522"):
        chosen_ports(first, apps=3)


@pytest.mark.parametrize("first", [10080, 10079, 10070, 10068, 6000, 5990])
def test_ports_at_which_browsers_open_no_page_are_refused(first: int) -> None:
    blocked = 10080 if first > 10_000 else 6000
    with pytest.raises(CommandFailed, match=f"Browsers open no page at port {blocked}, .* Choose another"):
        chosen_ports(first, apps=3)


@pytest.mark.parametrize("first", [10081, 10078, 10071, 10067])
def test_their_neighbours_can_be_used(first: int) -> None:
    assert chosen_ports(first, apps=3).portal == first


def test_the_last_ports_can_be_used() -> None:
    assert chosen_ports(65522, apps=3).apps[-1] == 65534


def test_a_taken_port_is_named_with_its_purpose_and_the_fix(taken: int) -> None:
    (free,) = free_ports(1)
    with pytest.raises(CommandFailed) as failure:
        require_free({free: "the portal", taken: "the app Showcase"}, fix="Choose others with --port.")

    assert str(failure.value) == f"Port {taken}, for the app Showcase, is taken. Choose others with --port."
    assert failure.value.exit_code == MISTAKEN


def test_a_port_taken_for_all_addresses_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))  # noqa: S104 - what a careless server does
        listener.listen()

        assert problem_of_port(listener.getsockname()[1]) == "is taken"


def test_a_port_taken_on_ipv6_alone_is_taken() -> None:
    """Browsers would go there first."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert problem_of_port(listener.getsockname()[1]) == "is taken"


def test_connections_that_linger_do_not_take_a_port(taken: int) -> None:
    del taken
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen()
        with socket.create_connection(("127.0.0.1", port)):
            served, _ = listener.accept()
            served.close()  # this side closes first, so it is this port that waits

    assert problem_of_port(port) is None


def test_an_address_the_machine_does_not_have_is_not_a_problem() -> None:
    assert problem_at(socket.AF_INET, "192.0.2.1", 7800) is None


def test_free_ports_are_free() -> None:
    require_free(dict.fromkeys(free_ports(3), "something"), fix="")
