"""Many slow clients at a real gunicorn: they hold connections and nothing else, and others are served."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from portal.machine.programs import GUNICORN
from tests.journeys.workers import WORKERS, Portal, running_portal
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")

MANY = 200
"""Six times as many as the portal of the tests has threads."""
UNFINISHED = {
    "nothing": b"",
    "half a head": b"GET /sign-in HTTP/1.1\r\nHost: {host}\r\nX-",
    "half a form": b"POST /sign-in HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n\r\naddress=",
    "half a form for an unknown address": b"POST /nothing HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n\r\na",
    "an answer not taken": b"GET /sign-in HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running_portal(tmp_path_factory.mktemp("strangers")) as portal:
        yield portal


def connected(portal: Portal, sent: bytes = b"") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", portal.port), timeout=PATIENCE)
    one.sendall(sent.replace(b"{host}", portal.host.encode()))
    return one


def answer_to(portal: Portal, sent: bytes) -> bytes:
    """Return everything that comes back to *sent*."""
    with connected(portal, sent) as one:
        return b"".join(iter(lambda: one.recv(65536), b""))


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_slow_clients_hold_no_thread(portal: Portal, sent: bytes) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(portal, sent)) for _ in range(MANY)]
        for _ in range(2 * WORKERS):
            assert portal.get("/healthz").status_code == 200
        cookie = portal.signed_in()
        assert portal.get("/", cookie=cookie).status_code == 200
        for one in slow[:: MANY // 20]:  # they are all still there: what was sent was not refused
            if b"close" not in sent:
                one.setblocking(False)
                with pytest.raises(BlockingIOError):
                    one.recv(1)


def test_where_there_is_no_room_who_waits_longest_makes_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--worker-connections 40")
    with running_portal(tmp_path) as portal, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(portal, UNFINISHED["half a form"])) for _ in range(MANY)]
        for _ in range(2 * WORKERS):
            assert portal.get("/healthz").status_code == 200
        slow[0].settimeout(PATIENCE)
        assert slow[0].recv(1) == b""


def test_clients_that_take_no_answer_hold_no_thread(portal: Portal) -> None:
    """With as small a window as there is, for the longest answer there is."""
    asked = f"GET /static/portal.css HTTP/1.1\r\nHost: {portal.host}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            one.connect(("127.0.0.1", portal.port))
            one.sendall(asked)
        for _ in range(2 * WORKERS):
            assert portal.get("/healthz").status_code == 200


def test_a_form_that_comes_in_pieces_is_answered(portal: Portal) -> None:
    form = b"address=ana%40example.com"
    head = f"POST /sign-in HTTP/1.1\r\nHost: {portal.host}\r\nOrigin: http://{portal.host}\r\nConnection: close\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    with connected(portal) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head.encode() + form:
            one.sendall(bytes([byte]))
        assert one.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_serves_one_request_after_the_other(portal: Portal) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{portal.port}", trust_env=False, timeout=PATIENCE) as client:
        for _ in range(5):
            assert client.get("/sign-in", headers={"Host": portal.host}).status_code == 200
            assert client.post("/nothing", headers={"Host": portal.host}, data={"a": "b" * 9000}).status_code == 403


class TestLongRequests:
    @pytest.mark.parametrize("length", [3900, 4200, 8000, 15000])
    def test_a_long_code_reaches_the_portal(self, portal: Portal, length: int) -> None:
        answer = portal.get(f"/auth/oauth/company/callback?code={'x' * length}&state=abc")
        assert answer.status_code == 400
        assert "This sign-in cannot be continued here" in answer.text

    @pytest.mark.parametrize("length", [8300, 15000])
    def test_cookies_of_the_domain_do_not_lock_out(self, portal: Portal, length: int) -> None:
        assert portal.get("/sign-in", Cookie=f"corp={'y' * length}").status_code == 200

    @pytest.mark.parametrize(
        ("sent", "status", "words"),
        [
            pytest.param("GET /?code=" + "x" * 17000, 414, "address is too long", id="the address"),
            pytest.param("GET / HTTP/1.1\r\nCookie: a=" + "x" * 17000, 431, "sent too much data", id="a header"),
            pytest.param(
                "GET / HTTP/1.1\r\n" + "a: b\r\n" * 200 + "\r\n", 431, "sent too much data", id="many headers"
            ),
            pytest.param("GET / HTTP/1.1\r\nno header\r\n\r\n", 400, "The request is not valid", id="no header"),
            pytest.param("GET / HTTP/9.7\r\nHost: a\r\n\r\n", 400, "The request is not valid", id="no version"),
            pytest.param("get / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "The request is not valid", id="no method"),
            pytest.param(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, "how long it is", id="no length"
            ),
            pytest.param("POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413, "too large", id="a long body"),
            pytest.param(
                "GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417, "did not work", id="an expectation"
            ),
        ],
    )
    def test_what_the_server_does_not_take_gets_the_portals_own_page(
        self, portal: Portal, sent: str, status: int, words: str
    ) -> None:
        answer = answer_to(portal, f"{sent} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).decode()
        head, _, page = answer.partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "Content-Security-Policy" in head
        assert "Connection: close" in head
        assert words in page
        assert "Reference" in page


def test_no_client_of_a_proxy_moves_the_portal(portal: Portal) -> None:
    """Gunicorn takes such headers from a proxy on this machine, and so from its clients."""
    for name in ("SCRIPT_NAME", "PATH_INFO", "Script-Name"):
        answer = portal.get("/sign-in", **{name: "/x"})
        assert answer.status_code == 200


def test_no_socket_is_opened_that_gives_orders(portal: Portal) -> None:
    assert GUNICORN[3] == "--config"
    answers = [one for one in portal.data.parent.rglob("*") if one.is_socket()]
    assert answers == []
