"""Ports: which ones a demo takes, and whether they are free.

Everything is looked at before anything starts, so that the error can name what is taken
and how to choose another.
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
"""The first app is this far from the portal."""
_HIGHEST: Final = 65535
_NOT_EPHEMERAL: Final = range(20_000, 32_000)
"""Below what systems give to connections that go out (RFC 6335, section 6; Linux: from 32768 on)."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the processes of a demo listen, all on loopback."""

    portal: int
    provider: int
    apps: tuple[int, ...]


def chosen_ports(first: int, *, apps: int) -> Ports:
    """Return the ports of a demo with so many *apps* that begins at *first*; 0 means any that are free.

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
    """Return *count* different ports that are free now, and that no call going out is given before they are taken.

    Raises:
        CommandFailed: there are not as many.
    """
    with ExitStack() as kept:
        found: list[int] = []
        for port in random.sample(_NOT_EPHEMERAL, len(_NOT_EPHEMERAL)):
            probe = kept.enter_context(socket.socket(socket.AF_INET))
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
            if len(found) == count:
                return tuple(found)
    raise CommandFailed(f"There are no {count} free ports from {_NOT_EPHEMERAL[0]} to {_NOT_EPHEMERAL[-1]}.")


def require_free(ports: Mapping[int, str], *, fix: str) -> None:
    """Check that nothing listens on *ports*, which maps each to what it is for.

    Raises:
        CommandFailed: names every one that is taken, and says *fix*.
    """
    taken = [f"port {port}, for {purpose}, {why}" for port, purpose in ports.items() if (why := fault_of(port))]
    if taken:
        sentence = "; ".join(taken)
        raise CommandFailed(f"{sentence[0].upper()}{sentence[1:]}. {fix}")


def fault_of(port: int) -> str | None:
    """Return why nobody can listen on *port*, or ``None``."""
    # Browsers try ::1 first for names under .localhost: a stranger there would get the portal's visitors.
    return fault_at(socket.AF_INET, LOOPBACK, port) or fault_at(socket.AF_INET6, "::1", port)


def fault_at(family: socket.AddressFamily, host: str, port: int) -> str | None:
    """Return why nobody can listen there, or ``None``; an address that this machine does not have is no fault."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last demo's connections may linger
            probe.bind((host, port))
    except OSError as error:
        if error.errno in _NOT_HERE:
            return None
        return "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({os.strerror(error.errno or 0)})"
    return None
