"""The portal's own apps: their handlers as functions, and that each can be built."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import gradio as gr
import httpx
import pytest

from gradio_apps import admin_dashboard, portal_api, showcase, user_dashboard
from gradio_apps.look import STYLES, look
from gradio_apps.portal_api import PortalApi, SignedIn
from gradio_apps.runtime.guard.api import NoApiToken as NoToken
from tests.gradio_apps.requests import DIRECT, NOW, FakeAccess, a_person, a_request, a_visit
from tests.gradio_apps.test_portal_api import EVENT, SIGN_IN

PORTAL = "https://portal.example.com"


class TestUserDashboard:
    def test_it_says_who_is_signed_in_where_as_what_and_until_when(self) -> None:
        card = user_dashboard.card(a_person(), now=NOW, portal_url=PORTAL)

        for words in ("Ana Analyst", "ana@example.com", "Acme", "analyst", "18 Jan 2027, 08:00 UTC", "in 3 days"):
            assert words in card

    def test_sign_out_leaves_the_frame(self) -> None:
        card = user_dashboard.card(a_person(), now=NOW, portal_url=PORTAL)

        assert '<a href="https://portal.example.com/sign-out" target="_top">Sign out</a>' in card

    def test_without_a_portal_there_is_no_way_out(self) -> None:
        assert "<a " not in user_dashboard.card(a_person(), now=NOW, portal_url=None)

    def test_what_is_not_known_is_said_to_be(self) -> None:
        nameless = a_person(name=None, email=None, tenant=None, tenant_name=None, roles=frozenset(), username="id-1")
        card = user_dashboard.card(nameless, now=NOW, portal_url=PORTAL)

        assert "unknown" in card
        assert card.count("none") == 2
        assert "<h2>id-1</h2>" in card

    @pytest.mark.parametrize("field", ["name", "username", "email", "tenant_name"])
    def test_nothing_of_a_person_becomes_markup(self, field: str) -> None:
        hostile = a_person(**{field: '"><script>alert(1)</script>'}, roles=frozenset({"<b>"}))
        card = user_dashboard.card(hostile, now=NOW, portal_url=PORTAL)

        assert "<script" not in card
        assert "<b>" not in card

    @pytest.mark.parametrize("picture", [None, "", "http://id.example.com/a.png", "javascript:x", "data:image/png,x"])
    def test_only_a_picture_over_https_is_shown(self, picture: str | None) -> None:
        card = user_dashboard.card(a_person(picture=picture), now=NOW, portal_url=PORTAL)

        assert "<img" not in card
        assert ">AA<" in card

    def test_a_picture_is_shown_without_telling_its_host_where(self) -> None:
        card = user_dashboard.card(a_person(picture='https://id.example.com/"a.png'), now=NOW, portal_url=PORTAL)

        assert 'src="https://id.example.com/&quot;a.png"' in card
        assert 'referrerpolicy="no-referrer"' in card

    def test_alone_nobody_is_signed_in(self) -> None:
        assert "Nobody is signed in, because this app runs without the portal" in user_dashboard.show_person(
            a_request()
        )

    def test_behind_the_portal_it_is_the_visitor(self) -> None:
        assert "Ana Analyst" in user_dashboard.show_person(a_visit())


class Portal(ThreadingHTTPServer):
    """A portal that knows one sign-in and one event, and forgets the sign-in when it is ended."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sign_ins = [SIGN_IN]
        self.refuses: set[str] = set()
        self.next: str | None = None
        self.asked: list[str] = []
        self.ended: list[tuple[str, str]] = []
        """Path and form of what ended sign-ins."""

    @property
    def access(self) -> FakeAccess:
        return FakeAccess(base_url=f"http://127.0.0.1:{self.server_port}")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        portal = cast("Portal", self.server)
        portal.asked.append(self.path)
        self.answer(403 if self.path.partition("?")[0] in portal.refuses else 200)

    def do_POST(self) -> None:
        portal = cast("Portal", self.server)
        if self.path in portal.refuses:
            self.answer(403)
        else:
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            portal.ended.append((self.path, form))
            portal.sign_ins = []
            self.answer(200 if form else 204)

    def answer(self, status: int) -> None:
        portal = cast("Portal", self.server)
        is_last = "cursor=" in self.path
        listed: dict[str, object] = {
            "sign_ins": portal.sign_ins,
            "events": [EVENT],
            "next": None if is_last else portal.next,
        }
        listed |= {"ended": 2, "more": False}
        body = b"" if status == 204 else json.dumps(listed).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    with Portal() as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()
    portal_api._client_of(DIRECT).close()
    portal_api._client_of.cache_clear()


