"""The demo provider from outside: requests written by hand, without the library that serves them."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

ISSUER = "http://127.0.0.1:7801"
CALLBACK = "http://portal.demo.localhost:7800/auth/oauth/demo/callback"
VERIFIER = "v" * 64
SECRET = "the-client-secret"
SCOPES = "openid profile email descope.claims"


def challenge_of(verifier: str) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def an_authorization(**changes: str | None) -> dict[str, str]:
    """The query of a good authorization request; ``None`` leaves a parameter out."""
    query: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "demo-portal",
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (query | changes).items() if value is not None}


def choose(app: Flask, person: str = "demo-ada", **changes: str | None) -> TestResponse:
    """Choose *person* on the provider's page."""
    return app.test_client().post(
        "/authorize", query_string=an_authorization(**changes), data={"person": person}, base_url=ISSUER
    )


def answer_in(response: TestResponse) -> dict[str, str]:
    """The query of the redirect that went back to the client."""
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def exchange(app: Flask, issued: str, *, secret: str = SECRET, **changes: str | None) -> TestResponse:
    """Present *issued*, a code, at the token endpoint."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": issued,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    basic = base64.b64encode(f"demo-portal:{secret}".encode()).decode()
    return app.test_client().post(
        "/token",
        data={name: value for name, value in (form | changes).items() if value is not None},
        headers={"Authorization": f"Basic {basic}"},
        base_url=ISSUER,
    )


def part_of_token(token: str, number: int) -> dict[str, Any]:
    """Header (0) or claims (1) of a JWT, unverified."""
    part = token.split(".")[number]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
