"""Logout tokens: every rule of OpenID Connect Back-Channel Logout 1.0, section 2.6, and what breaks it."""

import json
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from portal.errors import LogoutTokenRejected
from portal.sign_in.claims.values import MAX_SUBJECT
from portal.sign_in.providers.id_token import MAX_AGE, MAX_ID_TOKEN, SKEW, IdTokenProblem
from portal.sign_in.providers.keys import read_keys, shared_key
from portal.sign_in.providers.logout_token import (
    LONGEST_LIFE,
    MAX_SESSION,
    LogoutProblem,
    ProviderLogout,
    verify_logout_token,
)
from tests.builders import NOW, a_provider
from tests.provider.signing import (
    CLIENT,
    EC,
    ED,
    ISSUER,
    JWKS,
    NONCE,
    OTHER_RSA,
    RSA,
    claims_of,
    forged,
    segment,
    signed,
    with_public_key_as_secret,
)

P, L = IdTokenProblem, LogoutProblem
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SECRET = "a client secret of forty-eight characters, or more"
ENCRYPTED = jwe.encrypt_compact(
    {"alg": "dir", "enc": "A128GCM"}, b"{}", OctKey.import_key("0123456789abcdef"), algorithms=["dir", "A128GCM"]
)


def logout_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good logout token; ``None`` removes one."""
    claims = {
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "logout-1",
        "sub": "ana",
        "sid": "session-1",
        "events": {EVENT: {}},
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def a_token(*, header: dict[str, Any] | None = None, **changes: Any) -> str:
    return signed(logout_claims(**changes), **{"typ": "logout+jwt", **(header or {})})


def with_null(name: str) -> str:
    """Return a token in which *name* is there and ``null``."""
    return signed(json.dumps({**logout_claims(), name: None}).encode())


def verified(token: object, **changes: Any) -> ProviderLogout:
    expected: dict[str, Any] = {
        "keys": read_keys(JWKS),
        "issuer": ISSUER,
        "client_id": CLIENT,
        "algorithms": a_provider().algorithms,
        "now": NOW,
    }
    return verify_logout_token(token, **{**expected, **changes})


def problem_of(token: object, **changes: Any) -> str:
    with pytest.raises(LogoutTokenRejected) as caught:
        verified(token, **changes)
    assert str(caught.value) == caught.value.problem, "nothing of the token is in the message"
    return caught.value.problem


GOOD = a_token()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
OTHER_HEADER = segment(b'{"alg":"RS256","kid":"rsa"}')
DEEP = b'{"events":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001

CERTIFICATION: dict[str, tuple[object, str]] = {
    "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none": (
        forged({"alg": "none"}, logout_claims()),
        P.WRONG_ALGORITHM,
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-no-event": (a_token(events=None), L.NO_LOGOUT_EVENT),
    "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": (a_token(nonce=NONCE), L.HAS_NONCE),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg": (
        signed(logout_claims(), key=OctKey.import_key(SECRET), algorithm="HS256", kid="rsa"),
        P.WRONG_ALGORITHM,
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud": (a_token(aud="another-client"), P.WRONG_AUDIENCE),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": (
        a_token(events={"http://schemas.openid.net/event/backchannel-logout2": {}}),
        L.NO_LOGOUT_EVENT,
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": (a_token(iss="https://evil.test"), P.WRONG_ISSUER),
}
"""Those of the OpenID certification of relying parties that must be refused, by their names."""

ATTACKS: dict[str, tuple[object, str]] = {
    # no token at all
    "nothing": (None, P.UNREADABLE),
    "empty": ("", P.UNREADABLE),
    "bytes": (GOOD.encode(), P.UNREADABLE),
    "one part": ("abc", P.UNREADABLE),
    "an encrypted token": (ENCRYPTED, P.UNREADABLE),
    "a huge token": (f"{HEADER}.{'A' * MAX_ID_TOKEN}.{SIGNATURE}", P.TOO_LONG),
    "a NUL": (f"{GOOD}\0", P.UNREADABLE),
    "a lone surrogate": (f"{HEADER}.\ud800.{SIGNATURE}", P.UNREADABLE),
    "a line break at the end": (f"{GOOD}\n", P.UNREADABLE),
    "a header with two types": (
        forged(b'{"alg":"RS256","kid":"rsa","typ":"logout+jwt","typ":"JWT"}', logout_claims()),
        P.UNREADABLE,
    ),
    "two sessions": (signed(json.dumps(logout_claims()).replace("}", ', "sid": "s2"}').encode()), P.UNREADABLE),
    "events nested too deeply": (signed(DEEP), P.UNREADABLE),
    "a payload that is a list": (signed(b"[]"), P.UNREADABLE),
    # the algorithm and the key
    "the public key as HMAC secret": (with_public_key_as_secret(logout_claims()), P.WRONG_ALGORITHM),
    "another family than the key's": (
        forged({"alg": "ES256", "kid": "rsa"}, logout_claims(), b"x" * 64),
        P.WRONG_ALGORITHM,
    ),
    "no alg": (forged({"kid": "rsa"}, logout_claims()), P.WRONG_ALGORITHM),
    "an unknown kid": (a_token(header={"kid": "new"}), P.UNKNOWN_KEY),
    "a key of its own": (
        signed(logout_claims(), key=OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)),
        P.BAD_SHAPE,
    ),
    "a key set elsewhere": (signed(logout_claims(), key=OTHER_RSA, jku="https://evil.test/jwks"), P.BAD_SIGNATURE),
    "another key under our kid": (signed(logout_claims(), key=OTHER_RSA), P.BAD_SIGNATURE),
    "no signature": (f"{HEADER}.{PAYLOAD}.", P.BAD_SIGNATURE),
    "another payload": (
        f"{HEADER}.{segment(json.dumps(logout_claims(sub='ada')).encode())}.{SIGNATURE}",
        P.BAD_SIGNATURE,
    ),
    "the payload with another header": (
        f"{OTHER_HEADER}.{PAYLOAD}.{SIGNATURE}",
        P.BAD_SIGNATURE,
    ),
    "a critical header": (a_token(header={"crit": ["exp"]}), P.BAD_SHAPE),
    # the type
    "an access token by type": (a_token(header={"typ": "at+jwt"}), P.WRONG_TYPE),
    "an ID token by type": (a_token(header={"typ": "id+jwt"}), P.WRONG_TYPE),
    "a security event of another kind": (a_token(header={"typ": "secevent+jwt"}), P.WRONG_TYPE),
    "the portal's own ticket by type": (a_token(header={"typ": "portal-ticket+jwt"}), P.WRONG_TYPE),
    "an empty type": (a_token(header={"typ": ""}), P.WRONG_TYPE),
    "a type that is a list": (a_token(header={"typ": ["logout+jwt"]}), P.WRONG_TYPE),
    # issuer and audience
    "no issuer": (a_token(iss=None), P.WRONG_ISSUER),
    "the issuer with a slash": (a_token(iss=f"{ISSUER}/"), P.WRONG_ISSUER),
    "a list with the issuer": (a_token(iss=[ISSUER]), P.WRONG_ISSUER),
    "no audience": (a_token(aud=None), P.BAD_SHAPE),
    "an empty list": (a_token(aud=[]), P.WRONG_AUDIENCE),
    "a list of others": (a_token(aud=["one", "another"]), P.WRONG_AUDIENCE),
    "another audience, our azp": (a_token(aud="other", azp=CLIENT), P.WRONG_AUDIENCE),
    "a name around ours": (a_token(aud=f"{CLIENT}-evil"), P.WRONG_AUDIENCE),
    "an audience that holds a number": (a_token(aud=[CLIENT, 1]), P.BAD_SHAPE),
    "a foreign azp": (a_token(azp="other"), P.WRONG_PARTY),
    "several audiences, foreign azp": (a_token(aud=[CLIENT, "other"], azp="other"), P.WRONG_PARTY),
    # time
    "no iat": (a_token(iat=None), P.BAD_SHAPE),
    "iat is text": (a_token(iat=str(NOW)), P.BAD_SHAPE),
    "iat is true": (a_token(iat=True), P.BAD_SHAPE),
    "issued too long ago": (a_token(iat=NOW - MAX_AGE - SKEW), P.TOO_OLD),
    "issued long ago, to last for ever": (a_token(iat=NOW - 86_400, exp=NOW + 86_400 * 365), P.TOO_OLD),
    "issued in the future": (a_token(iat=NOW + SKEW + 1), P.NOT_YET_VALID),
    "not valid yet": (a_token(nbf=NOW + SKEW + 1), P.NOT_YET_VALID),
    "no expiry": (a_token(exp=None), P.NO_EXPIRY),
    "an expiry of null": (with_null("exp"), P.BAD_SHAPE),
    "expired": (a_token(iat=NOW - 120, exp=NOW - SKEW), P.EXPIRED),
    "expiry is text": (a_token(exp=str(NOW + 120)), P.BAD_SHAPE),
    "expiry beyond all time": (a_token(exp=1 << 70), P.BAD_SHAPE),
    # the event
    "events of null": (with_null("events"), L.NO_LOGOUT_EVENT),
    "events that are a text": (a_token(events=EVENT), L.NO_LOGOUT_EVENT),
    "events that are a list": (a_token(events=[EVENT]), L.NO_LOGOUT_EVENT),
    "no events in it": (a_token(events={}), L.NO_LOGOUT_EVENT),
    "an event in capitals": (a_token(events={EVENT.upper(): {}}), L.NO_LOGOUT_EVENT),
    "an event of null": (a_token(events={EVENT: None}), L.NO_LOGOUT_EVENT),
    "an event that is true": (a_token(events={EVENT: True}), L.NO_LOGOUT_EVENT),
    "an event that is a list": (a_token(events={EVENT: []}), L.NO_LOGOUT_EVENT),
    "an event that is a text": (a_token(events={EVENT: "{}"}), L.NO_LOGOUT_EVENT),
    # other tokens of the provider
    "an ID token": (signed(claims_of()), L.NO_LOGOUT_EVENT),
    "an ID token without nonce, with a session": (signed(claims_of(nonce=None, sid="s", jti="j")), L.NO_LOGOUT_EVENT),
    "a nonce of null": (with_null("nonce"), L.HAS_NONCE),
    "an empty nonce": (a_token(nonce=""), L.HAS_NONCE),
    # what ends
    "neither sub nor sid": (a_token(sub=None, sid=None), L.ENDS_NOTHING),
    "an empty sub": (a_token(sub=""), P.BAD_SHAPE),
    "an empty sid": (a_token(sid=""), P.BAD_SHAPE),
    "an empty sid alone": (a_token(sub=None, sid=""), P.BAD_SHAPE),
    "sub is a number": (a_token(sub=1), P.BAD_SHAPE),
    "sub is a list": (a_token(sub=["ana", "ada"]), P.BAD_SHAPE),
    "sid is true": (a_token(sid=True), P.BAD_SHAPE),
    "sid is an object": (a_token(sid={}), P.BAD_SHAPE),
    "a sub too long": (a_token(sub="a" * (MAX_SUBJECT + 1)), P.BAD_SHAPE),
    "a sid too long": (a_token(sid="a" * (MAX_SESSION + 1)), P.BAD_SHAPE),
    "a sub with a NUL": (a_token(sub="ana\0"), P.BAD_SHAPE),
    "a sid with a NUL": (a_token(sid="\0"), P.BAD_SHAPE),
    "a sub with a lone surrogate": (a_token(sub="\ud800"), P.BAD_SHAPE),
    "a sid with a lone surrogate": (a_token(sid="\udfff"), P.BAD_SHAPE),
    # its name
    "no jti": (a_token(jti=None), P.BAD_SHAPE),
    "an empty jti": (a_token(jti=""), P.BAD_SHAPE),
    "jti is a number": (a_token(jti=1), P.BAD_SHAPE),
    "a jti too long": (a_token(jti="j" * 1025), P.BAD_SHAPE),
    "a jti with a lone surrogate": (a_token(jti="\ud800"), P.BAD_SHAPE),
}


@pytest.mark.parametrize(
    ("token", "expected"), [*CERTIFICATION.values(), *ATTACKS.values()], ids=[*CERTIFICATION, *ATTACKS]
)
def test_a_token_that_ends_nothing_is_refused_with_the_reason(token: object, expected: str) -> None:
    assert problem_of(token) == expected


def test_without_a_kid_several_keys_of_that_kind_do_not_verify() -> None:
    keys = read_keys({"keys": [{**key.as_dict(private=False), "kid": name} for name, key in TWO.items()]})

    assert problem_of(a_token(header={"kid": None}), keys=keys) == P.UNKNOWN_KEY


TWO = {"one": RSA, "two": OTHER_RSA}


@pytest.mark.parametrize("algorithms", [["none"], ["HS256"], ["none", "HS256"], []])
def test_algorithms_that_prove_nothing_are_refused_even_when_listed(algorithms: list[str]) -> None:
    assert problem_of(forged({"alg": "none"}, logout_claims()), algorithms=algorithms) == P.WRONG_ALGORITHM
    assert problem_of(with_public_key_as_secret(logout_claims()), algorithms=algorithms) == P.WRONG_ALGORITHM


def test_an_algorithm_that_is_not_the_configured_one_is_refused() -> None:
    assert problem_of(GOOD, algorithms=["ES256"]) == P.WRONG_ALGORITHM


class TestGoodTokens:
    def test_it_says_what_ends(self) -> None:
        assert verified(GOOD) == ProviderLogout(issuer=ISSUER, subject="ana", session="session-1", token_id="logout-1")

    @pytest.mark.parametrize(
        ("changes", "subject", "session"),
        [
            ({"sub": None}, None, "session-1"),
            ({"sid": None}, "ana", None),
            ({"sub": "a" * MAX_SUBJECT, "sid": "s" * MAX_SESSION}, "a" * MAX_SUBJECT, "s" * MAX_SESSION),
            ({"jti": "j" * 1024}, "ana", "session-1"),
            # A logout token has no azp (section 2.4), so several audiences need none.
            ({"aud": [CLIENT]}, "ana", "session-1"),
            ({"aud": ["other", CLIENT]}, "ana", "session-1"),
            ({"aud": ["other", CLIENT], "azp": CLIENT}, "ana", "session-1"),
            ({"events": {EVENT: {"reason": "disabled"}, "https://other.test/event": {}}}, "ana", "session-1"),
            ({"trace": "more than the specification names"}, "ana", "session-1"),
            # A minute between the clocks, either way.
            ({"iat": NOW + SKEW, "exp": NOW + SKEW + 120}, "ana", "session-1"),
            ({"iat": NOW - 120 - SKEW + 1, "exp": NOW - SKEW + 1}, "ana", "session-1"),
            ({"iat": NOW - MAX_AGE - SKEW + 1}, "ana", "session-1"),
            ({"iat": NOW + 0.5, "exp": NOW + 120.5}, "ana", "session-1"),
        ],
    )
    def test_what_the_specification_allows_passes(
        self, changes: dict[str, Any], subject: str | None, session: str | None
    ) -> None:
        logout = verified(a_token(**changes))

        assert (logout.subject, logout.session) == (subject, session)

    @pytest.mark.parametrize("kind", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", "jwt", None])
    def test_the_type_is_explicit_or_plain_or_absent(self, kind: str | None) -> None:
        """
        Section 2.4 recommends the explicit one; many providers write ``JWT``, or nothing.
        """
        assert verified(a_token(header={"typ": kind})).token_id == "logout-1"

    @pytest.mark.parametrize(("algorithm", "key"), [("RS512", RSA), ("PS256", RSA), ("ES256", EC), ("Ed25519", ED)])
    def test_every_family_of_asymmetric_algorithms_serves(self, algorithm: str, key: Any) -> None:
        assert verified(signed(logout_claims(), key=key, algorithm=algorithm)).subject == "ana"

    def test_the_client_secret_serves_where_it_is_configured_so(self) -> None:
        token = signed(logout_claims(), key=OctKey.import_key(SECRET), algorithm="HS256", kid=None)

        assert verified(token, keys=(shared_key(SECRET),), algorithms=("HS256",)).subject == "ana"

    def test_a_rule_may_say_which_issuers_are_the_providers(self) -> None:
        assert verified(a_token(iss="https://one.test"), issuer=lambda named, _: named == "https://one.test")
        assert problem_of(GOOD, issuer=lambda *_: False) == P.WRONG_ISSUER

    def test_a_rule_may_say_which_issuers_a_key_signs_for(self) -> None:
        members = [{**one, "issuer": "https://other.test"} for one in JWKS["keys"]]
        rule = {"keys": read_keys({"keys": members}), "key_issuer": lambda named, _: named == ISSUER}

        assert problem_of(GOOD, **rule) == P.WRONG_ISSUER

    def test_the_session_is_in_no_representation(self) -> None:
        """
        Who knows it can end the sign-in by the front channel.
        """
        assert "session-1" not in repr(verified(GOOD))


def test_after_its_longest_life_any_token_is_too_old() -> None:
    """
    What is remembered of a token can be forgotten then.
    """
    latest = a_token(iat=NOW + SKEW, exp=NOW + 10 * LONGEST_LIFE)

    assert verified(latest, now=NOW + LONGEST_LIFE - 1)
    assert problem_of(latest, now=NOW + LONGEST_LIFE) == P.TOO_OLD


def test_a_token_that_is_both_an_id_token_and_a_logout_token_is_neither() -> None:
    assert problem_of(signed({**claims_of(), **logout_claims()})) == L.HAS_NONCE
