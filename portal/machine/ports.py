"""Ports: which ones a demo uses, and whether they are free.

All ports are checked before anything starts, so that one error lists every port that is taken.
"""

import errno
import os
import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from portal.machine.failure import CommandFailed

LOOPBACK: Final = "127.0.0.1"
DEFAULT: Final = 7800
APPS_FROM: Final = 10
"""Distance of the first app's port from the portal's."""
BLOCKED_BY_BROWSERS: Final = frozenset(
    {
        *(1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109),
        *(110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530),
        *(531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045),
        *(4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    }
)
"""Ports at which no browser opens a page (Fetch Standard, section 2.9, bad ports)."""
_HIGHEST: Final = 65535
_NOT_EPHEMERAL: Final = range(20_000, 32_000)
"""Below the ephemeral ports (RFC 6335, section 6; Linux: from 32768 on)."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports of a demo's processes, all on loopback."""

    portal: int
    provider: int
    apps: tuple[int, ...]


def chosen_ports(first: int, *, apps: int) -> Ports:
    """Return the ports of a demo with so many *apps*, beginning at *first*; 0 means any free ones.

    Raises:
        CommandFailed: *first* leaves no room, or browsers open no page at one of the ports.
    """
    if first == 0:
        portal, provider, *rest = free_ports(2 + apps)
        return Ports(portal=portal, provider=provider, apps=tuple(rest))
    if not 0 < first <= _HIGHEST - APPS_FROM - apps:
        raise CommandFailed(f"--port must be a number from 1 to {_HIGHEST - APPS_FROM - apps}, or 0 for any free one.")
    begin = first + APPS_FROM
    ports = Ports(portal=first, provider=first + 1, apps=tuple(range(begin, begin + apps)))
    blocked = BLOCKED_BY_BROWSERS.intersection({ports.portal, ports.provider, *ports.apps})
    if blocked:
        raise CommandFailed(
            f"Browsers open no page at port {min(blocked)}, which --port {first} would use. "
            f"Choose another, such as {DEFAULT}."
        )
    return ports


def free_ports(count: int) -> tuple[int, ...]:
    """Return *count* different free ports outside the ephemeral range.

    Raises:
        CommandFailed: there are not so many.
    """
    with ExitStack() as sockets:
        found: list[int] = []
        for port in random.sample(_NOT_EPHEMERAL, len(_NOT_EPHEMERAL)):
            probe = sockets.enter_context(socket.socket(socket.AF_INET))
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
            if len(found) == count:
                return tuple(found)
    raise CommandFailed(f"There are not {count} free ports from {_NOT_EPHEMERAL[0]} to {_NOT_EPHEMERAL[-1]}.")


def require_free(ports: Mapping[int, str], *, fix: str) -> None:
    """Check that nothing listens on *ports*, which maps each port to its purpose.

    Raises:
        CommandFailed: lists every port that is taken, then *fix*.
    """
    taken = [f"port {port}, for {purpose}, {why}" for port, purpose in ports.items() if (why := problem_of_port(port))]
    if taken:
        sentence = "; ".join(taken)
        raise CommandFailed(f"{sentence[0].upper()}{sentence[1:]}. {fix}")


def problem_of_port(port: int) -> str | None:
    """Return why *port* cannot be used, or ``None``."""
    # Browsers try ::1 first for names under .localhost: another program there would get the portal's requests.
    return problem_at(socket.AF_INET, LOOPBACK, port) or problem_at(socket.AF_INET6, "::1", port)


def problem_at(family: socket.AddressFamily, host: str, port: int) -> str | None:
    """Return why *port* of *host* cannot be used, or ``None``; also if this machine does not have the address."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last demo's connections may linger
            probe.bind((host, port))
    except OSError as error:
        if error.errno in _NOT_HERE:
            return None
        return "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({os.strerror(error.errno or 0)})"
    return None
