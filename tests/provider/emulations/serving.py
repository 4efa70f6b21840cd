"""A scripted provider as a small HTTP server: one class per provider type, one method per endpoint.

What has no ready-made emulation is scripted here from its documentation, quirks first: an emulation that is kinder than
the provider would prove nothing.  Each module lists its quirks and their sources.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.provider.loopback_server import loopback_server


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    """By names in lower case."""

    @property
    def bearer(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() in {"bearer", "token"} else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object, *, status: int = 200, **headers: str) -> Answer:
    """Return *value* as JSON; in names of headers, underscores stand for hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json; charset=utf-8", **named})


def as_form(values: Mapping[str, str]) -> Answer:
    """Return *values* form-encoded."""
    return Answer(urlencode(values).encode(), 200, {"Content-Type": "application/x-www-form-urlencoded"})


class Emulation:
    """A provider: what is common to all of them."""

    CLIENT_ID = "portal"
    CLIENT_SECRET = "client-secret-of-the-emulation"

    def __init__(self, url: str) -> None:
        self.url = url
        self.codes: dict[str, dict[str, str]] = {}
        """By code, the authorization request it was given for; used once."""
        self.asked: list[Asked] = []

    def endpoints(self) -> Mapping[str, Callable[[Asked], Answer]]:
        """Return the handlers by method and path, such as ``GET /user``."""
        raise NotImplementedError

    def answer(self, asked: Asked) -> Answer:
        """Answer as scripted; 404 elsewhere."""
        self.asked.append(asked)
        respond = self.endpoints().get(f"{asked.method} {asked.path}")
        return as_json({"message": "Not Found"}, status=404) if respond is None else respond(asked)

    def new_code(self, request: Mapping[str, str]) -> str:
        """Return a fresh code for an authorization *request*."""
        code = secrets.token_urlsafe(12)
        self.codes[code] = dict(request)
        return code

    def paths(self) -> list[str]:
        """Return the paths asked for, in order."""
        return [one.path for one in self.asked]


T = TypeVar("T", bound=Emulation)


@contextmanager
def serving(make: Callable[[str], T]) -> Iterator[T]:
    """Run the emulation that *make* returns for its own address, on a free loopback port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())

        def _answer(self, body: str) -> None:
            parts = urlsplit(self.path)
            answer = emulation.answer(
                Asked(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    form=dict(parse_qsl(body)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                )
            )
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

    with loopback_server(Handler) as port:
        emulation = make(f"http://127.0.0.1:{port}")
        yield emulation
