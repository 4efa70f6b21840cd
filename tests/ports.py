"""Ports and user numbers of this process alone: no other process of the tests, and no other run, is given them.

A block of them is claimed by binding its first port, which the system gives to one process at a time and takes back
when that ends.  Nothing else is asked for a port here: the product's own search begins above, and what systems give to
connections that go out lies above that.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import chain
from typing import Final

from portal.machine.ports import BLOCKED_BY_BROWSERS

_LOOPBACK: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_FIRST: Final = 10_000
_SIZE: Final = 100
_BLOCKS: Final = 100
_FIRST_UID: Final = 70_000
_claims: Final[list[socket.socket]] = []
"""Held for as long as this process runs."""


def free_ports(count: int) -> list[int]:
    """Return *count* loopback ports, each given once in a run, that are not in use."""
    return [next(_ports(os.getpid())) for _ in range(count)]


def own_uids() -> range:
    """Return numbers of users that only this process of the tests runs something as."""
    first = _FIRST_UID + _first_block(os.getpid()) * _SIZE
    return range(first, first + _SIZE)


@cache
def _ports(pid: int) -> Iterator[int]:
    blocks = chain([_first_block(pid)], iter(_claimed, None))
    ports = (port for block in blocks for port in _range(block)[1:])
    return (port for port in ports if port not in BLOCKED_BY_BROWSERS and _is_free(port))


@cache
def _first_block(_: int) -> int:
    return _claimed()


def _claimed() -> int:
    """Claim a free block, and return its number."""
    for block in range(_BLOCKS):
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", _range(block)[0]))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return block
    raise AssertionError(f"no ports are left from {_FIRST} to {_FIRST + _SIZE * _BLOCKS}")


def _range(block: int) -> range:
    return range(_FIRST + block * _SIZE, _FIRST + (block + 1) * _SIZE)


def _is_free(port: int) -> bool:
    for family, host in _LOOPBACK:
        with suppress(OSError), socket.socket(family) as probe:  # this machine may lack one of the families
            if probe.connect_ex((host, port)) == 0:
                return False
    return True
