"""Claims are read again at a certified provider, which replaces the refresh token each time and takes none twice."""

import logging
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from werkzeug.test import TestResponse

from portal.access.audit_events import AuditEvent
from portal.access.revocation import RevocationReason
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from portal.rules.catalogue import Catalogue
from portal.settings import Secret
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.json_documents import read_object
from portal.sign_in.providers.transport import Limits
from portal.storage import tables
from tests.builders import PORTAL, a_provider, an_app
from tests.portal.web.deployment import NAVIGATION, field_of
from tests.provider.browser import CALLBACK, Browser, Portal
from tests.provider.process import Person, RunningProvider, a_client, running_provider


@pytest.fixture
def theirs(processes: None) -> Iterator[RunningProvider]:
    with running_provider(a_client(PORTAL, callbacks=(CALLBACK,))) as provider:
        yield provider


@dataclass(slots=True)
class SignedIn:
    """Ana, signed in at the provider and here, with an app open."""

    theirs: RunningProvider
    portal: Portal
    browser: Browser
    pages: list[TestResponse]
    """Every page that she was shown."""

    def get(self, target: str, **headers: str) -> TestResponse:
        page = self.browser.get(target, **headers)
        self.pages.append(page)
        return page

    def roles(self) -> set[str]:
        """Return the roles that her account page shows."""
        return set(re.findall(r'<strong class="role">([^<]+)</strong>', self.get("/account").text))

    def launch(self) -> TestResponse:
        return self.get("/apps/forecast/.portal/launch", **NAVIGATION)

    def introspect(self, token: str, hint: str) -> dict[str, Any]:
        """Ask about *token* as the app does."""
        secret = self.portal.services.credentials.secret_of("forecast").reveal()
        form = {"token": token, "token_type_hint": hint}
        answer = self.browser.client.post("/oauth/introspect", base_url=PORTAL, data=form, auth=("forecast", secret))
        return read_object(answer.data)

    def row(self) -> sa.Row[Any]:
        with self.portal.services.database.read() as connection:
            return connection.execute(sa.select(tables.sign_ins)).one()

    def refresh_token(self) -> str:
        renewal = self.portal.services.sign_ins.renewal_in(self.row())
        assert renewal is not None
        assert renewal.kind == "refresh"
        return renewal.token

    def app_sessions_ended(self) -> list[bool]:
        with self.portal.services.database.read() as connection:
            ended = connection.execute(sa.select(tables.app_sessions.c.ended_at)).scalars()
            return [one is not None for one in ended]

    def redeem(self, refresh_token: str) -> requests.Response:
        """Use *refresh_token* at the provider as a thief would, who has the client secret too."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        auth = (self.theirs.client_id, self.theirs.client_secret)
        return requests.post(f"{self.theirs.issuer}/token", data=form, auth=auth, timeout=60)


@pytest.fixture
def ana(tmp_path: Path, theirs: RunningProvider) -> SignedIn:
    return signed_in(tmp_path, theirs)


def signed_in(folder: Path, theirs: RunningProvider, **changes: Any) -> SignedIn:
    # OpenID Connect Core, section 11: without prompt=consent, this provider ignores offline_access.
    changes = {"provider_type": "oidc", "authorize_params": (("prompt", "consent"),), **changes}
    spec = a_provider(
        issuer=theirs.issuer,
        client_id=theirs.client_id,
        client_secret=Secret(theirs.client_secret),
        **changes,
    )
    app = an_app(open_to=frozenset({"admin", "analyst"}))
    portal = Portal(folder, providers=(spec,), catalogue=Catalogue((app,)))
    portal.now = int(time.time())
    portal.providers["company"] = CodeFlow(spec, limits=Limits(read=60, total=60))
    ana = SignedIn(theirs, portal, Browser(portal), [])
    callback = Person("ana").sign_in(ana.browser.begin())
    assert ana.get(callback).status_code == 303
    return ana


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return read_object(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_roles_are_what_the_provider_says_now(ana: SignedIn) -> None:
    assert ana.roles() == {"analyst"}
    assert claims_of(field_of(ana.launch(), "ticket"))["roles"] == ["analyst"]

    ana.theirs.change("ana", roles=["Tenant Admin"], name="Ana Admin")
    assert ana.roles() == {"analyst"}
    ana.portal.refresh()

    assert ana.roles() == {"admin", "analyst"}
    ticket = claims_of(field_of(ana.launch(), "ticket"))
    assert (sorted(ticket["roles"]), ticket["name"]) == (["admin", "analyst"], "Ana Admin")
    events = ana.portal.services.audit.recent(issuer=ana.theirs.issuer, tenant="", limit=50)
    assert [entry.detail for entry in events if entry.event == AuditEvent.ROLES_CHANGED] == ["+admin"]


def test_an_app_that_is_open_learns_the_new_roles(ana: SignedIn) -> None:
    sid = str(ana.introspect(field_of(ana.launch(), "ticket"), HINT_TICKET)["sid"])
    assert ana.introspect(sid, HINT_APP_SESSION)["roles"] == ["analyst"]
    ana.theirs.change("ana", roles=["Tenant Admin"])
    ana.portal.refresh()
    answer = ana.introspect(sid, HINT_APP_SESSION)

    assert (answer["active"], sorted(answer["roles"])) == (True, ["admin", "analyst"])
    ana.theirs.change("ana", roles=[], groups=[])
    ana.portal.refresh()
    assert ana.introspect(sid, HINT_APP_SESSION)["active"] is False


def test_a_tenant_that_a_person_has_left_is_left_here_too(tmp_path: Path, theirs: RunningProvider) -> None:
    """
    In the claims of Descope, at whose shape of provider they stay signed in, in the tenant that remains.
    """
    theirs.change("ana", tenants={"acme": {"name": "Acme", "roles": []}, "beta": {"name": "Beta", "roles": []}})
    ana = signed_in(tmp_path, theirs, provider_type="descope")
    before = ana.row().tenant
    theirs.change("ana", tenants={"beta" if before == "acme" else "acme": {"name": "The other", "roles": []}})
    ana.portal.refresh()

    assert {before, ana.row().tenant} == {"acme", "beta"}
    assert "The other" in ana.get("/account").text
    theirs.change("ana", tenants={})
    ana.portal.refresh()
    assert ana.row().tenant == ""


def test_an_app_that_a_lost_role_opened_is_closed(ana: SignedIn) -> None:
    field_of(ana.launch(), "ticket")
    ana.theirs.change("ana", groups=["Everyone"])
    ana.portal.refresh()

    assert ana.roles() == set()
    assert ana.app_sessions_ended() == [True]
    assert ana.launch().status_code == 403
    assert ana.browser.is_signed_in


def test_the_replaced_token_is_stored_and_works_the_next_time(ana: SignedIn) -> None:
    tokens = [ana.refresh_token()]
    for name in ("First", "Second", "Third"):
        ana.theirs.change("ana", name=name)
        ana.portal.refresh()
        tokens.append(ana.refresh_token())
        assert name in ana.get("/account").text

    assert len(set(tokens)) == 4


def test_a_token_that_was_used_twice_ends_the_sign_in(ana: SignedIn) -> None:
    """
    A thief used a copy of the token first.  The provider cannot tell who is who, and takes neither any more.
    """
    field_of(ana.launch(), "ticket")
    stolen = ana.refresh_token()
    theirs = ana.redeem(stolen)
    assert theirs.status_code == 200
    ana.portal.refresh()

    assert ana.row().end_reason == RevocationReason.REFRESH_REFUSED
    assert not ana.browser.is_signed_in
    assert ana.app_sessions_ended() == [True]
    refused = ana.redeem(theirs.json()["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("cause", ["revoke", "remove"])
def test_a_withdrawn_grant_and_a_deleted_account_end_the_sign_in_and_its_apps(ana: SignedIn, cause: str) -> None:
    field_of(ana.launch(), "ticket")
    getattr(ana.theirs, cause)("ana")
    assert ana.browser.is_signed_in  # it is not due yet
    ana.portal.refresh()

    assert ana.row().end_reason == RevocationReason.REFRESH_REFUSED
    assert (ana.row().renewal, ana.row().refresh_due_at) == (None, None)
    assert not ana.browser.is_signed_in
    assert ana.app_sessions_ended() == [True]


def test_while_the_provider_is_away_the_sign_in_goes_on_and_refreshes_resume(ana: SignedIn) -> None:
    field_of(ana.launch(), "ticket")
    with ana.theirs.away():
        for _ in range(3):
            ana.portal.refresh()
            assert ana.row().refresh_due_at > ana.portal.now
        assert ana.roles() == {"analyst"}
        assert field_of(ana.launch(), "ticket")
    ana.theirs.change("ana", groups=["Everyone"])
    ana.portal.refresh()

    assert ana.roles() == set()
    assert ana.browser.is_signed_in


def test_neither_token_appears_in_logs_pages_or_files(
    tmp_path: Path, ana: SignedIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ana.roles()
    ana.launch()
    ana.portal.refresh()
    used = ana.refresh_token()
    ana.redeem(used)
    ana.get("/")
    with ana.theirs.away():
        ana.portal.refresh()
    ana.portal.refresh()  # refused

    issued = ana.theirs.issued()
    assert used in issued
    assert len(issued) >= 6
    assert not ana.browser.is_signed_in
    assert "refresh of a sign-in" in caplog.text
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    said = [caplog.text, *(f"{page.headers}{page.text}" for page in ana.pages)]
    assert [token for token in issued if any(token in text for text in said)] == []
    assert [token for token in issued if any(token.encode() in content for content in files)] == []


def test_without_a_refresh_token_the_sign_in_is_short(tmp_path: Path, theirs: RunningProvider) -> None:
    """
    This provider gives none to a request that does not ask for consent.
    """
    ana = signed_in(tmp_path, theirs, authorize_params=())
    settings = ana.portal.services.settings

    assert ana.row().renewal is None
    assert ana.row().expires_at == ana.portal.now + settings.lifetime_without_refresh
    assert "as of this sign-in" in ana.get("/account").text


def test_it_is_not_asked_for_where_the_configuration_turns_it_off(tmp_path: Path, theirs: RunningProvider) -> None:
    ana = signed_in(tmp_path, theirs, refresh=False)

    assert ana.row().renewal is None
    assert len(theirs.issued()) == 1  # the access token
