"""A portal under test and a browser at it, cookies included, without a network between them."""

import re
from html import unescape
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from portal.access.sign_ins import SignIn
from portal.rules.identity import Identity
from portal.sign_in.providers.base import Provider
from portal.storage import tables
from portal.web.app import create_app
from portal.web.rate_limits import RateLimits
from portal.web.services import Services
from tests.builders import ISSUER, NOW, PORTAL, an_identity, settings_for
from tests.prepared import prepared

CALLBACK: Final = "/auth/oauth/company/callback"
HOST: Final = urlsplit(PORTAL).netloc
UNLIMITED: Final = RateLimits(sign_in="100000 per minute", callback="100000 per minute", launch="100000 per minute")


class Portal:
    """A portal under test, its clock and its providers."""

    def __init__(self, data_dir: Path, **changes: object) -> None:
        self.now = NOW
        self.providers: dict[str, Provider] = {}
        settings = prepared(settings_for(data_dir, **changes))
        self.app: Flask = create_app(settings, clock=lambda: self.now, providers=self.providers, limits=UNLIMITED)

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions["portal.services"]
        return found

    def refresh(self) -> None:
        """Have every sign-in that can be refreshed become due, and be refreshed as in the background."""
        now, table = self.now, tables.sign_ins
        due = {"refresh_due_at": now, "refresh_lease_until": None, "checked_at": now - 900, "last_seen_at": now}
        with self.services.database.write() as connection:
            connection.execute(sa.update(table).where(table.c.renewal.is_not(None)).values(due))
        for sign_in in self.services.refresher.due(now):
            self.services.refresher.refresh(sign_in)

    def sign_ins(self, identity: Identity | None = None) -> list[SignIn]:
        return self.services.sign_ins.of_identity((identity or an_identity()).id, now=self.now)

    def events(self) -> list[str]:
        return [entry.event for entry in self.services.audit.recent(issuer=ISSUER, tenant="acme", limit=50)]


class Browser:
    """One browser, with its cookies."""

    def __init__(self, portal: Portal) -> None:
        self.client = portal.app.test_client()
        self.url = portal.services.settings.url

    def get(self, target: str, **headers: str) -> TestResponse:
        return self.client.get(target.removeprefix(self.url), base_url=self.url, headers=headers)

    def post(self, target: str, *, origin: str | None = None, **form: str) -> TestResponse:
        return self.client.post(target, base_url=self.url, data=form, headers={"Origin": origin or self.url})

    def begin(self, target: str = "/auth/oauth/company") -> str:
        """Press the button; return where the browser is sent."""
        response = self.get(target)
        assert response.status_code == 303
        return response.headers["Location"]

    def sign_in(self, target: str = "/auth/oauth/company") -> TestResponse:
        return self.get(callback_of(self.begin(target)))

    def sign_out(self) -> TestResponse:
        return self.post("/sign-out", csrf=csrf_in(self.get("/sign-out")))

    @property
    def is_signed_in(self) -> bool:
        response = self.get("/account")
        assert response.status_code in {200, 303}
        return response.status_code == 200

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in (self.client._cookies or {}).values()}

    def attempts(self) -> list[str]:
        return [name for name in self.cookies() if "portal-attempt-" in name]


def state_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def callback_of(url: str, path: str = CALLBACK) -> str:
    return f"{path}?code=code&state={state_in(url)}"


def csrf_in(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found.group(1)


def reference_in(page: TestResponse) -> str:
    reference = page.headers["X-Request-Id"]
    assert reference in page.text
    return reference


def link_to_provider(page: TestResponse) -> str:
    assert page.status_code == 200
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)
    assert found is not None
    return unescape(found.group(1))
