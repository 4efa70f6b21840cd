"""A provider that misbehaves on purpose: correct by default, and wrong as a test sets it.

Small and transparent rather than complete; the certified one is ``tests.provider.process``.
"""

import base64
import hashlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

from tests.builders import NOW
from tests.provider.loopback_server import loopback_server
from tests.provider.signing import ACCESS_TOKEN, JWKS, at_hash, signed

CLIENT_ID = "portal"
CLIENT_SECRET = "client-secret"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Respond = Callable[["Request"], Answer | None]
"""Answers a request; ``None`` where it has written to the connection itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as the provider sees it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    form: dict[str, str]
    write: Callable[[bytes], object]
    """Writes raw bytes to the connection."""


class MisbehavingProvider:
    """The provider's answers, which tests change."""

    def __init__(self, issuer: str, *, port: int) -> None:
        self.issuer = issuer
        self.port = port
        """Where it listens on loopback, whatever it is called."""
        self.now = NOW
        self.subject = "ana"
        self.decodes_basic = True
        """Whether it reads id and secret in HTTP Basic as the standard says (RFC 6749, section 2.3.1)."""
        self.metadata: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "end_session_endpoint": f"{issuer}/end",
            "authorization_response_iss_parameter_supported": True,
        }
        self.callbacks: tuple[str, ...] | None = ("http://", "https://portal.example.com/")
        """How callbacks that it knows begin; ``None``: it does not look before somebody signs in."""
        self.client_first = False
        """Whether it looks at the client before it looks at the code."""
        self.claims: dict[str, Any] = {}
        """Changes to the ID token's claims; ``None`` removes one."""
        self.sign: Callable[[dict[str, Any]], str | None] = signed
        """Makes the ID token; ``None`` leaves it out of the answer."""
        self.token_answer: dict[str, Any] = {}
        self.callback: dict[str, str | None] = {}
        """Changes to the callback's parameters; ``None`` removes one."""
        self.userinfo: dict[str, Any] = {"email": "ana@example.com", "email_verified": True}
        self.jwks: dict[str, Any] = JWKS
        self.respond: dict[str, Respond] = {}
        """By path, instead of the honest answer."""
        self.asked: list[str] = []
        """Paths that were asked for, in order."""
        self.requests: list[Request] = []
        """The same, whole."""
        self.client_secret = CLIENT_SECRET
        self.code: str | None = None
        """The next code; ``None``: a plain one."""
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, authorization_url: str) -> str:
        """Return the callback URL for a person who consented."""
        asked = dict(parse_qsl(urlsplit(authorization_url).query))
        code = self.code or f"code-{len(self._codes)}"
        self._codes[code] = asked
        parameters = {"code": code, "state": asked["state"], "iss": self.issuer, **self.callback}
        present = {name: value for name, value in parameters.items() if value is not None}
        return f"{asked['redirect_uri']}?{urlencode(present)}"

    def callback_of(self, authorization_url: str) -> dict[str, str]:
        """Return the parameters of that callback."""
        return dict(parse_qsl(urlsplit(self.authorize(authorization_url)).query))

    def answer(self, request: Request) -> Answer | None:
        """Answer *request* as scripted."""
        self.asked.append(request.path)
        self.requests.append(request)
        honest: dict[str, Respond] = {
            "/.well-known/openid-configuration": lambda _: as_json(self.metadata),
            "/authorize": self._sign_in_page,
            "/jwks": lambda _: as_json(self.jwks),
            "/token": self.tokens,
            "/userinfo": self._userinfo,
        }
        respond = self.respond.get(request.path) or honest.get(request.path)
        return as_json({"error": "not_found"}, status=404) if respond is None else respond(request)

    def _sign_in_page(self, request: Request) -> Answer:
        asked = dict(parse_qsl(request.query))
        if self.callbacks is None or asked.get("redirect_uri", "").startswith(self.callbacks):
            return Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"})
        return as_json({"error": "invalid_request", "error_description": "redirect_uri is not registered"}, status=400)

    def tokens(self, request: Request) -> Answer:
        """Return the correct answer of the token endpoint."""
        if self.client_first and not self._is_our_client(request):
            return as_json({"error": "invalid_client"}, status=401)
        asked = self._codes.pop(request.form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(request.form.get("code_verifier", "").encode()).digest())
        if asked is None or asked["code_challenge"] != challenge.rstrip(b"=").decode():
            return as_json({"error": "invalid_grant"}, status=400)
        if asked["redirect_uri"] != request.form.get("redirect_uri"):
            return as_json({"error": "invalid_grant"}, status=400)
        if not self._is_our_client(request):
            return as_json({"error": "invalid_client"}, status=401)
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": self.subject,
            "iat": self.now,
            "exp": self.now + 300,
            "nonce": asked["nonce"],
            "name": "Ana Analyst",
            "at_hash": at_hash(ACCESS_TOKEN),
            **self.claims,
        }
        answer = {
            "access_token": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.sign({name: value for name, value in claims.items() if value is not None}),
            **self.token_answer,
        }
        return as_json({name: value for name, value in answer.items() if value is not None})

    def _is_our_client(self, request: Request) -> bool:
        methods = self.metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        header = request.headers.get("authorization", "")
        sent = base64.b64decode(header.removeprefix("Basic ")).decode() if header.startswith("Basic ") else ""
        said = [unquote_plus(part) if self.decodes_basic else part for part in sent.split(":", 1)]
        by_basic = "client_secret_basic" in methods and said == [CLIENT_ID, self.client_secret]
        by_post = "client_secret_post" in methods and request.form.get("client_secret") == self.client_secret
        public = "none" in methods and request.form.get("client_id") == CLIENT_ID
        return by_basic or by_post or public

    def _userinfo(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {ACCESS_TOKEN}":
            return as_json({"error": "invalid_token"}, status=401)
        return as_json({"sub": self.subject, **self.userinfo})


def as_json(value: object, *, status: int = 200) -> Answer:
    """Return *value* as a JSON answer."""
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"})


def trickle(*, head: bytes, drop: bytes, every: float = 0.05) -> Respond:
    """Return an answer that begins with *head* and then sends *drop* for ever, a little at a time."""

    def respond(request: Request) -> None:
        request.write(head)
        for _ in range(int(60 / every)):  # until the portal hangs up
            request.write(drop)
            time.sleep(every)

    return respond


@contextmanager
def misbehaving_provider(
    *, issuer: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[MisbehavingProvider]:
    """Run a provider on a free loopback port until the block ends; under the name *issuer*, if one is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            self._answer({name: values[0] for name, values in parse_qs(body).items()})

        def _answer(self, form: dict[str, str]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            parts = urlsplit(self.path)
            answer = provider.answer(Request(self.command, parts.path, parts.query, headers, form, self._write))
            if answer is not None:
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

        def _write(self, raw: bytes) -> None:
            self.wfile.write(raw)
            self.wfile.flush()

    with loopback_server(Handler, tls=tls) as port:
        provider = MisbehavingProvider(issuer or f"http://127.0.0.1:{port}", port=port)
        yield provider
