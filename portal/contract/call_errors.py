"""Why a call came to nothing, in words for a log: pure, and nothing of what was sent or answered in them.

``requests``, ``urllib3``, ``httpx`` and ``ssl`` wrap each other's errors; what an operator can fix lies at the
bottom.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from portal.contract.egress import shown_proxy

_TUNNEL: Final = re.compile(r"(?:Tunnel connection failed: )?([45]\d\d)(?: .*)?", re.DOTALL)
"""How the standard library, under ``requests``, and ``httpx`` say that a proxy refused."""
_DEEPEST: Final = 16
_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""What the system says where it has no descriptor, no memory or no port left for a call."""
_OWN_NAMES: Final = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})
"""What a resolver says where it could not ask for a name."""


def certificate_fault(error: BaseException) -> str | None:
    """Return OpenSSL's words where *error* comes of a certificate that is not believed; else ``None``."""
    for one in _causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_message.removesuffix(".")
    return None


def is_own_failure(error: BaseException) -> bool:
    """Say whether a call failed with *error* because this process could not even make it.

    Where it has no descriptor, memory or thread left, nothing is known of the one who was to be called.
    """
    return any(_is_own(one) for one in _causes(error))


def _is_own(error: BaseException) -> bool:
    match error:
        case MemoryError() | RuntimeError():  # "can't start new thread", which names are looked up in
            return not isinstance(error, (RecursionError, NotImplementedError))
        case socket.gaierror():
            return error.errno in _OWN_NAMES
        case OSError():
            return error.errno in _OWN
        case _:
            return False


def call_fault(error: BaseException, *, proxy: str | None = None) -> str:
    """Return in a few words why a call, made through *proxy* where there is one, failed with *error*.

    *proxy* is what :func:`portal.contract.egress.read_proxy` returned; of it only host and port are repeated.
    """
    if proxy is None:
        return _fault(error)
    for one in _causes(error):
        match = _TUNNEL.fullmatch(str(one.args[0])) if len(one.args) == 1 else None
        if match is not None:
            return f"the proxy {shown_proxy(proxy)} refused with status {match[1]}"
    return f"through the proxy {shown_proxy(proxy)}: {_fault(error)}"


def _fault(error: BaseException) -> str:
    certificate = certificate_fault(error)
    if certificate is not None:
        return f"its certificate is not believed: {certificate}"
    for one in _causes(error):
        match one:
            case socket.gaierror():
                return "its name is not known"
            case ConnectionRefusedError():
                return "nobody listens there"
            case TimeoutError():
                return "no answer in time"
            case ssl.SSLError():
                return f"TLS failed: {getattr(one, 'reason', None) or 'no reason given'}"  # a word of OpenSSL's
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it wraps: as cause, as context, as ``reason`` (urllib3), in a group or as an argument."""
    waiting, seen = [error], 0
    while waiting and seen < _DEEPEST:
        one = waiting.pop(0)
        seen += 1
        yield one
        inner = (
            one.__cause__,
            one.__context__,
            getattr(one, "reason", None),
            *getattr(one, "exceptions", ()),
            *one.args,
        )
        waiting += [each for each in inner if isinstance(each, BaseException)]
