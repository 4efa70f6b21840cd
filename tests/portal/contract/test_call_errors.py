"""Why a call failed, in words: found below what libraries wrap it in, and nothing of what was sent or answered."""

import errno
import socket
import ssl

import pytest

from portal.contract.call_errors import certificate_problem, describe_call_error, is_own_failure

PROXY = "http://me:secret@proxy.example.com:3128"


def not_believed() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate."
    return error


def wrapped(inner: BaseException, how: str) -> Exception:
    """Return *inner* as libraries hand it on."""
    outer = Exception("secret of the call")
    match how:
        case "cause":
            outer.__cause__ = inner
        case "context":
            outer.__context__ = inner
        case "argument":
            outer.args = (inner,)
        case "reason":
            outer.reason = inner  # type: ignore[attr-defined]  # as urllib3's MaxRetryError has it
    return outer


@pytest.mark.parametrize("how", ["cause", "context", "argument", "reason"])
@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (not_believed(), "its certificate is not trusted: self-signed certificate"),
        (socket.gaierror(-2, "secret.example.com"), "its host name is unknown"),
        (ConnectionRefusedError(111, "secret"), "the connection was refused"),
        (TimeoutError("secret"), "no answer in time"),
        (ssl.SSLError(1, "secret"), "TLS failed: no reason given"),
        (LookupError("secret"), "Exception"),
    ],
    ids=["certificate", "name", "refused", "slow", "tls", "other"],
)
def test_the_innermost_reason_is_reported(inner: BaseException, said: str, how: str) -> None:
    error = wrapped(wrapped(inner, how), how)

    assert describe_call_error(error) == said
    assert describe_call_error(error, proxy=PROXY) == f"through the proxy proxy.example.com:3128: {said}"
    assert (certificate_problem(error) is None) == ("certificate" not in said)


@pytest.mark.parametrize("text", ["Tunnel connection failed: 407 secret\r\nForged: line", "407 secret\r\nForged: line"])
def test_a_proxy_that_refuses_is_quoted_by_its_status_alone(text: str) -> None:
    said = describe_call_error(wrapped(OSError(text), "reason"), proxy=PROXY)

    assert said == "the proxy proxy.example.com:3128 refused with status 407"


def test_an_error_in_a_circle_ends() -> None:
    one, other = Exception("one"), Exception("other")
    one.__cause__, other.__cause__ = other, one

    assert describe_call_error(one) == "Exception"


OWN = [
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.ENOBUFS, "No buffer space available"),
    OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    socket.gaierror(socket.EAI_SYSTEM, "System error"),
    socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
    ExceptionGroup("two addresses", [ConnectionRefusedError(111, ""), OSError(errno.EMFILE, "")]),
]
THEIRS = [
    ConnectionRefusedError(errno.ECONNREFUSED, ""),
    ConnectionResetError(errno.ECONNRESET, ""),
    OSError(errno.EHOSTUNREACH, ""),
    OSError(errno.ENETUNREACH, ""),
    TimeoutError(),
    socket.gaierror(socket.EAI_NONAME, ""),
    ssl.SSLError(1, ""),
    LookupError(),
    RecursionError(),
]


@pytest.mark.parametrize("how", ["cause", "context", "argument", "reason"])
@pytest.mark.parametrize(("inner", "own"), [*((one, True) for one in OWN), *((one, False) for one in THEIRS)], ids=repr)
def test_a_lack_of_resources_is_an_own_failure(inner: BaseException, how: str, *, own: bool) -> None:
    assert is_own_failure(inner) == own
    assert is_own_failure(wrapped(wrapped(inner, how), how)) == own
