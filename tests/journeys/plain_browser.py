"""A browser as far as HTTP goes: cookies per host, origins, and what fetch metadata says; no scripts."""

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from tests.provider.process import Person

_PATIENCE = 120.0


class PlainBrowser:
    """Somebody's browser on this machine, where every ``*.localhost`` is loopback."""

    def __init__(self, *, authority: Path | None = None, patience: float = _PATIENCE) -> None:
        self._cookies: dict[str, dict[str, str]] = {}
        self._authority = authority
        """Whose certificates are believed."""
        self._patience = patience

    def get(self, url: str, **options: Any) -> requests.Response:
        """Go to *url* without following redirects."""
        return self._send("GET", url, **options)

    def post(self, url: str, *, origin: str, **form: str) -> requests.Response:
        """Submit *form* from a page of *origin*."""
        return self._send("POST", url, data=form, headers={"Origin": origin})

    def cookie_for(self, url: str) -> str:
        """Return the header ``Cookie`` that it sends to *url*."""
        jar = self._cookies.setdefault(urlsplit(url).hostname or "", {})
        return "; ".join(f"{name}={value}" for name, value in jar.items())

    def sign_in(self, portal: str, person: Person) -> None:
        """Sign *person* in at the provider."""
        there = self.get(f"{portal}/auth/oauth/company").headers["Location"]
        assert self.get(person.sign_in(there)).status_code == 303

    def csrf(self, url: str) -> str:
        """Return the token of the forms of the page at *url*."""
        return found(r'name="csrf" value="([^"]+)"', self.get(url))

    def open_app(self, portal: str, slug: str) -> requests.Response:
        """Launch the app as the portal's page does, in a frame; return what the app shows first."""
        launch = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
        page = self.get(f"{portal}/apps/{slug}/.portal/launch", headers=launch)
        assert page.status_code == 200, page.text
        action, ticket = found(r'action="([^"]+)"', page), found(r'name="ticket" value="([^"]+)"', page)
        answer = self.post(action, origin=portal, ticket=ticket)
        for _ in range(5):
            if not answer.is_redirect:
                break
            action = urljoin(action, answer.headers["Location"])
            answer = self.get(action)
        return answer

    def _send(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> requests.Response:
        parts = urlsplit(url)
        cookie = self.cookie_for(url)
        there = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
        navigation = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        sent = {**navigation, **(headers or {}), "Host": parts.netloc, **({"Cookie": cookie} if cookie else {})}
        if method == "POST" and sent.get("Origin") != f"{parts.scheme}://{parts.netloc}":
            sent["Sec-Fetch-Site"] = "same-site"
        with requests.Session() as session:
            session.trust_env = False
            session.verify = True if self._authority is None else str(self._authority)
            session.mount("https://", _Named(parts.hostname or ""))
            answer = session.request(
                method, there, headers=sent, allow_redirects=False, timeout=self._patience, **options
            )
        for line in answer.raw.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[parts.hostname or ""][name] = value
        return answer


class _Named(HTTPAdapter):
    """Asks this machine for the certificate of a name, which is not resolved."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Have every connection expect that name."""
        super().init_poolmanager(*arguments, server_hostname=self._name, assert_hostname=self._name, **options)


def found(pattern: str, page: requests.Response) -> str:
    """Return what *pattern* finds in *page*."""
    match = re.search(pattern, page.text)
    assert match is not None, f"no {pattern} in {page.text[:600]}"
    return unescape(match.group(1))
