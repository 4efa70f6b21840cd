"""The portal's API for apps: its calls, its answers, and the sentences for errors."""

from collections.abc import Callable

import gradio as gr
import httpx
import pytest

from gradio_apps.portal_api import Event, PortalApi, PortalApiError, SignedIn
from gradio_apps.runtime.guard.api import NoApiToken
from gradio_apps.runtime.guard.http_client import PortalClientSettings
from tests.gradio_apps.requests import NOW, FakeAccess, a_request, a_visit

SIGN_IN = {
    "id": "sign-in-1",
    "person": "person-1",
    "name": "Ana Analyst",
    "email": "ana@example.com",
    "email_verified": True,
    "tenant": "acme",
    "roles": ["analyst"],
    "provider": "company",
    "since": "2027-01-15T07:00:00Z",
    "last_seen": "2027-01-15T07:59:55Z",
    "until": "2027-01-15T09:00:00Z",
    "current": True,
}
EVENT = {
    "at": "2027-01-15T08:00:00Z",
    "event": "signed-in",
    "name": "Ana",
    "email": "ana@example.com",
    "app": "",
    "detail": "",
}

Answer = Callable[[httpx.Request], httpx.Response]


def an_api(answer: Answer, access: FakeAccess | None = None) -> PortalApi:
    return PortalApi(access or FakeAccess(), client=httpx.Client(transport=httpx.MockTransport(answer)))


def always(status: int, **content: object) -> Answer:
    return lambda _: httpx.Response(status, **content)  # type: ignore[arg-type]  # keywords of the response


class TestAsking:
    def test_each_call_carries_the_token_for_it_and_the_guards_headers(self) -> None:
        asked: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, json={"sign_ins": [], "events": []})

        api = an_api(answer)
        api.sign_ins()
        api.audit(limit=7)
        api.end_sign_in("a/../b?c")

        assert [(one.method, str(one.url)) for one in asked] == [
            ("GET", "http://127.0.0.1:7800/api/sign-ins"),
            ("GET", "http://127.0.0.1:7800/api/audit?limit=7"),
            ("POST", "http://127.0.0.1:7800/api/sign-ins/a%2F..%2Fb%3Fc/end"),
        ]
        assert [one.headers["Authorization"] for one in asked] == [
            "Bearer token-for-sign-ins:read",
            "Bearer token-for-audit:read",
            "Bearer token-for-sign-ins:end",
        ]
        assert {one.headers["Host"] for one in asked} == {"portal.example.com"}

    def test_answers_become_values(self) -> None:
        api = an_api(always(200, json={"sign_ins": [SIGN_IN], "events": [EVENT]}))

        assert api.sign_ins() == (
            SignedIn(
                id="sign-in-1",
                person="person-1",
                name="Ana Analyst",
                email="ana@example.com",
                email_verified=True,
                roles=("analyst",),
                provider="company",
                since=NOW - 3600,
                last_seen=NOW - 5,
                until=NOW + 3600,
                current=True,
            ),
        )
        assert api.audit() == (
            Event(at=NOW, event="signed-in", name="Ana", email="ana@example.com", app="", detail=""),
        )

    def test_ending_answers_nothing(self) -> None:
        an_api(always(204)).end_sign_in("sign-in-1")

    def test_ending_several_goes_on_until_there_are_no_more(self) -> None:
        asked: list[tuple[str, str, str]] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append((request.method, request.url.path, request.content.decode()))
            return httpx.Response(200, json={"ended": 40, "more": len(asked) % 3 != 0})

        assert an_api(answer).end_sign_ins_of("a&all=1") == 120
        assert asked == [("POST", "/api/sign-ins/end", "person=a%26all%3D1")] * 3
        asked.clear()
        assert an_api(answer).end_all_sign_ins() == 120
        assert asked == [("POST", "/api/sign-ins/end", "all=1")] * 3

    def test_a_portal_that_never_ends_is_not_asked_for_ever(self) -> None:
        assert an_api(always(200, json={"ended": 1, "more": True})).end_all_sign_ins() == 100

    @pytest.mark.parametrize("body", [[], "x", None, 7])
    def test_an_odd_answer_about_several_is_a_sentence(self, body: object) -> None:
        with pytest.raises(PortalApiError, match="could not be read"):
            an_api(always(200, json=body)).end_all_sign_ins()

    def test_odd_members_become_empty_ones(self) -> None:
        odd = dict.fromkeys(SIGN_IN) | {"roles": ["analyst", 7], "since": True, "current": 1}
        (sign_in,) = an_api(always(200, json={"sign_ins": [odd]})).sign_ins()

        assert sign_in.roles == ("analyst",)
        assert sign_in.name == ""
        assert sign_in.since == 0
        assert sign_in.current is False
        (without,) = an_api(always(200, json={"sign_ins": [{}]})).sign_ins()
        assert without.roles == ()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (always(401), "Your sign-in has ended"),
        (always(403), "do not have the right"),
        (always(404), "ended already"),
        (always(429), "Too many requests"),
        (always(302, headers={"Location": "https://evil.example/"}), "cannot do this at the moment"),
        (always(500), "cannot do this at the moment"),
        (always(200, text="<html>"), "could not be read"),
        (always(200, json=[]), "could not be read"),
        (always(200, json={"sign_ins": {}}), "could not be read"),
        (always(200, json={"sign_ins": ["x"]}), "could not be read"),
        (always(204), "could not be read"),
    ],
)
def test_every_refusal_is_a_sentence(answer: Answer, sentence: str) -> None:
    with pytest.raises(PortalApiError, match=sentence):
        an_api(answer).sign_ins()


def test_a_portal_that_does_not_answer_is_a_sentence() -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(PortalApiError, match="cannot do this at the moment"):
        an_api(nobody).sign_ins()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("invalid_scope", "do not have the right"),
        ("invalid_grant", "Your sign-in has ended"),
        ("invalid_request", "Your sign-in has ended"),
        ("unavailable", "cannot do this at the moment"),
        ("whatever", "cannot do this at the moment"),
    ],
)
def test_a_token_that_is_refused_is_a_sentence(code: str, sentence: str) -> None:
    with pytest.raises(PortalApiError, match=sentence):
        an_api(always(200), FakeAccess(refusal=NoApiToken(code))).sign_ins()


class TestOfARequest:
    def test_the_guards_access_is_used(self) -> None:
        api = PortalApi.of(a_visit(access=FakeAccess(refusal=NoApiToken("invalid_grant"))))

        with pytest.raises(PortalApiError, match="Your sign-in has ended"):
            api.sign_ins()

    @pytest.mark.parametrize("request_", [None, gr.Request(None), a_request()], ids=["none", "empty", "alone"])
    def test_alone_there_is_no_portal(self, request_: gr.Request | None) -> None:
        with pytest.raises(PortalApiError, match="runs without the portal"):
            PortalApi.of(request_)

    def test_clients_are_kept(self) -> None:
        here, there = FakeAccess(), FakeAccess(client_settings=PortalClientSettings(proxy=None, tls=None))
        pairs = [(PortalApi(here), PortalApi(here)), (PortalApi(there), PortalApi(there))]

        for one, other in pairs:
            assert one._client is other._client
        assert pairs[0][0]._client is not pairs[1][0]._client
