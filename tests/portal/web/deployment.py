"""A portal in one folder, with a provider that accepts everyone, and browsers for it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.rules.catalogue import AppSpec, Catalogue
from portal.rules.identity import Affiliation, Identity
from portal.settings import Settings
from portal.web.app import create_app
from portal.web.rate_limits import RateLimits
from portal.web.services import Services, services
from tests.builders import NOW, PORTAL, a_provider, an_app, an_identity, settings_for
from tests.prepared import prepared
from tests.provider.browser import state_in
from tests.provider.loopback_server import loopback_server
from tests.provider.scripted import ScriptedProvider

UNLIMITED = RateLimits(sign_in="10000 per minute", callback="10000 per minute", launch="10000 per minute")
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": PORTAL}
"""What a browser says of a form on one of our pages."""
NAVIGATION = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
"""What a browser says when the app page's frame loads."""

TESS = an_identity(
    subject="tess",
    name="Tess Two-Tenants",
    email="tess@example.com",
    affiliations=(
        Affiliation(tenant="acme", tenant_name="Acme", roles=frozenset({"Member"})),
        Affiliation(tenant="beta", tenant_name="Beta", roles=frozenset({"Tenant Admin"})),
    ),
)
"""Belongs to two tenants, admin in one."""

APPS = Catalogue(
    (
        an_app(),
        an_app(
            slug="admin-dashboard",
            title="Admin dashboard",
            url="https://admin-dashboard.apps.example.com",
            open_to=frozenset({"admin"}),
            portal_api=frozenset({"audit:read", "sign-ins:read", "sign-ins:end"}),
        ),
        an_app(
            slug="beta-only",
            title="Beta secret",
            url="https://beta-only.apps.example.com",
            open_to=frozenset({"everyone"}),
            tenants=frozenset({"beta"}),
        ),
        an_app(slug="closed", title="Closed", url="https://closed.apps.example.com", open_to=frozenset()),
    )
)


class Browser(FlaskClient):
    """A browser that knows where the portal is."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", PORTAL)
        return super().open(*args, **kwargs)


class Deployment:
    """One running portal; time stands still until :attr:`now` is changed."""

    def __init__(self, folder: Path, *, limits: RateLimits = UNLIMITED, **changes: Any) -> None:
        self.now = NOW
        self.settings: Settings = prepared(settings_for(folder, **{"catalogue": APPS, **changes}))
        self.provider = ScriptedProvider(a_provider())
        self.provider.end_session = None
        self.app: Flask = create_app(
            self.settings, clock=lambda: self.now, providers={"company": self.provider}, limits=limits
        )

        self.app.test_client_class = Browser

    @property
    def services(self) -> Services:
        with self.app.app_context():
            return services()

    def browser(self) -> FlaskClient:
        """Return a browser of its own."""
        client = self.app.test_client()
        client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"
        return client

    def signed_in(self, person: Identity | None = None) -> FlaskClient:
        """Return a browser in which *person* (Ana, if none is given) is signed in."""
        browser = self.browser()
        self.sign_in(browser, person)
        return browser

    def sign_in(self, browser: FlaskClient, person: Identity | None = None, *, going_to: str = "/") -> TestResponse:
        """Sign *person* in, in *browser*, through the provider; return the callback's answer."""
        self.provider.identity = person or an_identity()
        begun = browser.get("/auth/oauth/company", query_string={"next": going_to})
        state = state_in(begun.headers["Location"])
        answer = browser.get("/auth/oauth/company/callback", query_string={"state": state, "code": "code"})
        assert answer.status_code == 303, answer.text
        return answer

    def launched(self, browser: FlaskClient, slug: str = "forecast", path: str = "/") -> str:
        """Return the ticket that launching *slug* puts into its form."""
        answer = browser.get(f"/apps/{slug}/.portal/launch", query_string={"next": path}, headers=NAVIGATION)
        assert answer.status_code == 200, answer.text
        return field_of(answer, "ticket")

    def ask(self, slug: str, path: str, form: Mapping[str, str], *, secret: str | None = None) -> TestResponse:
        """POST *form* as the app *slug*."""
        known = self.services.credentials.secret_of(slug).reveal() if secret is None else secret
        return self.browser().post(path, data=form, auth=(slug, known))

    def spec(self, slug: str) -> AppSpec:
        found = self.settings.catalogue.find(slug)
        assert found is not None
        return found


def field_of(answer: TestResponse, name: str) -> str:
    """Return the value of the first hidden field called *name*."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found is not None, f"no field {name}"
    return unescape(found[1])


@contextmanager
def guard_answering(status: int, body: bytes = b"") -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Answer every request with *status* and *body*; yield the port, and the path and host of each request."""
    requests: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    with loopback_server(Handler) as port:
        yield port, requests
