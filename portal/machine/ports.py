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
        CommandFailed: *first* leaves no room.
    """
    if first == 0:
        portal, provider, *rest = free_ports(2 + apps)
        return Ports(portal=portal, provider=provider, apps=tuple(rest))
    if not 0 < first <= _HIGHEST - APPS_FROM - apps:
        raise CommandFailed(f"--port must be a number from 1 to {_HIGHEST - APPS_FROM - apps}, or 0 for any free one.")
    begin = first + APPS_FROM
    return Ports(portal=first, provider=first + 1, apps=tuple(range(begin, begin + apps)))


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
