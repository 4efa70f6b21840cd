"""GitHub Enterprise Server, as far as a sign-in needs it.

Quirks and their sources:

* token answers are form-encoded unless ``Accept: application/json`` ("Authorizing OAuth apps", step 2);
* errors of the token endpoint come with status 200 ("Troubleshooting OAuth app access token request errors");
* the callback carries ``iss`` (RFC 9207) since April 2026; ``iss = None`` switches that off, as before;
* PKCE with S256 only, and only where a challenge was sent;
* the client's secret counts in the body alone;
* granted scopes are separated by commas, and stand in ``X-OAuth-Scopes`` of every answer of the API;
* lists come by pages with ``Link: <…>; rel="next"`` ("Using pagination in the REST API");
* without ``read:org``, ``/user/memberships/orgs`` is 403 and ``/user/teams`` 404; without ``user:email``,
  ``/user/emails`` is 404 (REST reference; "404 instead of 403" for resources one may not know of);
* organisations that restrict OAuth apps are silently absent ("About OAuth app access restrictions");
* ``state=active`` filters memberships on the server; without it, pending ones come too.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.provider.emulations.serving import Answer, Asked, Emulation, as_form, as_json

ACCESS_TOKEN = "gho_emulated"


class GitHub(Emulation):
    """A server with one person, Octo."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.iss: str | None = f"{url}/login/oauth"
        self.page = 2
        """Entries per page, whatever ``per_page`` asks for: real lists are longer than one page, too."""
        acme = {"login": "example-org", "id": 99001}
        self.user: dict[str, Any] = {
            "login": "octo-dev",
            "id": 1234567,
            "avatar_url": "https://avatars.githubusercontent.com/u/1234567?v=4",
            "name": "Octo Dev",
            "email": None,
        }
        self.emails: list[dict[str, Any]] = [
            {"email": "1@users.noreply.github.com", "primary": False, "verified": True, "visibility": None},
            {"email": "old@example.com", "primary": False, "verified": False, "visibility": None},
            {"email": "octo@example.com", "primary": True, "verified": True, "visibility": "private"},
        ]
        self.memberships: list[dict[str, Any]] = [
            {"state": "active", "role": "admin", "organization": acme},
            {"state": "pending", "role": "member", "organization": {"login": "other-org", "id": 99002}},
        ]
        self.teams: list[dict[str, Any]] = [
            {"id": 550 + number, "slug": f"team-{number}", "name": f"Team {number}", "organization": acme}
            for number in range(5)
        ]
        self.scope = "read:org,user:email"
        """What the person grants."""
        self.instead: dict[str, Answer] = {}
        """By path, instead of the honest answer."""

    def endpoints(self) -> Mapping[str, Callable[[Asked], Answer]]:
        api = {
            "/api/v3/user": lambda _: as_json(self.user),
            "/api/v3/user/emails": lambda asked: self._list(asked, self.emails, scope="user:email", refusal=404),
            "/api/v3/user/memberships/orgs": self._memberships,
            "/api/v3/user/teams": lambda asked: self._list(asked, self.teams, scope="read:org", refusal=404),
        }
        return {
            "POST /login/oauth/access_token": self._token,
            **{f"GET {path}": self._guarded(respond) for path, respond in api.items()},
        }

    def answer(self, asked: Asked) -> Answer:
        if asked.path in self.instead:
            self.asked.append(asked)
            return self.instead[asked.path]
        return super().answer(asked)

    def consent(self, authorization_url: str) -> str:
        """Return where the browser of a person who consents is sent."""
        asked = self._request(authorization_url)
        return self._back(asked, code=self.new_code(asked))

    def refuse(self, authorization_url: str) -> str:
        """Return where the browser of a person who refuses is sent."""
        return self._back(self._request(authorization_url), error="access_denied", error_description="The user said no")

    def _request(self, authorization_url: str) -> dict[str, str]:
        parts = urlsplit(authorization_url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/login/oauth/authorize"
        asked = dict(parse_qsl(parts.query))
        assert asked["client_id"] == self.CLIENT_ID
        assert asked.get("code_challenge_method", "S256") == "S256"
        return asked

    def _back(self, asked: Mapping[str, str], **parameters: str) -> str:
        said = {**parameters, "state": asked["state"], **({} if self.iss is None else {"iss": self.iss})}
        return f"{asked['redirect_uri']}?{urlencode(said)}"

    def _token(self, asked: Asked) -> Answer:
        wants_json = "application/json" in asked.headers.get("accept", "")
        said = self._token_answer(asked.form)
        return as_json(said) if wants_json else as_form(said)

    def _token_answer(self, form: Mapping[str, str]) -> dict[str, str]:
        if (form.get("client_id"), form.get("client_secret")) != (self.CLIENT_ID, self.CLIENT_SECRET):
            return {
                "error": "incorrect_client_credentials",
                "error_description": "The client_id and/or client_secret passed are incorrect.",
            }
        begun = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if begun is None or begun.get("code_challenge", challenge) != challenge:
            return {
                "error": "bad_verification_code",
                "error_description": "The code passed is incorrect or expired.",
            }
        if begun["redirect_uri"] != form.get("redirect_uri"):
            return {"error": "redirect_uri_mismatch", "error_description": "The redirect_uri MUST match."}
        return {"access_token": ACCESS_TOKEN, "scope": self.scope, "token_type": "bearer"}

    def _guarded(self, respond: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        def guarded(asked: Asked) -> Answer:
            if asked.bearer != ACCESS_TOKEN:
                return as_json({"message": "Bad credentials"}, status=401)
            answer = respond(asked)
            return Answer(answer.body, answer.status, {**answer.headers, "X-OAuth-Scopes": self.scope})

        return guarded

    def _memberships(self, asked: Asked) -> Answer:
        wanted = asked.query.get("state")
        found = [one for one in self.memberships if wanted in {None, one["state"]}]
        return self._list(asked, found, scope="read:org", refusal=403)

    def _list(self, asked: Asked, entries: list[dict[str, Any]], *, scope: str, refusal: int) -> Answer:
        if scope not in self.scope.split(","):
            return as_json({"message": "Must have admin rights or Not Found"}, status=refusal)
        number = int(asked.query.get("page", "1"))
        end = number * self.page
        query = urlencode({**asked.query, "page": number + 1})
        page = entries[end - self.page : end]
        if end >= len(entries):
            return as_json(page)
        return as_json(page, Link=f'<{self.url}{asked.path}?{query}>; rel="next"')
