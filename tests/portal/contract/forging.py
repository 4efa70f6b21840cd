"""Tokens that must be rejected: correctly signed, wrongly signed, or malformed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from joserfc.jwk import KeySet, OKPKey

from portal.contract import Rejection
from tests.builders import NOW, PORTAL


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def a_key(kid: str = "key-1", *, seed: int = 1) -> OKPKey:
    """The same key for the same seed, so that a failing token can be looked at twice."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
    d = private.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    x = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    jwk: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": b64(x), "d": b64(d)}
    jwk |= {"kid": kid, "use": "sig", "alg": "Ed25519"}
    return OKPKey.import_key(jwk)


KEY: Final = a_key()
STRANGER: Final = a_key("key-1", seed=9)
"""Another key under the same name."""
KEYS: Final = KeySet([KEY])


def public_jwk(key: OKPKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def sign_raw(header: bytes, payload: bytes, *, key: OKPKey = KEY) -> str:
    """A compact JWS over these very bytes, with a signature that is good."""
    message = f"{b64(header)}.{b64(payload)}".encode("ascii")
    seed = base64.urlsafe_b64decode(str(key.as_dict(private=True)["d"]) + "==")
    return f"{message.decode('ascii')}.{b64(ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(message))}"


def header_of(**changes: object) -> dict[str, object]:
    return {"alg": "Ed25519", "kid": "key-1", "typ": "portal-ticket+jwt", **changes}


def claims_of(**changes: object) -> dict[str, object]:
    return {
        "iss": PORTAL,
        "aud": "forecast",
        "sub": "ana",
        "sid": "app-session-1",
        "jti": "ticket-1",
        "iat": NOW,
        "exp": NOW + 30,
        "next": "/",
        "roles": ["analyst"],
        "name": "Ana Analyst",
        **changes,
    }


def forged(
    header: Mapping[str, object] | None = None, claims: Mapping[str, object] | None = None, *, key: OKPKey = KEY
) -> str:
    """A ticket that differs from a good one in its header or claims, with a signature that is good."""
    return sign_raw(_dump(header or header_of()), _dump(claims or claims_of()), key=key)


def without(claims: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in claims.items() if name not in names}


def _dump(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _signed_with(algorithm: str, sign: Callable[[bytes], bytes]) -> str:
    message = f"{b64(_dump(header_of(alg=algorithm)))}.{b64(_dump(claims_of()))}".encode("ascii")
    return f"{message.decode('ascii')}.{b64(sign(message))}"


def _hs256_with_the_public_key() -> str:
    public = base64.urlsafe_b64decode(str(KEY.as_dict(private=False)["x"]) + "==")
    return _signed_with("HS256", lambda message: hmac.digest(public, message, hashlib.sha256))


def _rs256() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _signed_with("RS256", lambda message: key.sign(message, PKCS1v15(), hashes.SHA256()))


def _es256() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return _signed_with("ES256", lambda message: key.sign(message, ec.ECDSA(hashes.SHA256())))


def _tampered() -> str:
    header, _, signature = forged().split(".")
    return f"{header}.{b64(_dump(claims_of(roles=['admin'])))}.{signature}"


def _flipped_signature() -> str:
    head, _, signature = forged().rpartition(".")
    first = "A" if signature[0] != "A" else "B"
    return f"{head}.{first}{signature[1:]}"


def _raw_claims(text: str) -> str:
    return sign_raw(_dump(header_of()), text.encode("utf-8", "surrogatepass"))


def _raw_header(text: str) -> str:
    return sign_raw(text.encode("utf-8", "surrogatepass"), _dump(claims_of()))


@dataclass(frozen=True, slots=True)
class Hostile:
    """One token that must be refused, and how."""

    name: str
    token: object
    reason: Rejection


R = Rejection


def one_of_each_reason(tokens: Iterable[Hostile]) -> tuple[Hostile, ...]:
    """Return the first of *tokens* for each reason: for whoever passes on what is decided elsewhere."""
    first: dict[Rejection, Hostile] = {}
    for token in tokens:
        first.setdefault(token.reason, token)
    return tuple(first.values())


HOSTILE_TICKETS: Final[tuple[Hostile, ...]] = (
    # algorithm
    Hostile("alg none without signature", forged(header_of(alg="none")).rpartition(".")[0] + ".", R.BAD_SIGNATURE),
    Hostile("alg none with a good signature", forged(header_of(alg="none")), R.BAD_SIGNATURE),
    Hostile("alg None as null", forged(header_of(alg=None)), R.BAD_SIGNATURE),
    Hostile("alg missing", forged(without(header_of(), "alg")), R.BAD_SIGNATURE),
    Hostile("alg as a list", forged(header_of(alg=["Ed25519"])), R.BAD_SIGNATURE),
    Hostile("alg EdDSA, the old name", forged(header_of(alg="EdDSA")), R.BAD_SIGNATURE),
    Hostile("alg in other letters", forged(header_of(alg="ed25519")), R.BAD_SIGNATURE),
    Hostile("HS256 under the public key", _hs256_with_the_public_key(), R.BAD_SIGNATURE),
    Hostile("RS256", _rs256(), R.BAD_SIGNATURE),
    Hostile("ES256", _es256(), R.BAD_SIGNATURE),
    # key
    Hostile("another key under our name", forged(key=STRANGER), R.BAD_SIGNATURE),
    Hostile("unknown kid", forged(header_of(kid="key-2")), R.UNKNOWN_KEY),
    Hostile("kid missing", forged(without(header_of(), "kid")), R.BAD_SHAPE),
    Hostile("kid as a number", forged(header_of(kid=1)), R.BAD_SHAPE),
    Hostile("kid as a path", forged(header_of(kid="../../key-1")), R.UNKNOWN_KEY),
    Hostile("kid as SQL", forged(header_of(kid="key-1' OR '1'='1")), R.UNKNOWN_KEY),
    Hostile("a jwk of its own", forged(header_of(jwk=public_jwk(STRANGER)), key=STRANGER), R.BAD_SHAPE),
    Hostile("a jku", forged(header_of(jku="https://evil.test/keys")), R.BAD_SHAPE),
    Hostile("an x5c", forged(header_of(x5c=["MIIB"])), R.BAD_SHAPE),
    Hostile("an x5u", forged(header_of(x5u="https://evil.test/cert")), R.BAD_SHAPE),
    Hostile("crit as a list", forged(header_of(crit=["exp"])), R.BAD_SHAPE),
    Hostile("crit as a number", forged(header_of(crit=1)), R.BAD_SHAPE),
    Hostile("b64 false", forged(header_of(b64=False, crit=["b64"])), R.BAD_SHAPE),
    Hostile("zip", forged(header_of(zip="DEF")), R.BAD_SHAPE),
    Hostile("tampered claims", _tampered(), R.BAD_SIGNATURE),
    Hostile("flipped signature", _flipped_signature(), R.BAD_SIGNATURE),
    Hostile("short signature", forged()[:-20], R.BAD_SIGNATURE),
    Hostile("empty signature", forged().rpartition(".")[0] + ".", R.BAD_SIGNATURE),
    # type
    Hostile("typ JWT", forged(header_of(typ="JWT")), R.WRONG_TYPE),
    Hostile("typ of a logout token", forged(header_of(typ="logout+jwt")), R.WRONG_TYPE),
    Hostile("typ of an access token", forged(header_of(typ="at+jwt")), R.WRONG_TYPE),
    Hostile("typ missing", forged(without(header_of(), "typ")), R.WRONG_TYPE),
    Hostile("typ in capitals", forged(header_of(typ="PORTAL-TICKET+JWT")), R.WRONG_TYPE),
    Hostile("typ with a prefix", forged(header_of(typ="application/portal-ticket+jwt")), R.WRONG_TYPE),
    # issuer and audience
    Hostile("another issuer", forged(claims=claims_of(iss="https://evil.test")), R.WRONG_ISSUER),
    Hostile("issuer with a slash", forged(claims=claims_of(iss=PORTAL + "/")), R.WRONG_ISSUER),
    Hostile("issuer missing", forged(claims=without(claims_of(), "iss")), R.BAD_SHAPE),
    Hostile("another app's", forged(claims=claims_of(aud="admin-dashboard")), R.WRONG_AUDIENCE),
    Hostile("audience as a list of us", forged(claims=claims_of(aud=["forecast"])), R.BAD_SHAPE),
    Hostile("audience as a list with others", forged(claims=claims_of(aud=["other", "forecast"])), R.BAD_SHAPE),
    Hostile("audience missing", forged(claims=without(claims_of(), "aud")), R.BAD_SHAPE),
    Hostile("audience as a wildcard", forged(claims=claims_of(aud="*")), R.WRONG_AUDIENCE),
    Hostile("azp ours, audience not", forged(claims=claims_of(aud="other", azp="forecast")), R.WRONG_AUDIENCE),
    Hostile("audience in capitals", forged(claims=claims_of(aud="Forecast")), R.WRONG_AUDIENCE),
    # times
    Hostile("expired exactly at the leeway", forged(claims=claims_of(iat=NOW - 120, exp=NOW - 90)), R.EXPIRED),
    Hostile("expired long ago", forged(claims=claims_of(iat=1, exp=31)), R.EXPIRED),
    Hostile("issued in the future", forged(claims=claims_of(iat=NOW + 91, exp=NOW + 121)), R.NOT_YET_VALID),
    Hostile("one second too long", forged(claims=claims_of(exp=NOW + 31)), R.TOO_LONG_LIVED),
    Hostile("for a year", forged(claims=claims_of(exp=NOW + 31_536_000)), R.TOO_LONG_LIVED),
    Hostile("for no time", forged(claims=claims_of(exp=NOW)), R.TOO_LONG_LIVED),
    Hostile("ends before it begins", forged(claims=claims_of(exp=NOW - 1)), R.TOO_LONG_LIVED),
    Hostile("exp missing", forged(claims=without(claims_of(), "exp")), R.BAD_SHAPE),
    Hostile("exp null", forged(claims=claims_of(exp=None)), R.BAD_SHAPE),
    Hostile("exp as text", forged(claims=claims_of(exp=str(NOW + 30))), R.BAD_SHAPE),
    Hostile("exp true", forged(claims=claims_of(exp=True)), R.BAD_SHAPE),
    Hostile("exp as a float", forged(claims=claims_of(exp=NOW + 0.5)), R.BAD_SHAPE),
    Hostile("exp negative", forged(claims=claims_of(exp=-1)), R.BAD_SHAPE),
    Hostile("exp beyond all time", forged(claims=claims_of(exp=10**400)), R.BAD_SHAPE),
    Hostile("iat missing", forged(claims=without(claims_of(), "iat")), R.BAD_SHAPE),
    Hostile("exp Infinity", _raw_claims('{"aud":"forecast","exp":Infinity}'), R.UNREADABLE),
    Hostile("exp NaN", _raw_claims('{"aud":"forecast","exp":NaN}'), R.UNREADABLE),
    Hostile("exp with an endless number", _raw_claims('{"exp":' + "9" * 4000 + "}"), R.BAD_SHAPE),
    # size and nesting
    Hostile("too large", forged(claims=claims_of(name="x" * 8000)), R.TOO_LARGE),
    Hostile("too large, without dots", "x" * 100_000, R.TOO_LARGE),
    Hostile("a long name", forged(claims=claims_of(name="x" * 513)), R.BAD_SHAPE),
    Hostile("a long sid", forged(claims=claims_of(sid="s" * 513)), R.BAD_SHAPE),
    Hostile("too many roles", forged(claims=claims_of(roles=[str(n) for n in range(65)])), R.BAD_SHAPE),
    Hostile("nested lists", _raw_claims("[" * 3000), R.UNREADABLE),
    Hostile("nested objects in the header", _raw_header('{"a":' * 500 + "1" + "}" * 500), R.BAD_SIGNATURE),
    Hostile("roles nested", forged(claims=claims_of(roles=[["admin"]])), R.BAD_SHAPE),
    Hostile("roles as text", forged(claims=claims_of(roles="admin")), R.BAD_SHAPE),
    Hostile("roles as an object", forged(claims=claims_of(roles={"admin": True})), R.BAD_SHAPE),
    Hostile("roles missing", forged(claims=without(claims_of(), "roles")), R.BAD_SHAPE),
    # text
    Hostile("sub missing", forged(claims=without(claims_of(), "sub")), R.BAD_SHAPE),
    Hostile("sub empty", forged(claims=claims_of(sub="")), R.BAD_SHAPE),
    Hostile("sub as a number", forged(claims=claims_of(sub=7)), R.BAD_SHAPE),
    Hostile("jti missing", forged(claims=without(claims_of(), "jti")), R.BAD_SHAPE),
    Hostile("sid with a newline", forged(claims=claims_of(sid="a\r\nSet-Cookie: x=1")), R.BAD_SHAPE),
    Hostile("name with a null", forged(claims=claims_of(name="Ana\x00")), R.BAD_SHAPE),
    Hostile("name with a lone surrogate", forged(claims=claims_of(name="\ud800")), R.BAD_SHAPE),
    Hostile("a lone surrogate in raw bytes", _raw_claims('{"sub":"\ud800"}'), R.UNREADABLE),
    Hostile("claims in UTF-16", sign_raw(_dump(header_of()), json.dumps(claims_of()).encode("utf-16")), R.UNREADABLE),
    Hostile("claims with a byte-order mark", _raw_claims("\ufeff" + json.dumps(claims_of())), R.UNREADABLE),
    Hostile("picture without https", forged(claims=claims_of(picture="http://evil.test/p.png")), R.BAD_SHAPE),
    Hostile("picture as script", forged(claims=claims_of(picture="javascript:alert(1)")), R.BAD_SHAPE),
    Hostile("next elsewhere", forged(claims=claims_of(next="https://evil.test/")), R.BAD_SHAPE),
    Hostile("next without scheme", forged(claims=claims_of(next="//evil.test/")), R.BAD_SHAPE),
    Hostile("next with a backslash", forged(claims=claims_of(next="/\\evil.test")), R.BAD_SHAPE),
    Hostile("next missing", forged(claims=without(claims_of(), "next")), R.BAD_SHAPE),
    # duplicate members
    Hostile("aud twice", _raw_claims(json.dumps(claims_of())[:-1] + ',"aud":"other"}'), R.UNREADABLE),
    Hostile(
        "alg twice", _raw_header('{"alg":"none","kid":"key-1","typ":"portal-ticket+jwt","alg":"Ed25519"}'), R.UNREADABLE
    ),
    Hostile("a name twice deep inside", _raw_claims('{"roles":[{"a":1,"a":2}]}'), R.UNREADABLE),
    # hardly a token
    Hostile("empty", "", R.UNREADABLE),
    Hostile("nothing", None, R.UNREADABLE),
    Hostile("bytes", forged().encode("ascii"), R.UNREADABLE),
    Hostile("a number", 7, R.UNREADABLE),
    Hostile("one dot", "a.b", R.UNREADABLE),
    Hostile("an encrypted token's five parts", "a.b.c.d.e", R.UNREADABLE),
    Hostile("only dots", "..", R.UNREADABLE),
    Hostile("not base64", "%%%.%%%.%%%", R.UNREADABLE),
    Hostile("with a letter that only looks like one of ours", forged().replace(".", ".\u0430", 1), R.UNREADABLE),
    Hostile("a signature that is not base64", forged().rpartition(".")[0] + ".%%%", R.UNREADABLE),
    Hostile("a signature with junk between", forged()[:-8] + "%" + forged()[-8:], R.UNREADABLE),
    Hostile("a header of an impossible length", "AAAAA.AAAA.AAAA", R.UNREADABLE),
    Hostile("claims of an impossible length", f"{b64(_dump(header_of()))}.AAAAA.AAAA", R.UNREADABLE),
    Hostile("a newline at the end", forged() + "\n", R.UNREADABLE),
    Hostile("claims that are not base64", f"{b64(_dump(header_of()))}.%%%.AAAA", R.UNREADABLE),
    Hostile("padded segments", f"{b64(_dump(header_of()))}=.{b64(_dump(claims_of()))}==.AAAA", R.UNREADABLE),
    Hostile("JSON serialization", json.dumps({"payload": "x", "signatures": []}), R.UNREADABLE),
    Hostile("header as a list", _raw_header("[]"), R.BAD_SHAPE),
    Hostile("claims as a list", _raw_claims("[]"), R.BAD_SHAPE),
    Hostile("claims as null", _raw_claims("null"), R.BAD_SHAPE),
    Hostile("claims as text", _raw_claims('"ana"'), R.BAD_SHAPE),
    Hostile("claims empty", _raw_claims(""), R.UNREADABLE),
    Hostile("claims that are no JSON", _raw_claims("{'iss': 'x'}"), R.UNREADABLE),
)

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


def logout_header(**changes: object) -> dict[str, object]:
    return header_of(typ="logout+jwt") | changes


def logout_claims(**changes: object) -> dict[str, object]:
    return {
        "iss": PORTAL,
        "aud": "forecast",
        "sid": "app-session-1",
        "jti": "logout-1",
        "iat": NOW,
        "exp": NOW + 120,
        "events": {EVENT: {}},
        **changes,
    }


def _logout(header: Mapping[str, object] | None = None, *, key: OKPKey = KEY, **changes: object) -> str:
    return sign_raw(_dump(header or logout_header()), _dump(logout_claims(**changes)), key=key)


HOSTILE_LOGOUT_TOKENS: Final[tuple[Hostile, ...]] = (
    Hostile("a ticket", forged(), R.WRONG_TYPE),
    Hostile("typ JWT", _logout(logout_header(typ="JWT")), R.WRONG_TYPE),
    Hostile("alg none", _logout(logout_header(alg="none")).rpartition(".")[0] + ".", R.BAD_SIGNATURE),
    Hostile("a stranger's key", _logout(key=STRANGER), R.BAD_SIGNATURE),
    Hostile("unknown kid", _logout(logout_header(kid="other")), R.UNKNOWN_KEY),
    Hostile("crit", _logout(logout_header(crit=["exp"])), R.BAD_SHAPE),
    Hostile("with a nonce, like an ID token", _logout(nonce="n"), R.BAD_SHAPE),
    Hostile("with a null nonce", _logout(nonce=None), R.BAD_SHAPE),
    Hostile("events missing", sign_raw(_dump(logout_header()), _dump(without(logout_claims(), "events"))), R.BAD_SHAPE),
    Hostile("events as a list", _logout(events=[EVENT]), R.BAD_SHAPE),
    Hostile("another event", _logout(events={"urn:other": {}}), R.BAD_SHAPE),
    Hostile("the event as true", _logout(events={EVENT: True}), R.BAD_SHAPE),
    Hostile("another issuer", _logout(iss="https://evil.test"), R.WRONG_ISSUER),
    Hostile("another app's", _logout(aud="other"), R.WRONG_AUDIENCE),
    Hostile("audience as a list", _logout(aud=["forecast"]), R.BAD_SHAPE),
    Hostile("sid missing", sign_raw(_dump(logout_header()), _dump(without(logout_claims(), "sid"))), R.BAD_SHAPE),
    Hostile("sid as a list", _logout(sid=["app-session-1"]), R.BAD_SHAPE),
    Hostile("jti missing", sign_raw(_dump(logout_header()), _dump(without(logout_claims(), "jti"))), R.BAD_SHAPE),
    Hostile("expired", _logout(iat=NOW - 300, exp=NOW - 180), R.EXPIRED),
    Hostile("expired exactly at the leeway", _logout(iat=NOW - 200, exp=NOW - 90), R.EXPIRED),
    Hostile("from the future", _logout(iat=NOW + 91, exp=NOW + 100), R.NOT_YET_VALID),
    Hostile("living too long", _logout(exp=NOW + 121), R.TOO_LONG_LIVED),
    Hostile("too large", _logout(jti="j" * 8000), R.TOO_LARGE),
    Hostile("no token", "logout", R.UNREADABLE),
)


def probe_header(**changes: object) -> dict[str, object]:
    return header_of(typ="portal-probe+jwt") | changes


def probe_claims(**changes: object) -> dict[str, object]:
    return {"iss": PORTAL, "aud": "forecast", "jti": "probe-1", "iat": NOW, "exp": NOW + 120, **changes}


def _probe(header: Mapping[str, object] | None = None, *, key: OKPKey = KEY, **changes: object) -> str:
    return sign_raw(_dump(header or probe_header()), _dump(probe_claims(**changes)), key=key)


def _probe_without(name: str) -> str:
    return sign_raw(_dump(probe_header()), _dump(without(probe_claims(), name)))


HOSTILE_PROBE_TOKENS: Final[tuple[Hostile, ...]] = (
    Hostile("a ticket", forged(), R.WRONG_TYPE),
    Hostile("a logout token", _logout(), R.WRONG_TYPE),
    Hostile("typ JWT", _probe(probe_header(typ="JWT")), R.WRONG_TYPE),
    Hostile("typ of an access token", _probe(probe_header(typ="at+jwt")), R.WRONG_TYPE),
    Hostile("typ missing", _probe(without(probe_header(), "typ")), R.WRONG_TYPE),
    Hostile("alg none", _probe(probe_header(alg="none")).rpartition(".")[0] + ".", R.BAD_SIGNATURE),
    Hostile("a stranger's key", _probe(key=STRANGER), R.BAD_SIGNATURE),
    Hostile("unknown kid", _probe(probe_header(kid="other")), R.UNKNOWN_KEY),
    Hostile("crit", _probe(probe_header(crit=["exp"])), R.BAD_SHAPE),
    Hostile("another issuer", _probe(iss="https://evil.test"), R.WRONG_ISSUER),
    Hostile("issuer missing", _probe_without("iss"), R.BAD_SHAPE),
    Hostile("another app's", _probe(aud="other"), R.WRONG_AUDIENCE),
    Hostile("the portal's own", _probe(aud=PORTAL), R.WRONG_AUDIENCE),
    Hostile("audience as a list", _probe(aud=["forecast"]), R.BAD_SHAPE),
    Hostile("audience as a wildcard", _probe(aud="*"), R.WRONG_AUDIENCE),
    Hostile("audience missing", _probe_without("aud"), R.BAD_SHAPE),
    Hostile("jti missing", _probe_without("jti"), R.BAD_SHAPE),
    Hostile("iat missing", _probe_without("iat"), R.BAD_SHAPE),
    Hostile("exp missing", _probe_without("exp"), R.BAD_SHAPE),
    Hostile("exp true", _probe(exp=True), R.BAD_SHAPE),
    Hostile("expired", _probe(iat=NOW - 300, exp=NOW - 180), R.EXPIRED),
    Hostile("expired exactly at the leeway", _probe(iat=NOW - 200, exp=NOW - 90), R.EXPIRED),
    Hostile("from the future", _probe(iat=NOW + 91, exp=NOW + 100), R.NOT_YET_VALID),
    Hostile("another app's, and expired", _probe(aud="other", iat=NOW - 300, exp=NOW - 180), R.WRONG_AUDIENCE),
    Hostile("a stranger's, and expired", _probe(key=STRANGER, iat=NOW - 300, exp=NOW - 180), R.BAD_SIGNATURE),
    Hostile("living too long", _probe(exp=NOW + 121), R.TOO_LONG_LIVED),
    Hostile("living too long, and expired", _probe(iat=NOW - 3600, exp=NOW - 180), R.TOO_LONG_LIVED),
    Hostile("for no time", _probe(exp=NOW), R.TOO_LONG_LIVED),
    Hostile("too large", _probe(jti="j" * 8000), R.TOO_LARGE),
    Hostile("no token", "probe", R.UNREADABLE),
    Hostile("nothing", None, R.UNREADABLE),
)
