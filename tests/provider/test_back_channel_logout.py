"""A certified provider says that a session has ended: from server to server, with a logout token."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
from werkzeug.serving import WSGIRequestHandler, make_server

from portal.access.revocation import RevocationReason
from portal.settings import Secret
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from portal.storage import tables
from tests.builders import a_provider
from tests.portal.web.deployment import NAVIGATION, field_of
from tests.ports import free_ports
from tests.provider.browser import Browser, Portal, link_to_provider
from tests.provider.process import Person, RunningProvider, a_client, running_provider

ADDRESS: Final = "/auth/oauth/company/backchannel-logout"
ENDED: Final = RevocationReason.PROVIDER_SIGNED_OUT.value


@dataclass(frozen=True, slots=True)
class Registered:
    """A portal that a provider reaches, and knows where to send logout tokens to."""

    theirs: RunningProvider
    portal: Portal
    logout_tokens: list[str]
    """Those that came."""

    def signed_in(self, person: Person) -> Browser:
        """Return a browser in which *person* is signed in, and has an app open."""
        browser = Browser(self.portal)
        assert browser.get(person.sign_in(browser.begin())).status_code == 303
        field_of(browser.get("/apps/forecast/.portal/launch", **NAVIGATION), "ticket")
        return browser

    def ends(self) -> list[str | None]:
        """Return why each sign-in has ended, the oldest first."""
        table = tables.sign_ins
        return self._all(sa.select(table.c.end_reason).order_by(sa.literal_column("rowid")))

    def living_app_sessions(self) -> int:
        table = tables.app_sessions
        return len(self._all(sa.select(table.c.id).where(table.c.ended_at.is_(None))))

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        with self.portal.services.database.read() as connection:
            return list(connection.execute(query).scalars())


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def registered(folder: Path, *, requires_session: bool, provider_type: str = "oidc") -> Iterator[Registered]:
    """Run a provider, and a portal at an address of its own that takes it for one of *provider_type*."""
    [port] = free_ports(1)
    url = f"http://portal.demo.localhost:{port}"
    client = a_client(
        url, backchannel_logout_uri=f"{url}{ADDRESS}", backchannel_logout_session_required=requires_session
    )
    with running_provider(client) as theirs:
        spec = a_provider(
            provider_type=provider_type,
            issuer=theirs.issuer,
            client_id=theirs.client_id,
            client_secret=Secret(theirs.client_secret),
        )
        theirs.change("ada", groups=["AI-Analysts"])
        portal = Portal(folder, url=url, providers=(spec,))
        portal.now = int(time.time())
        portal.providers["company"] = CodeFlow(spec, limits=Limits(read=60, total=60))
        tokens: list[str] = []

        def recording(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            tokens.extend(parse_qs(body.decode()).get("logout_token", ()))
            return portal.app({**environ, "wsgi.input": BytesIO(body)}, start_response)

        server = make_server("127.0.0.1", port, recording, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Registered(theirs, portal, tokens)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(params=[True, False], ids=["sid", "no sid"])
def by_either(request: pytest.FixtureRequest, processes: None, tmp_path: Path) -> Iterator[Registered]:
    with registered(tmp_path, requires_session=request.param) as ours:
        yield ours


@pytest.fixture
def by_sid(processes: None, tmp_path: Path) -> Iterator[Registered]:
    with registered(tmp_path, requires_session=True) as ours:
        yield ours


def test_who_ends_their_session_there_is_signed_out_here_and_in_their_apps(by_either: Registered) -> None:
    ana, ada = Person("ana"), Person("ada")
    hers, another = by_either.signed_in(ana), by_either.signed_in(ada)
    kept = hers.cookies()
    ana.end_session(by_either.theirs.issuer)

    assert by_either.theirs.logout_answers() == [{"client": "portal", "status": 200}]
    assert by_either.ends() == [ENDED, None]
    assert by_either.living_app_sessions() == 1  # Ada's
    assert not hers.is_signed_in
    old = Browser(by_either.portal)
    for name, value in kept.items():
        old.client.set_cookie(name, value, domain="portal.demo.localhost")
    assert not old.is_signed_in
    assert another.is_signed_in


def test_a_sid_ends_what_came_of_that_session_and_nothing_else_of_the_person(by_sid: Registered) -> None:
    at_home, at_work = Person("ana"), Person("ana")
    first, second, other = by_sid.signed_in(at_home), by_sid.signed_in(at_home), by_sid.signed_in(at_work)
    at_home.end_session(by_sid.theirs.issuer)

    assert by_sid.ends() == [ENDED, ENDED, None]
    assert [one.is_signed_in for one in (first, second, other)] == [False, False, True]
    assert by_sid.living_app_sessions() == 1


def test_they_can_sign_in_again_at_once(by_either: Registered) -> None:
    ana = Person("ana")
    by_either.signed_in(ana)
    ana.end_session(by_either.theirs.issuer)
    again = by_either.signed_in(ana)

    assert again.is_signed_in
    assert by_either.ends() == [ENDED, None]


def test_the_page_after_signing_out_says_what_a_provider_has_confirmed(processes: None, tmp_path: Path) -> None:
    """
    Keycloak sends a logout token only if its own session has ended.
    """
    with registered(tmp_path, requires_session=True, provider_type="keycloak") as ours:
        ana = Person("ana")
        browser = ours.signed_in(ana)
        page = browser.get(ana.sign_out(link_to_provider(browser.sign_out())))

        assert ours.theirs.logout_answers() == [{"client": "portal", "status": 200}]
        assert ours.ends() == [RevocationReason.SIGNED_OUT.value]
        assert "portal, its apps and Example Company" in page.text


def test_who_declines_there_does_not_read_that_they_are_signed_out_there(by_sid: Registered) -> None:
    """
    This provider sends a logout token even then, and signs the person in again without a question.
    """
    ana = Person("ana")
    browser = by_sid.signed_in(ana)
    page = browser.get(ana.sign_out(link_to_provider(browser.sign_out()), declines=True))
    silently = f"{browser.begin()}&prompt=none"

    assert by_sid.theirs.logout_answers() == [{"client": "portal", "status": 200}]
    assert "code=" in ana.sign_in(silently)
    assert "You may still be signed in to Example Company" in page.text


def test_a_token_counts_once(by_sid: Registered) -> None:
    ana = Person("ana")
    by_sid.signed_in(ana)
    ana.end_session(by_sid.theirs.issuer)
    [token] = by_sid.logout_tokens
    again = by_sid.signed_in(Person("ana"))
    answer = Browser(by_sid.portal).post(ADDRESS, origin=by_sid.theirs.issuer, logout_token=token)

    assert by_sid.theirs.logout_answers() == [{"client": "portal", "status": 200}]
    assert (answer.status_code, answer.json) == (400, {"error": "invalid_request", "error_description": "repeated"})
    assert again.is_signed_in


def test_a_sign_in_that_was_under_way_when_the_session_ended_does_not_begin(by_sid: Registered) -> None:
    ana = Person("ana")
    browser = Browser(by_sid.portal)
    callback = ana.sign_in(browser.begin())
    ana.end_session(by_sid.theirs.issuer)
    browser.get(callback)

    assert by_sid.theirs.logout_answers() == [{"client": "portal", "status": 200}]
    assert not browser.is_signed_in
    assert by_sid.ends() == []
