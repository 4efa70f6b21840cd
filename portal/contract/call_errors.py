"""Why an HTTP call failed, in words for a log, without anything that was sent or received.  Pure.

``requests``, ``urllib3``, ``httpx`` and ``ssl`` wrap each other's errors; the innermost names what an operator can fix.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from portal.contract.egress import format_proxy

_TUNNEL: Final = re.compile(r"(?:Tunnel connection failed: )?([45]\d\d)(?: .*)?", re.DOTALL)
"""Error text of the standard library, under ``requests``, and of ``httpx`` where a proxy refuses."""
_DEEPEST: Final = 16
_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""The system has no descriptor, memory or port left for a call."""
_OWN_NAMES: Final = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})
"""The resolver could not send its query."""


def certificate_problem(error: BaseException) -> str | None:
    """Return OpenSSL's message if *error* comes from a certificate that is not trusted; else ``None``."""
    for one in _causes(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_message.removesuffix(".")
    return None


def is_own_failure(error: BaseException) -> bool:
    """Return whether a call failed with *error* because this process could not even start it.

    Without a descriptor, memory or thread for the call, nothing is known about the server.
    """
    return any(_is_own(one) for one in _causes(error))


def _is_own(error: BaseException) -> bool:
    match error:
        case MemoryError() | RuntimeError():  # "can't start new thread": names are resolved in one
            return not isinstance(error, (RecursionError, NotImplementedError))
        case socket.gaierror():
            return error.errno in _OWN_NAMES
        case OSError():
            return error.errno in _OWN
        case _:
            return False


def describe_call_error(error: BaseException, *, proxy: str | None = None) -> str:
    """Return in a few words why a call failed with *error*; *proxy* is the one it went through.

    *proxy* comes from :func:`portal.contract.egress.read_proxy`; only its host and port are repeated.
    """
    if proxy is None:
        return _describe(error)
    for one in _causes(error):
        match = _TUNNEL.fullmatch(str(one.args[0])) if len(one.args) == 1 else None
        if match is not None:
            return f"the proxy {format_proxy(proxy)} refused with status {match[1]}"
    return f"through the proxy {format_proxy(proxy)}: {_describe(error)}"


def _describe(error: BaseException) -> str:
    certificate = certificate_problem(error)
    if certificate is not None:
        return f"its certificate is not trusted: {certificate}"
    for one in _causes(error):
        match one:
            case socket.gaierror():
                return "its host name is unknown"
            case ConnectionRefusedError():
                return "the connection was refused"
            case TimeoutError():
                return "no answer in time"
            case ssl.SSLError():
                return f"TLS failed: {getattr(one, 'reason', None) or 'no reason given'}"  # from OpenSSL
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and the errors inside it: its cause, context, ``reason`` (urllib3), group members and arguments."""
    queue, count = [error], 0
    while queue and count < _DEEPEST:
        one = queue.pop(0)
        count += 1
        yield one
        inner = (
            one.__cause__,
            one.__context__,
            getattr(one, "reason", None),
            *getattr(one, "exceptions", ()),
            *one.args,
        )
        queue += [each for each in inner if isinstance(each, BaseException)]