@pytest.fixture
def toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    shown: list[str] = []
    for kind in ("Info", "Warning"):  # Gradio's own: outside an event they have nowhere to go
        monkeypatch.setattr(gr, kind, shown.append)
    return shown


def a_sign_in(name: str, person: str, *, current: bool = False) -> SignedIn:
    """A sign-in of Ana, as a table shows her, with the ids *name* and *person*."""
    return replace(portal_api._sign_in(SIGN_IN), id=name, person=person, current=current)


def choices_of(dropdown: object) -> list[str]:
    assert isinstance(dropdown, gr.Dropdown)
    return [value for _, value in dropdown.choices]


class TestAdminDashboard:
    def test_it_shows_who_is_signed_in_and_what_happened(self, portal: Portal, toasts: list[str]) -> None:
        heading, sign_ins, dropdown, events, *_ = admin_dashboard.refresh(a_visit(access=portal.access))

        assert heading.startswith("1 sign-in to **Acme**")
        portal.sign_ins = [{**SIGN_IN, "name": name, "email_verified": False} for name in ("Ana", "")]
        _, unsure, *_ = admin_dashboard.refresh(a_visit(access=portal.access))

        assert [row[:2] for row in unsure] == [
            ["Ana (you, here)", "ana@example.com (not verified)"],
            ["ana@example.com (not verified) (you, here)", "ana@example.com (not verified)"],
        ]
        assert sign_ins[0][:4] == ["Ana Analyst (you, here)", "ana@example.com", "analyst", "company"]
        assert choices_of(dropdown) == ["sign-in:sign-in-1"]
        assert events == [["15 Jan 2027, 08:00 UTC", "signed in", "Ana", "", ""]]
        assert toasts == []

    def test_choices_are_single_ones_all_of_a_person_and_all(self) -> None:
        sign_ins = [a_sign_in("s1", "ana", current=True), a_sign_in("s2", "ana"), a_sign_in("s3", "bob")]

        assert [value for _, value in admin_dashboard.choices(sign_ins[:2], now=NOW)] == ["sign-in:s1", "sign-in:s2"]
        assert [value for _, value in admin_dashboard.choices(sign_ins, now=NOW)] == [
            "sign-in:s1",
            "sign-in:s2",
            "sign-in:s3",
            "all",
        ]
        sign_ins += [a_sign_in("s4", "bob"), a_sign_in("s5", ""), a_sign_in("s6", "")]
        several = admin_dashboard.choices(sign_ins, now=NOW)[6:]
        assert several == [
            ("All 2 sign-ins of Ana Analyst, ana@example.com, company", "person:bob"),
            ("All 5 sign-ins but the one you use here", "all"),
        ]

    @pytest.mark.parametrize(
        ("choice", "ended"),
        [
            ("sign-in:s1", {"s1"}),
            ("sign-in:s3", {"s3"}),
            ("person:ana", {"s2"}),
            ("person:bob", {"s3", "s4"}),
            ("all", {"s2", "s3", "s4", "s5"}),
            ("person:", set()),
            ("person:carol", set()),
            ("sign-in:", set()),
            ("sign-in:ana", set()),
            ("everyone", set()),
            ("All", set()),
            ("s1", set()),
        ],
    )
    def test_a_choice_means_what_its_label_says(self, choice: str, ended: set[str]) -> None:
        sign_ins = [
            a_sign_in("s1", "ana", current=True),
            a_sign_in("s2", "ana"),
            a_sign_in("s3", "bob"),
            a_sign_in("s4", "bob"),
            a_sign_in("s5", ""),
        ]

        assert {one.id for one in admin_dashboard.chosen_among(sign_ins, choice)} == ended

    @pytest.mark.parametrize(
        ("choice", "question", "button"),
        [
            ("sign-in:sign-in-1", "<strong>1 sign-in</strong> of Ana Analyst, ana@example.com, company?", "1 sign-in"),
            (
                "person:bob",
                "<strong>2 sign-ins</strong> of &lt;b&gt;Bob, bob@example.com (not verified), company?",
                "2",
            ),
            ("all", "<strong>3 sign-ins</strong>, all but the one you use here?", "3 sign-ins"),
        ],
    )
    def test_before_anything_ends_it_asks_how_many(
        self, portal: Portal, toasts: list[str], choice: str, question: str, button: str
    ) -> None:
        bob = {**SIGN_IN, "person": "bob", "name": "<b>Bob", "email": "bob@example.com", "email_verified": False}
        portal.sign_ins += [{**bob, "id": name, "current": False} for name in ("s2", "s3")]
        portal.sign_ins += [{**SIGN_IN, "id": "s4", "current": False}]
        asked, text, yes, column = admin_dashboard.ask(choice, a_visit(access=portal.access))

        assert (asked, column.visible) == (choice, True)
        assert question in text
        assert "<b>" not in text
        assert yes.value.startswith(f"Yes, end {button}")
        assert portal.ended == []
        assert toasts == []
        assert [part for part in admin_dashboard.keep()[:2] if part] == []
        assert portal.ended == []

    @pytest.mark.parametrize(
        ("asked", "call", "toast"),
        [
            ("sign-in:sign-in-1", ("/api/sign-ins/sign-in-1/end", ""), "The sign-in has ended"),
            ("person:bob", ("/api/sign-ins/end", "person=bob"), "2 sign-ins have ended"),
            ("all", ("/api/sign-ins/end", "all=1"), "2 sign-ins have ended"),
        ],
    )
    def test_a_yes_ends_what_was_asked_about_and_shows_the_rest(
        self, portal: Portal, toasts: list[str], asked: str, call: tuple[str, str], toast: str
    ) -> None:
        heading, sign_ins, dropdown, *_, pending, text, _, question = admin_dashboard.end(
            asked, a_visit(access=portal.access)
        )

        assert portal.ended == [call]
        assert heading.startswith("0 sign-ins")
        assert sign_ins == []
        assert choices_of(dropdown) == []
        assert (pending, text, question.visible) == (None, "", False)
        assert toasts == [f"{toast}, in the portal and in every app."]

    @pytest.mark.parametrize("nothing", [None, ""])
    def test_ending_needs_a_choice(self, portal: Portal, toasts: list[str], nothing: str | None) -> None:
        assert admin_dashboard.ask(nothing, a_visit(access=portal.access))[0] is None
        admin_dashboard.end(nothing, a_visit(access=portal.access))

        assert toasts == ["Choose a sign-in first."] * 2
        assert portal.ended == []

    def test_what_has_ended_meanwhile_is_not_asked_about(self, portal: Portal, toasts: list[str]) -> None:
        asked, text, _, question = admin_dashboard.ask("sign-in:gone", a_visit(access=portal.access))

        assert (asked, text, question.visible) == (None, "", False)
        assert toasts == ["It has ended already."]

    @pytest.mark.parametrize(
        ("asked", "path"), [("sign-in:sign-in-1", "/api/sign-ins/sign-in-1/end"), ("all", "/api/sign-ins/end")]
    )
    def test_a_refused_ending_is_reported(self, portal: Portal, toasts: list[str], asked: str, path: str) -> None:
        portal.refuses = {path}
        _, sign_ins, *_ = admin_dashboard.end(asked, a_visit(access=portal.access))

        assert toasts == ["You do not have the right to do this in this tenant."]
        assert len(sign_ins) == 1

    def test_older_events_come_a_page_at_a_time_and_without_what_looking_leaves_behind(
        self, portal: Portal, toasts: list[str]
    ) -> None:
        portal.next = "a page+of/more"
        visit = a_visit(access=portal.access)
        _, sign_ins, _, events, after, button = admin_dashboard.refresh(visit)

        assert len(sign_ins) == 2  # the second page of sign-ins was asked for by itself
        assert (len(events), after, button.visible) == (1, "a page+of/more", True)
        more, after, button = admin_dashboard.older(events, after, visit)
        assert (len(more), after, button.visible) == (2, None, False)
        assert admin_dashboard.older(more, None, visit)[0] == more
        assert portal.asked[-1] == "/api/audit?limit=50&without=api-used&cursor=a+page%2Bof%2Fmore"
        portal.next = "more refusals"
        rows, after, _ = admin_dashboard.shown("refusals", visit)
        assert (len(rows), after) == (1, "more refusals")
        assert portal.asked[-1] == "/api/audit?limit=50&without=api-used&kind=refusals"
        admin_dashboard.older(rows, after, visit, "refusals")
        assert portal.asked[-1] == "/api/audit?limit=50&without=api-used&kind=refusals&cursor=more+refusals"
        portal.refuses = {"/api/audit"}
        assert admin_dashboard.older(more, "again", visit)[:2] == (more, "again")
        assert len(toasts) == 1

    def test_one_refusal_leaves_the_other_table(self, portal: Portal, toasts: list[str]) -> None:
        portal.refuses = {"/api/audit"}
        _, sign_ins, _, events, *_ = admin_dashboard.refresh(a_visit(access=portal.access))

        assert len(sign_ins) == 1
        assert events == []
        assert len(toasts) == 1

    def test_without_rights_it_shows_nothing_and_says_so(self, toasts: list[str]) -> None:
        access = FakeAccess(refusal=NoToken("invalid_scope"))
        _, sign_ins, _, events, *_ = admin_dashboard.refresh(a_visit(access=access))

        assert (sign_ins, events) == ([], [])
        assert toasts == ["You do not have the right to do this in this tenant."] * 2

    def test_alone_there_is_nobody_to_show(self) -> None:
        heading, sign_ins, _, events, *_ = admin_dashboard.refresh(a_request())

        assert "this app runs without the portal" in heading
        assert (sign_ins, events) == ([], [])

    def test_a_tenants_name_does_not_become_markup(self, portal: Portal) -> None:
        hostile = a_person(tenant_name="Acme** <script> [x](javascript:y)")
        heading, *_ = admin_dashboard.refresh(a_visit(hostile, access=portal.access))

        assert "<" not in heading
        assert "](" not in heading

    def test_without_tenants_none_is_named(self, portal: Portal) -> None:
        heading, *_ = admin_dashboard.refresh(a_visit(a_person(tenant=None, tenant_name=None), access=portal.access))

        assert heading.startswith("1 sign-in, as of")

    def test_a_nameless_sign_in_can_still_be_reported(self) -> None:
        (sign_in,) = PortalApi(
            FakeAccess(),
            client=httpx.Client(
                transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"sign_ins": [{"id": "x"}]}))
            ),
        ).sign_ins()

        assert admin_dashboard.sign_in_rows([sign_in], now=NOW)[0][0] == "No name"


