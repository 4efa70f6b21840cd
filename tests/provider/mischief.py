"""Everything a provider can do wrong, and the outcome that must follow: one row each.

``tests.portal.sign_in.providers.test_oidc`` asks the provider's flow, ``tests.portal.web.views.test_callback`` the
page and that nobody is signed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portal.errors import (
    CallbackRejected,
    ClaimsTooLarge,
    PortalError,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderUnavailable,
)
from tests.builders import NOW
from tests.provider.misbehaving import Answer, MisbehavingProvider, Request, Respond, as_json, trickle
from tests.provider.signing import OTHER_RSA, forged, signed, with_public_key_as_secret

Prepare = Callable[[MisbehavingProvider], None]

METADATA = "/.well-known/openid-configuration"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class Mischief:
    """One wrong, and its outcome."""

    prepare: Prepare
    error: type[PortalError]
    at_begin: bool = False
    """Whether it shows before the browser is sent away."""
    slow: bool = False
    """Whether the portal must wait for its own limit."""


def metadata(**changes: Any) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.metadata = {name: value for name, value in {**provider.metadata, **changes}.items() if value != "gone"}

    return prepare


def answers(path: str, answer: Answer | Respond) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.respond[path] = (lambda _: answer) if isinstance(answer, Answer) else answer

    return prepare


def claims(**changes: Any) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.claims = changes

    return prepare


def signs(sign: Callable[[dict[str, Any]], str | None]) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.sign = sign

    return prepare


def token_answer(**changes: Any) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.token_answer = changes

    return prepare


def callback(**changes: str | None) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.callback = changes

    return prepare


def userinfo(**changes: Any) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.userinfo = changes

    return prepare


def keys(*members: dict[str, Any]) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.jwks = {"keys": list(members)}

    return prepare


def nested(depth: int) -> object:
    """Return arrays within each other."""
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


def with_status(provider: MisbehavingProvider, status: int) -> Respond:
    """Return the correct answer of the token endpoint under another status."""

    def respond(request: Request) -> Answer:
        honest = provider.tokens(request)
        return Answer(honest.body, status, honest.headers)

    return respond


def unwanted(path: str) -> dict[str, Prepare]:
    """Return answers that are unusable at any endpoint."""
    return {
        "a server error": answers(path, as_json({"error": "server_error"}, status=500)),
        "a gateway's page": answers(path, Answer(b"<html>Bad gateway</html>", 502, {"Content-Type": "text/html"})),
        "a page with status 200": answers(path, Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"})),
        "too many requests": answers(path, Answer(b"slow down", 429)),
        "broken JSON": answers(path, Answer(b'{"issuer": ')),
        "JSON nested too deeply": answers(path, Answer(b'{"a":' * 100_000)),
        "whole JSON nested too deeply": answers(path, Answer(b'{"a":' * 900 + b"1" + b"}" * 900)),
        "a list": answers(path, Answer(b"[]")),
        "an empty answer": answers(path, Answer(b"")),
        "no UTF-8": answers(path, Answer(b'{"a": "\xff"}')),
        "10 MB": answers(path, Answer(b'{"a": "' + b"x" * 10_000_000 + b'"}')),
        "a redirect to another host": answers(path, Answer(b"", 302, {"Location": "https://evil.test/"})),
        "a redirect that keeps the method": answers(path, Answer(b"", 307, {"Location": "http://localhost:1/"})),
        "a connection that breaks off": answers(path, lambda request: _nothing(request.write(HEAD))),
        "a length it does not keep": answers(path, Answer(b"{}", 200, {"Content-Length": "100"})),
        "no HTTP": answers(path, lambda request: _nothing(request.write(b"SSH-2.0-OpenSSH\r\n"))),
    }


def slow(path: str) -> dict[str, Prepare]:
    """Return answers that never end."""
    return {
        "silence": answers(path, trickle(head=b"", drop=b"")),
        "a header without end": answers(path, trickle(head=HEAD, drop=b"X: 1\r\n", every=0.1)),
        "a body without end": answers(path, trickle(head=HEAD + b"\r\n", drop=b" ")),
    }


def _nothing(_: object) -> None:
    return None


_AT_BEGIN: dict[str, Prepare] = {f"metadata: {name}": prepare for name, prepare in unwanted(METADATA).items()}

_MISCONFIGURED_AT_BEGIN: dict[str, Prepare] = {
    "no metadata at that address": answers(METADATA, Answer(b"", 404)),
    "metadata that moved": answers(METADATA, Answer(b"", 301, {"Location": "https://id.example.com/x"})),
    "metadata that moved, by the same method": answers(METADATA, Answer(b"", 308, {"Location": "/x"})),
    "metadata of another issuer": metadata(issuer="https://evil.test"),
    "metadata with a slash at the issuer": lambda provider: metadata(issuer=f"{provider.issuer}/")(provider),
    "metadata without an issuer": metadata(issuer="gone"),
    "authorize over plain HTTP elsewhere": metadata(authorization_endpoint="http://id.example.com/authorize"),
    "authorize is a script": metadata(authorization_endpoint="javascript:alert(1)"),
    "authorize is missing": metadata(authorization_endpoint="gone"),
    "token over plain HTTP elsewhere": metadata(token_endpoint="http://id.example.com/token"),
    "token at a host in disguise": metadata(token_endpoint="http://localhost:80@evil.test/token"),
    "token is a file": metadata(token_endpoint="file:///etc/passwd"),
    "token is a number": metadata(token_endpoint=1),
    "keys over plain HTTP elsewhere": metadata(jwks_uri="http://id.example.com/jwks"),
    "keys are missing": metadata(jwks_uri="gone"),
    "userinfo over plain HTTP elsewhere": metadata(userinfo_endpoint="http://id.example.com/userinfo"),
    "sign-out over plain HTTP elsewhere": metadata(end_session_endpoint="http://id.example.com/end"),
}

_UNAVAILABLE: dict[str, Prepare] = {
    **{
        f"{path[1:]}: {name}": prepare
        for path in ("/token", "/jwks", "/userinfo")
        for name, prepare in unwanted(path).items()
    },
    "tokens under an error": lambda provider: answers("/token", with_status(provider, 400))(provider),
    "tokens under a redirect": lambda provider: answers("/token", with_status(provider, 302))(provider),
    "no access token": token_answer(access_token=None),
    "an access token that is a list": token_answer(access_token=["a"]),
    "a token of another type": token_answer(token_type="mac"),
    "no type of token": token_answer(token_type=None),
    "userinfo refuses its own token": answers("/userinfo", as_json({"error": "invalid_token"}, status=401)),
    "userinfo nested too deeply": userinfo(deep=nested(200)),
    "a token answer nested too deeply": token_answer(deep=nested(200)),
    "no keys": keys(),
    "keys of no use": keys({"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}),
    "a thousand keys": keys(*[{"kty": "RSA", "kid": str(number)} for number in range(1000)]),
    "the provider is in trouble": callback(code=None, error="temporarily_unavailable"),
}

_MISCONFIGURED: dict[str, Prepare] = {
    "our secret is refused": answers("/token", as_json({"error": "invalid_client"}, status=401)),
    "our secret is refused by Keycloak": answers("/token", as_json({"error": "unauthorized_client"}, status=401)),
    "our callback is refused": answers("/token", as_json({"error": "redirect_uri_mismatch"}, status=200)),
    "no keys at that address": answers("/jwks", Answer(b"", 404)),
    "a scope we may not ask for": callback(code=None, error="invalid_scope"),
    "a client that may not ask": callback(code=None, error="unauthorized_client"),
    "a request it does not take": callback(code=None, error="invalid_request", error_description="no\r\n\x00"),
}

_REJECTED: dict[str, Prepare] = {
    "no ID token": signs(lambda _: None),
    "an ID token with claims nested too deeply": claims(deep=nested(200)),
    "an ID token that is an object": token_answer(id_token={"sub": "ana"}),
    "alg none": signs(lambda document: forged({"alg": "none"}, document)),
    "HS256 under the public key": signs(with_public_key_as_secret),
    "another key": signs(lambda document: signed(document, key=OTHER_RSA)),
    "an unknown key": signs(lambda document: signed(document, kid="unknown")),
    "a key of its own": signs(lambda document: signed(document, key=OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False))),
    "another issuer": claims(iss="https://evil.test"),
    "another audience": claims(aud="other"),
    "another audience, our azp": claims(aud="other", azp="portal"),
    "another party": claims(azp="other"),
    "several audiences": claims(aud=["portal", "other"]),
    "another nonce": claims(nonce="other"),
    "no nonce": claims(nonce=None),
    "an expired token": claims(iat=NOW - 400, exp=NOW - 100),
    "an old token": claims(iat=NOW - 3600),
    "a token of the future": claims(iat=NOW + 3600, exp=NOW + 7200),
    "no subject": claims(sub=None),
    "an empty subject": claims(sub=""),
    "another access token": claims(at_hash="AAAA"),
    "userinfo of somebody else": userinfo(sub="ada"),
    "userinfo of nobody": userinfo(sub=None),
    "a used code": answers("/token", as_json({"error": "invalid_grant"}, status=400)),
    "an error that is no text": answers("/token", as_json({"error": ["a"], "error_description": {"b": 1}}, status=400)),
    "a callback of another issuer": callback(iss="https://evil.test"),
    "a callback without its issuer": callback(iss=None),
    "an error of another issuer": callback(code=None, error="access_denied", iss="https://evil.test"),
    "no code": callback(code=None),
    "an empty code": callback(code=""),
    "a code without end": callback(code="x" * 5000),
    "a code it never gave": callback(code="guessed"),
}

_REFUSED: dict[str, Prepare] = {
    "no": callback(code=None, error="access_denied"),
    "no, and a code": callback(error="access_denied"),
    "no, at length": callback(code=None, error="access_denied", error_description="<script>alert(1)</script>" * 50),
    "no, in its own words": callback(code=None, error="<script>\r\n{}" * 100),
    "more to do first": callback(code=None, error="interaction_required"),
}

_ABOUT_A_PERSON = {"token: 10 MB", "userinfo: 10 MB"}
"""Too much about somebody, from a provider that is there: trying again does not help."""

MISCHIEF: dict[str, Mischief] = {
    **{name: Mischief(prepare, ProviderUnavailable, at_begin=True) for name, prepare in _AT_BEGIN.items()},
    **{
        name: Mischief(prepare, ProviderMisconfigured, at_begin=True)
        for name, prepare in _MISCONFIGURED_AT_BEGIN.items()
    },
    **{
        name: Mischief(prepare, ClaimsTooLarge if name in _ABOUT_A_PERSON else ProviderUnavailable)
        for name, prepare in _UNAVAILABLE.items()
    },
    **{name: Mischief(prepare, ProviderMisconfigured) for name, prepare in _MISCONFIGURED.items()},
    **{name: Mischief(prepare, CallbackRejected) for name, prepare in _REJECTED.items()},
    **{name: Mischief(prepare, ProviderRefused) for name, prepare in _REFUSED.items()},
    **{
        f"metadata: {name}": Mischief(prepare, ProviderUnavailable, at_begin=True, slow=True)
        for name, prepare in slow(METADATA).items()
    },
    **{
        f"{path[1:]}: {name}": Mischief(prepare, ProviderUnavailable, slow=True)
        for path in ("/token", "/jwks", "/userinfo")
        for name, prepare in slow(path).items()
        if path == "/token" or name != "a header without end"  # reading is the same for all; each waits its time
    },
}
"""Every wrong, by name."""
