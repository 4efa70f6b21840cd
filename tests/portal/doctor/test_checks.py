"""The doctor's checks of observations, as tables: no network, no clock."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from portal.contract.truncation import quoted
from portal.doctor.answer_checks import check_app_answer, check_portal_answer
from portal.doctor.backend_checks import check_disk, check_keys, check_notification, check_provider
from portal.doctor.connection_checks import check_connection, check_plain_http
from portal.doctor.findings import PORTAL, Check, Finding
from portal.doctor.observations import (
    Answer,
    ConnectionResult,
    Echo,
    Events,
    Handshake,
    Transfer,
    Unreached,
    read_echo,
)
from portal.doctor.report import as_object, as_text, summary
from portal.doctor.request_checks import (
    SentRequest,
    check_app_to_portal,
    check_clock,
    check_health,
    check_probe,
    check_request,
)
from portal.doctor.transfer_checks import check_download, check_silence, check_stream, check_upload, check_websocket
from portal.settings import Endpoints
from portal.sign_in.providers.base import ProviderDiagnostics
from tests.builders import NOW, a_provider

DAY = 86400
FORGED = "192.0.2.66"


def brief(findings: Any) -> list[tuple[str, str]]:
    """Return check and level of each finding; a warning or problem must have a fix."""
    found = [findings] if isinstance(findings, Finding) else list(findings)
    assert all(bool(one.fix) == (one.level != "ok") for one in found), found
    assert all(one.said.endswith((".", "/callback")) for one in found), found
    return [(one.check.value, one.level) for one in found]


# --- before a request -----------------------------------------------------------------------------

GOOD = ConnectionResult(
    host="portal.example.com",
    addresses=("203.0.113.5", "2001:db8::5"),
    tls_version="TLSv1.3",
    protocol="h2",
    ends_at=NOW + 60 * DAY,
)
CONNECTIONS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "good": ({}, [("name", "ok"), ("certificate", "ok"), ("http2", "ok")]),
    "no end of the certificate is known": ({"ends_at": None}, [("name", "ok"), ("certificate", "ok"), ("http2", "ok")]),
    "plain http": ({"tls_version": None}, [("name", "ok")]),
    "no such name": ({"addresses": ()}, [("name", "problem")]),
    "nobody there": ({"silent": ("203.0.113.5", "2001:db8::5")}, [("name", "problem")]),
    "one address is dead": (
        {"silent": ("2001:db8::5",)},
        [("name", "warning"), ("certificate", "ok"), ("http2", "ok")],
    ),
    "ends in 13 days": ({"ends_at": NOW + 14 * DAY - 1}, [("name", "ok"), ("certificate", "warning"), ("http2", "ok")]),
    "ends today": ({"ends_at": NOW + 60}, [("name", "ok"), ("certificate", "warning"), ("http2", "ok")]),
    "old TLS": ({"tls_version": "TLSv1.1"}, [("name", "ok"), ("certificate", "warning"), ("http2", "ok")]),
    "http1 only": ({"protocol": None}, [("name", "ok"), ("certificate", "ok"), ("http2", "warning")]),
    "no TLS at all": ({"tls_error": "SSLError"}, [("name", "ok"), ("certificate", "problem")]),
    "refused certificate": ({"certificate": "other"}, [("name", "ok"), ("certificate", "problem")]),
    "incomplete certificate": ({"certificate": "incomplete"}, [("name", "ok"), ("certificate", "problem")]),
    "not yet valid": ({"certificate": "not-yet-valid"}, [("name", "ok"), ("certificate", "problem")]),
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections(name: str) -> None:
    changes, expected = CONNECTIONS[name]
    seen = replace(GOOD, **changes)

    assert brief(check_connection(PORTAL, seen, now=NOW)) == expected
    assert seen.is_open == (expected[-1][1] != "problem")


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Unreached("refused"), "ok"),
        (Answer(status=308, headers=(("location", "https://portal.example.com/"),)), "ok"),
        (Answer(status=302, headers=(("location", "http://portal.example.com/sign-in"),)), "warning"),
        (Answer(status=301), "warning"),
        (Answer(status=200), "warning"),
    ],
    ids=["nobody", "to https", "to http", "nowhere", "a page"],
)
def test_plain_http(answer: Answer | Unreached, level: str) -> None:
    assert brief(check_plain_http(PORTAL, answer)) == [("plain-http", level)]


# --- requests -------------------------------------------------------------------------------------

HEALTHS: dict[str, tuple[Answer | Unreached, tuple[str, str]]] = {
    "running": (Answer(status=200, body={"state": "running"}), ("answer", "ok")),
    "starting": (Answer(status=503, body={"state": "starting"}), ("answer", "warning")),
    "failed": (Answer(status=503, body={"state": "failed"}), ("answer", "warning")),
    "nobody behind": (Answer(status=502), ("answer", "problem")),
    "overloaded": (Answer(status=503), ("answer", "problem")),
    "a page of somebody else's": (Answer(status=200), ("answer", "problem")),
    "a state nobody knows": (Answer(status=200, body={"state": ["running"]}), ("answer", "problem")),
    "not there": (Answer(status=404), ("answer", "problem")),
    "a redirect": (Answer(status=302), ("answer", "problem")),
    "no answer": (Unreached("timeout"), ("answer", "problem")),
}


@pytest.mark.parametrize("name", HEALTHS)
def test_health(name: str) -> None:
    answer, expected = HEALTHS[name]

    assert brief(check_health("forecast", answer, has_path=False, is_app=True)) == [expected]


def test_404_under_a_path_means_that_the_path_was_changed() -> None:
    assert brief(check_health("forecast", Answer(status=404), has_path=True, is_app=True)) == [("path", "problem")]


REFUSALS: dict[str, tuple[Answer | Unreached, bool, tuple[str, str]]] = {
    "no answer": (Unreached("cut"), True, ("probe", "problem")),
    "app: another host": (Answer(status=421), True, ("host", "problem")),
    "portal: another host": (Answer(status=400), False, ("host", "problem")),
    "app: 400 is not ours": (Answer(status=400), True, ("probe", "problem")),
    "app: other keys": (Answer(status=404), True, ("probe", "problem")),
    "portal: other keys": (Answer(status=404), False, ("probe", "problem")),
    "app: never saw the keys": (Answer(status=503), True, ("app-to-portal", "problem")),
    "app: busy": (Answer(status=429), True, ("probe", "warning")),
    "another clock": (Answer(status=401, body={"now": NOW + 300}, at=NOW), True, ("clock", "problem")),
    "a sign-in of somebody else's": (Answer(status=401), True, ("probe", "problem")),
    "a clock that is no number": (Answer(status=401, body={"now": True}), True, ("probe", "problem")),
    "a redirect": (Answer(status=302), False, ("probe", "problem")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_probe(name: str) -> None:
    answer, is_app, expected = REFUSALS[name]
    found = check_probe("forecast", answer, is_app=is_app)

    assert found is not None
    assert brief(found) == [expected]


def test_an_accepted_probe_is_no_finding() -> None:
    assert check_probe("forecast", Answer(status=200), is_app=True) is None


def test_clocks() -> None:
    expected = {0: "ok", 10: "ok", -10: "ok", 11: "warning", -90: "warning", 91: "problem", -3600: "problem"}

    assert {off: check_clock("forecast", off, is_app=True).level for off in expected} == expected
    assert check_clock("forecast", -91, is_app=True).said == "Its clock is 91 seconds behind the portal's."
    assert check_clock(PORTAL, 91, is_app=False).said == "Its clock is 91 seconds ahead of this machine's."


SENT = SentRequest(
    path="/run/.portal/probe/echo/a%2Fb?x=1",
    headers={
        "authorization": "Probe seen",
        "origin": "https://forecast.example.com",
        "sec-fetch-dest": "empty",
        "sec-fetch-mode": "cors",
        "sec-fetch-site": "same-origin",
    },
    cookie="portal-probe",
    forged=FORGED,
)
ANSWERED = (
    ("cache-control", "no-store"),
    ("content-security-policy", "frame-ancestors https://portal.example.com 'self'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("set-cookie", "__Host-portal-probe=1; HttpOnly; Path=/; Secure; SameSite=Lax; Max-Age=0"),
)
ECHO = Echo(
    now=NOW,
    peer="127.0.0.1",
    client="203.0.113.7",
    forwarded_for=("203.0.113.7",),
    path=SENT.path,
    headers={name: [value] for name, value in SENT.headers.items()},
    cookies=frozenset({"portal-probe", "other"}),
    answered=ANSWERED,
)
ARRIVALS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "good": ({}, {}),
    "path decoded": ({"path": "/run/.portal/probe/echo/a/b?x=1"}, {"path": "problem"}),
    "query lost": ({"path": "/run/.portal/probe/echo/a%2Fb"}, {"path": "problem"}),
    "authorization lost": (
        {"headers": {name: [value] for name, value in SENT.headers.items() if name != "authorization"}},
        {"request-headers": "problem"},
    ),
    "origin rewritten": (
        {"headers": {**{name: [value] for name, value in SENT.headers.items()}, "origin": ["http://127.0.0.1"]}},
        {"request-headers": "problem"},
    ),
    "origin twice": (
        {
            "headers": {
                **{name: [value] for name, value in SENT.headers.items()},
                "origin": [SENT.headers["origin"]] * 2,
            }
        },
        {"request-headers": "problem"},
    ),
    "cookie lost": ({"cookies": frozenset()}, {"request-headers": "problem"}),
    "the forged address believed": ({"client": FORGED, "forwarded_for": (FORGED,)}, {"client-address": "problem"}),
    "the forged address kept, not believed": ({"forwarded_for": (FORGED, "203.0.113.7")}, {}),
    "no client named": ({"client": "127.0.0.1", "forwarded_for": ()}, {"client-address": "warning"}),
    "no client named, by a socket": (
        {"peer": None, "client": None, "forwarded_for": ()},
        {"client-address": "warning"},
    ),
    "a web server that is not trusted": (
        {"peer": "10.0.0.3", "client": "10.0.0.3"},
        {"client-address": "warning"},
    ),
    "no reverse proxy": ({"peer": "203.0.113.7", "forwarded_for": ()}, {}),
    "a doctor on the same machine": ({"client": "127.0.0.1", "forwarded_for": ("127.0.0.1",)}, {}),
}


@pytest.mark.parametrize("name", ARRIVALS)
def test_arrivals(name: str) -> None:
    changes, expected = ARRIVALS[name]
    found = dict(brief(check_request("forecast", replace(ECHO, **changes), SENT)))

    assert found == {"path": "ok", "request-headers": "ok", "client-address": "ok"} | expected


def test_text_of_an_app_is_escaped_for_the_terminal() -> None:
    """A guard runs in its app's process, so the app's author may have written its answers."""
    hostile = replace(ECHO, path="/\x1b]0;owned\x07\n" + "x" * 500, peer="10.0.0.3", client="\x1b[2J")
    lines = [one.said for one in check_request("forecast", hostile, SENT)]

    assert all(line.isprintable() and len(line) < 500 for line in lines)
    assert quoted("\x1b[2J") == "'\\x1b[2J'"


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Answer(status=200, body={"portal": "answers"}), "ok"),
        (Answer(status=200, body={"portal": "refuses"}), "problem"),
        (Answer(status=200, body={"portal": "away"}), "problem"),
        (Answer(status=200, body={"portal": ["answers"]}), "problem"),
        (Unreached("cut"), "problem"),
    ],
    ids=["answers", "refuses", "away", "nonsense", "nothing"],
)
def test_app_to_portal(answer: Answer | Unreached, level: str) -> None:
    assert brief(check_app_to_portal("forecast", answer)) == [("app-to-portal", level)]


# --- answers --------------------------------------------------------------------------------------

XFO = ("x-frame-options", "SAMEORIGIN")
APP_ANSWERS: dict[str, tuple[tuple[tuple[str, str], ...], dict[str, str]]] = {
    "as it left": (ANSWERED, {}),
    "with what does no harm": ((*ANSWERED, ("server", "nginx"), ("set-cookie", "lb=1")), {}),
    "framing forbidden": ((*ANSWERED, XFO), {"frame": "problem"}),
    "a second policy": ((*ANSWERED, ("content-security-policy", "default-src 'self'")), {"answer-headers": "problem"}),
    "no policy": (
        tuple(pair for pair in ANSWERED if pair[0] != "content-security-policy"),
        {"answer-headers": "problem", "frame": "problem"},
    ),
    "another referrer policy": ((*ANSWERED, ("referrer-policy", "no-referrer")), {"answer-headers": "problem"}),
    "the same one twice": ((*ANSWERED, ("x-content-type-options", "nosniff")), {}),
    "to be kept": ((*ANSWERED[1:], ("cache-control", "public, max-age=60")), {"answer-headers": "problem"}),
    "another cookie": ((*ANSWERED[:4], ("set-cookie", "__Host-portal-probe=1; Path=/")), {"cookie": "problem"}),
    "no cookie": (ANSWERED[:4], {"cookie": "problem"}),
}


@pytest.mark.parametrize("name", APP_ANSWERS)
def test_answers_of_an_app(name: str) -> None:
    headers, expected = APP_ANSWERS[name]
    answer = Answer(status=200, headers=headers)
    found = check_app_answer("forecast", answer, ECHO, portal_origin="https://portal.example.com", cookies="lax")

    assert dict(brief(found)) == {"answer-headers": "ok", "cookie": "ok", "frame": "ok"} | expected


@pytest.mark.parametrize(
    ("expected", "left", "level"),
    [
        ("lax", "SameSite=Lax", "ok"),
        ("lax", "SameSite=None; Partitioned", "ok"),
        ("partitioned", "SameSite=None; Partitioned", "ok"),
        ("partitioned", "SameSite=Lax", "problem"),
    ],
)
def test_cookies_across_sites(expected: Literal["lax", "partitioned"], left: str, level: str) -> None:
    answered = (*ANSWERED[:4], ("set-cookie", f"__Host-portal-probe=1; Path=/; Secure; {left}; Max-Age=0"))
    found = check_app_answer(
        "forecast",
        Answer(status=200, headers=answered),
        replace(ECHO, answered=answered),
        portal_origin="https://portal.example.com",
        cookies=expected,
    )

    assert dict(brief(found))["cookie"] == level


def test_another_portal_may_not_frame_the_app() -> None:
    found = check_app_answer(
        "forecast",
        Answer(status=200, headers=ANSWERED),
        ECHO,
        portal_origin="https://portal.example.co",
        cookies="lax",
    )

    assert dict(brief(found))["frame"] == "problem"


OF_THE_PORTAL = (
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("set-cookie", ANSWERED[4][1]),
)


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        (OF_THE_PORTAL, {}),
        ((*OF_THE_PORTAL, XFO), {"frame": "problem"}),
        ((*OF_THE_PORTAL, ("referrer-policy", "no-referrer")), {"answer-headers": "problem"}),
        ((*OF_THE_PORTAL, ("content-security-policy", "default-src *")), {"answer-headers": "problem"}),
        (OF_THE_PORTAL[1:], {"answer-headers": "problem"}),
        (OF_THE_PORTAL[:5], {"cookie": "problem"}),
    ],
    ids=["as it left", "frames", "referrer", "two policies", "caching", "cookie"],
)
def test_answers_of_the_portal(headers: tuple[tuple[str, str], ...], wrong: dict[str, str]) -> None:
    found = dict(brief(check_portal_answer(PORTAL, Answer(status=200, headers=headers), ECHO)))
    assert found == {"answer-headers": "ok", "cookie": "ok", "frame": "ok"} | wrong

    outside = dict(brief(check_portal_answer(PORTAL, Answer(status=200, headers=headers), None)))
    assert outside == {"answer-headers": "ok", "frame": "ok"} | {k: v for k, v in wrong.items() if k != "cookie"}


# --- streams and transfers ------------------------------------------------------------------------

PIECES = Events(status=200, asked_for=5, pause=0.4, arrivals=(0.1, 0.5, 0.9, 1.3, 1.7), seconds=1.8)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"arrivals": (0.9, 0.9, 0.95, 1.3, 1.75)}, "ok"),
        ({"encoding": "gzip"}, "ok"),
        ({"arrivals": (1.7,) * 5}, "problem"),
        ({"arrivals": (1.5, 1.6, 1.65, 1.7, 1.7), "encoding": "gzip"}, "problem"),
        ({"arrivals": (0.1, 0.5)}, "problem"),
        ({"arrivals": (), "status": 502}, "problem"),
    ],
    ids=["one by one", "a slow network", "packed, one by one", "together", "packed and together", "cut", "nothing"],
)
def test_streams(changes: dict[str, Any], level: str) -> None:
    assert brief(check_stream("forecast", replace(PIECES, **changes))) == [("stream", level)]


def test_silences() -> None:
    whole = Events(status=200, asked_for=2, pause=65, arrivals=(0.1, 65.1), seconds=65.2)
    cut = replace(whole, arrivals=(0.1,), seconds=60.02)

    assert brief(check_silence("forecast", whole)) == [("silence", "ok")]
    assert brief(check_silence("forecast", cut)) == [("silence", "problem")]
    assert "after 60 seconds" in check_silence("forecast", cut).said
    assert brief(check_silence("forecast", replace(whole, arrivals=(65.0, 65.0)))) == [("silence", "ok")]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"arrived": 9}, "problem"),
        ({"status": 413, "arrived": 0}, "problem"),
        ({"status": None}, "problem"),
    ],
    ids=["whole", "part", "too large", "cut"],
)
def test_transfers(changes: dict[str, Any], level: str) -> None:
    seen = replace(Transfer(size=10_000_000, arrived=10_000_000, status=200, seconds=1.5), **changes)

    assert brief(check_upload("forecast", seen)) == [("upload", level)]
    assert brief(check_download("forecast", seen)) == [("download", level)]


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        (Handshake(status=101, message=True), "ok"),
        (Handshake(status=426, upgrade_arrived=True), "ok"),
        (Handshake(status=426, upgrade_arrived=False), "warning"),
        (Handshake(status=101), "warning"),
        (Handshake(status=None), "warning"),
    ],
    ids=["opens", "no library", "not passed on", "silent", "cut"],
)
def test_sockets(seen: Handshake, level: str) -> None:
    assert brief(check_websocket("forecast", seen)) == [("websocket", level)]


# --- backends -------------------------------------------------------------------------------------


def test_backends() -> None:
    callback = "https://portal.example.com/auth/oauth/company/callback"
    company = a_provider(label="Example Company")
    ends = Endpoints(
        authorize=f"{company.issuer}/a", token=f"{company.issuer}/t", jwks=f"{company.issuer}/k", userinfo=None
    )
    sound = ProviderDiagnostics(endpoints=ends, keys=(frozenset({"RS256"}),))
    good = check_provider(company, callback, sound)
    assert brief(good) == [("provider", "ok")]
    assert callback in good.said
    for diagnostics in (
        ProviderDiagnostics(problem="x"),
        replace(sound, keys=()),
        replace(sound, client_problem="invalid_client"),
    ):
        assert brief(check_provider(company, callback, diagnostics)) == [("provider", "problem")]
    other = check_provider(
        company, callback, ProviderDiagnostics(issuer=f"{company.issuer}/", problem="the metadata is of another")
    )
    assert f'issuer = "{company.issuer}/"' in other.fix
    assert brief(check_notification("forecast", "http://10.0.0.9", Answer(status=200))) == [("push", "ok")]
    assert brief(check_notification("forecast", "http://10.0.0.9", Answer(status=404))) == [("push", "problem")]
    assert brief(check_notification("forecast", "http://10.0.0.9", Unreached("timeout"))) == [("push", "problem")]
    assert [check_disk("/data", free).level for free in (10 << 30, 1 << 29, 1 << 20)] == ["ok", "warning", "problem"]
    wrong = check_keys("there is no database")
    assert wrong is not None
    assert brief(wrong) == [("keys", "problem")]
    assert check_keys(None) is None


# --- echo and report ------------------------------------------------------------------------------

BODY: dict[str, Any] = {
    "now": NOW,
    "peer": "127.0.0.1",
    "client": None,
    "forwarded_for": [],
    "path": "/",
    "headers": {"host": ["x"]},
    "cookies": [],
    "answered": [["a", "b"]],
}


def test_an_echo_is_read() -> None:
    echo = read_echo(BODY)

    assert echo is not None
    assert (echo.now, echo.peer, echo.client, echo.headers, echo.answered) == (
        NOW,
        "127.0.0.1",
        None,
        {"host": ["x"]},
        (("a", "b"),),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"now": "soon"},
        {"now": True},
        {"path": None},
        {"headers": []},
        {"headers": {"host": "x"}},
        {"headers": {"host": [1]}},
        {"forwarded_for": "x"},
        {"cookies": [None]},
        {"answered": {}},
        {"answered": [["a"]]},
        {"answered": [["a", 1]]},
        {"answered": ["ab"]},
    ],
    ids=str,
)
def test_anything_else_is_not_an_echo(changes: dict[str, Any]) -> None:
    assert read_echo({**BODY, **changes}) is None
    assert read_echo({}) is None


def test_report() -> None:
    good = Finding(subject=PORTAL, check=Check.NAME, level="ok", said="It is there.")
    bad = Finding(subject="forecast", check=Check.STREAM, level="problem", said="It is held back.", fix="Let it go.")
    addresses = {PORTAL: "https://portal.example.com", "forecast": "https://forecast.example.com"}

    assert list(as_text([good, bad], addresses=addresses)) == [
        "The portal, https://portal.example.com",
        "  ok       name             It is there.",
        "",
        "forecast, https://forecast.example.com",
        "  problem  stream           It is held back.",
        "                            Let it go.",
        "",
        "1 problem, no warnings.",
    ]
    assert summary([good]) == "Nothing is wrong."
    assert as_object([bad]) == {
        "problems": 1,
        "warnings": 0,
        "findings": [
            {
                "subject": "forecast",
                "check": "stream",
                "level": "problem",
                "said": "It is held back.",
                "fix": "Let it go.",
            }
        ],
    }