class TestShowcase:
    def test_it_answers_the_person_by_name(self) -> None:
        assert showcase.greet("two words", a_visit()) == "Hello Ana Analyst. You wrote 2 words and 9 characters."
        assert showcase.greet("", a_visit(a_person(name=None))).startswith("Hello ana@example.com.")
        assert showcase.greet("", a_request()).startswith("Hello stranger.")

    def test_a_stream_ticks(self) -> None:
        stream: Iterator[str] = showcase.ticks(2)
        began = time.monotonic()
        first, second = next(stream), next(stream)

        assert first.endswith("tick 1 of 2")
        assert second.splitlines()[0].endswith("tick 2 of 2")
        assert second.splitlines()[1] == first
        assert time.monotonic() - began >= showcase.TICK
        assert next(stream, None) is None

    def test_an_upload_is_described(self, tmp_path: Path) -> None:
        path = tmp_path / "data.bin"
        path.write_bytes(b"x" * 1500000)

        assert showcase.describe(str(path)) == (
            f"data.bin\n1,500,000 bytes\nSHA-256 {hashlib.sha256(b'x' * 1500000).hexdigest()}"
        )
        assert showcase.describe(None) == "No file yet."

    def test_the_report_is_the_persons_own(self) -> None:
        assert Path(showcase.report(a_visit())).read_text(encoding="utf-8") == "for,value\nana@example.com,5050\n"
        assert "nobody" in Path(showcase.report(a_request())).read_text(encoding="utf-8")

    def test_a_wave_begins_at_rest_and_fades(self) -> None:
        wave = showcase.wave(1)

        assert list(wave.columns) == ["seconds", "signal"]
        assert wave["signal"].iloc[0] == 0
        assert wave["signal"].tail(20).abs().max() < wave["signal"].head(40).abs().max()


def test_the_look_fetches_nothing_from_elsewhere() -> None:
    assert "http" not in STYLES
    assert not [sheet for sheet in look()["theme"]._stylesheets if sheet.startswith("http")]
