import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc.jwk import OctKey, OKPKey

from portal.errors import CallbackRejected
from portal.rules.identity import VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.providers.id_token import (
    MAX_AGE,
    MAX_ID_TOKEN,
    SKEW,
    IdTokenProblem,
    IdTokenRejected,
    verify_id_token,
)
from portal.sign_in.providers.keys import VerificationKey, read_keys
from tests.builders import NOW, a_provider
from tests.provider.signing import (
    ACCESS_TOKEN,
    CLIENT,
    EC,
    ED,
    ISSUER,
    JWKS,
    NONCE,
    OTHER_RSA,
    RSA,
    at_hash,
    claims_of,
    forged,
    segment,
    signed,
    with_public_key_as_secret,
)

SPEC: ProviderSpec = a_provider()
P = IdTokenProblem


def verified(token: object, **changes: Any) -> VerifiedClaims:
    expected: dict[str, Any] = {
        "keys": read_keys(JWKS),
        "issuer": ISSUER,
        "client_id": CLIENT,
        "algorithms": SPEC.algorithms,
        "nonce": NONCE,
        "now": NOW,
        "access_token": ACCESS_TOKEN,
    }
    return verify_id_token(token, **{**expected, **changes})


def problem_of(token: object, **changes: Any) -> IdTokenProblem:
    with pytest.raises(IdTokenRejected) as caught:
        verified(token, **changes)
    assert isinstance(caught.value, CallbackRejected)
    assert caught.value.status == 400
    return caught.value.problem


GOOD = signed(claims_of())
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
OTHER_HEADER = segment(b'{"alg":"RS256","kid":"rsa","more":1}')
LOGOUT: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}

ATTACKS: dict[str, tuple[object, IdTokenProblem]] = {
    # no token at all
    "nothing": (None, P.UNREADABLE),
    "empty": ("", P.UNREADABLE),
    "bytes": (GOOD.encode(), P.UNREADABLE),
    "a list": ([GOOD], P.UNREADABLE),
    "one part": ("abc", P.UNREADABLE),
    "a JWE's five parts": (f"{GOOD}.a.b", P.UNREADABLE),
    "too long": (f"{HEADER}.{'A' * MAX_ID_TOKEN}.{SIGNATURE}", P.TOO_LONG),
    "not ASCII": (f"{HEADER}.ö.{SIGNATURE}", P.UNREADABLE),
    "a lone surrogate": (f"{HEADER}.\ud800.{SIGNATURE}", P.UNREADABLE),
    "a character decoders skip": (f"{HEADER}.{PAYLOAD}!.{SIGNATURE}", P.UNREADABLE),
    "a line break at the end": (f"{GOOD}\n", P.UNREADABLE),
    "padding": (f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", P.UNREADABLE),
    "a header that is no base64": (f"a.{PAYLOAD}.{SIGNATURE}", P.UNREADABLE),
    "a header that is a list": (forged(b"[]", claims_of()), P.UNREADABLE),
    "a header with two algorithms": (forged(b'{"alg":"RS256","alg":"none"}', claims_of()), P.UNREADABLE),
    "a header nested too deeply": (forged(b'{"a":' + b"[" * 20_000, claims_of()), P.UNREADABLE),
    # the algorithm
    "alg none": (forged({"alg": "none"}, claims_of()), P.WRONG_ALGORITHM),
    "alg None with a kid": (forged({"alg": "None", "kid": "rsa"}, claims_of()), P.WRONG_ALGORITHM),
    "EdDSA under a key of another family": (signed(claims_of(), alg="EdDSA"), P.WRONG_ALGORITHM),
    "an older name in other letters": (
        signed(claims_of(), key=ED, algorithm="Ed25519", alg="eddsa"),
        P.WRONG_ALGORITHM,
    ),
    "no alg": (forged({"kid": "rsa"}, claims_of()), P.WRONG_ALGORITHM),
    "alg is a number": (forged({"alg": 256, "kid": "rsa"}, claims_of()), P.WRONG_ALGORITHM),
    "alg is a list": (forged({"alg": ["RS256"], "kid": "rsa"}, claims_of()), P.WRONG_ALGORITHM),
    "the public key as HMAC secret": (with_public_key_as_secret(claims_of()), P.WRONG_ALGORITHM),
    "HS256 with the client secret": (
        signed(claims_of(), key=OctKey.import_key("client-secret-of-32-characters--"), algorithm="HS256", kid="rsa"),
        P.WRONG_ALGORITHM,
    ),
    "another family than the key's": (
        forged({"alg": "ES256", "kid": "rsa"}, claims_of(), b"x" * 64),
        P.WRONG_ALGORITHM,
    ),
    "a key agreement": (forged({"alg": "ECDH-ES", "kid": "ec", "enc": "A128GCM"}, claims_of()), P.BAD_SHAPE),
    # the header
    "crit": (signed(claims_of(), crit=["exp"]), P.BAD_SHAPE),
    "crit is a number": (forged({"alg": "RS256", "kid": "rsa", "crit": 1}, claims_of()), P.BAD_SHAPE),
    "a key of its own": (signed(claims_of(), key=OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)), P.BAD_SHAPE),
    "a key set elsewhere": (signed(claims_of(), key=OTHER_RSA, jku="https://evil.test/jwks"), P.BAD_SIGNATURE),
    "a certificate elsewhere": (signed(claims_of(), key=OTHER_RSA, x5u="https://evil.test/cert"), P.BAD_SIGNATURE),
    "an unencoded payload": (forged({"alg": "RS256", "kid": "rsa", "b64": False}, claims_of()), P.BAD_SHAPE),
    "a logout token by type": (signed(claims_of(), typ="logout+jwt"), P.WRONG_TYPE),
    "an access token by type": (signed(claims_of(), typ="at+jwt"), P.WRONG_TYPE),
    "a type that is a list": (signed(claims_of(), typ=["JWT"]), P.WRONG_TYPE),
    "a kid that is a number": (forged({"alg": "RS256", "kid": 1}, claims_of()), P.BAD_SHAPE),
    "a kid that is a path": (signed(claims_of(), kid="../../dev/null"), P.UNKNOWN_KEY),
    "a header with a whole certificate": (signed(claims_of(), x5c=["A" * 16_384]), P.UNREADABLE),
    "an unknown kid": (signed(claims_of(), kid="new"), P.UNKNOWN_KEY),
    # the signature
    "another key under our kid": (signed(claims_of(), key=OTHER_RSA), P.BAD_SIGNATURE),
    "no signature": (f"{HEADER}.{PAYLOAD}.", P.BAD_SIGNATURE),
    "another payload": (f"{HEADER}.{segment(json.dumps(claims_of(sub='ada')).encode())}.{SIGNATURE}", P.BAD_SIGNATURE),
    "another header": (f"{OTHER_HEADER}.{PAYLOAD}.{SIGNATURE}", P.BAD_SIGNATURE),
    "the other RSA padding": (forged({"alg": "PS256", "kid": "rsa"}, claims_of(), b"x" * 256), P.BAD_SIGNATURE),
    # the payload
    "a payload that is a list": (signed(b"[]"), P.UNREADABLE),
    "null": (signed(b"null"), P.UNREADABLE),
    "no JSON": (signed(b"{"), P.UNREADABLE),
    "no UTF-8": (signed(b'{"sub":"\xff"}'), P.UNREADABLE),
    "two subjects": (signed(b'{"sub":"ana","sub":"ada"}'), P.UNREADABLE),
    "NaN": (signed(json.dumps(claims_of()).replace(f'"exp": {NOW + 300}', '"exp": NaN').encode()), P.UNREADABLE),
    # issuer
    "no issuer": (signed(claims_of(iss=None)), P.WRONG_ISSUER),
    "another issuer": (signed(claims_of(iss="https://evil.test")), P.WRONG_ISSUER),
    "the issuer with a slash": (signed(claims_of(iss=f"{ISSUER}/")), P.WRONG_ISSUER),
    "the issuer in capitals": (signed(claims_of(iss=ISSUER.upper())), P.WRONG_ISSUER),
    "a list with the issuer": (signed(claims_of(iss=[ISSUER])), P.WRONG_ISSUER),
    # audience
    "no audience": (signed(claims_of(aud=None)), P.BAD_SHAPE),
    "another audience": (signed(claims_of(aud="other")), P.WRONG_AUDIENCE),
    "another audience, our azp (accepted by Authlib)": (signed(claims_of(aud="other", azp=CLIENT)), P.WRONG_AUDIENCE),
    "an empty list": (signed(claims_of(aud=[])), P.WRONG_AUDIENCE),
    "part of our name": (signed(claims_of(aud="port")), P.WRONG_AUDIENCE),
    "a name around ours": (signed(claims_of(aud="portal-evil")), P.WRONG_AUDIENCE),
    "an audience that is an object": (signed(claims_of(aud={CLIENT: 1})), P.BAD_SHAPE),
    "an audience that holds a number": (signed(claims_of(aud=[CLIENT, 1])), P.BAD_SHAPE),
    "several audiences without azp": (signed(claims_of(aud=[CLIENT, "other"])), P.WRONG_PARTY),
    "several audiences, foreign azp": (signed(claims_of(aud=[CLIENT, "other"], azp="other")), P.WRONG_PARTY),
    "our audience, foreign azp": (signed(claims_of(azp="other")), P.WRONG_PARTY),
    "azp is a list": (signed(claims_of(azp=[CLIENT])), P.WRONG_PARTY),
    # time
    "no expiry": (signed(claims_of(exp=None)), P.NO_EXPIRY),
    "an expiry of null": (signed(json.dumps({**claims_of(), "exp": None}).encode()), P.BAD_SHAPE),
    "expired exactly now": (signed(claims_of(exp=NOW - SKEW)), P.EXPIRED),
    "expired long ago": (signed(claims_of(exp=1)), P.EXPIRED),
    "expiry is text": (signed(claims_of(exp=str(NOW + 300))), P.BAD_SHAPE),
    "expiry is true": (signed(claims_of(exp=True)), P.BAD_SHAPE),
    "expiry beyond all time": (signed(claims_of(exp=1 << 70)), P.BAD_SHAPE),
    "expiry is 1e400": (signed(json.dumps(claims_of()).replace(f"{NOW + 300}", "1e400").encode()), P.BAD_SHAPE),
    "issued never": (signed(claims_of(iat=None)), P.BAD_SHAPE),
    "issued in the future": (signed(claims_of(iat=NOW + SKEW + 1)), P.NOT_YET_VALID),
    "issued too long ago": (signed(claims_of(iat=NOW - MAX_AGE - SKEW)), P.TOO_OLD),
    "issued before the epoch": (signed(claims_of(iat=-1)), P.BAD_SHAPE),
    "not valid yet": (signed(claims_of(nbf=NOW + SKEW + 1)), P.NOT_YET_VALID),
    "nbf is text": (signed(claims_of(nbf="now")), P.BAD_SHAPE),
    # nonce
    "no nonce": (signed(claims_of(nonce=None)), P.WRONG_NONCE),
    "another attempt's nonce": (signed(claims_of(nonce="other")), P.WRONG_NONCE),
    "an empty nonce": (signed(claims_of(nonce="")), P.WRONG_NONCE),
    "a nonce of true": (signed(claims_of(nonce=True)), P.WRONG_NONCE),
    "a nonce with a lone surrogate": (signed(claims_of(nonce="\ud800")), P.WRONG_NONCE),
    # subject
    "no subject": (signed(claims_of(sub=None)), P.BAD_SHAPE),
    "an empty subject": (signed(claims_of(sub="")), P.BAD_SHAPE),
    "a subject that is a number": (signed(claims_of(sub=1)), P.BAD_SHAPE),
    "a subject that is a list": (signed(claims_of(sub=["ana"])), P.BAD_SHAPE),
    "a subject too long": (signed(claims_of(sub="a" * 1025)), P.BAD_SHAPE),
    "a subject of two lines": (signed(claims_of(sub="ana\nada")), P.BAD_SHAPE),
    "a subject with a lone surrogate": (signed(claims_of(sub="\ud800")), P.BAD_SHAPE),
    # other tokens and other answers
    "a logout token": (signed(claims_of(events=LOGOUT)), P.WRONG_TYPE),
    "another access token's hash": (signed(claims_of(at_hash=at_hash("other"))), P.ACCESS_TOKEN_MISMATCH),
    "an empty hash": (signed(claims_of(at_hash="")), P.ACCESS_TOKEN_MISMATCH),
    "a hash that is a number": (signed(claims_of(at_hash=1)), P.ACCESS_TOKEN_MISMATCH),
}


@pytest.mark.parametrize(("token", "expected"), ATTACKS.values(), ids=ATTACKS.keys())
def test_a_token_that_proves_nothing_is_refused_with_the_reason(token: object, expected: IdTokenProblem) -> None:
    assert problem_of(token) == expected


def test_there_are_at_least_25_attacks() -> None:
    assert len(ATTACKS) >= 25


def test_every_problem_is_met_by_an_attack() -> None:
    assert {expected for _, expected in ATTACKS.values()} == set(IdTokenProblem)


class TestGoodTokens:
    def test_the_claims_come_out_as_they_went_in(self) -> None:
        assert verified(GOOD) == claims_of()

    @pytest.mark.parametrize(
        ("algorithm", "key"), [("RS256", RSA), ("RS512", RSA), ("PS384", RSA), ("ES256", EC), ("Ed25519", ED)]
    )
    def test_every_family_of_asymmetric_algorithms_serves(self, algorithm: str, key: Any) -> None:
        names = {"RS256": "sha256", "PS384": "sha384"}
        claims = claims_of(at_hash=at_hash(ACCESS_TOKEN, names.get(algorithm, "sha512")))
        if algorithm == "ES256":
            claims = claims_of(at_hash=at_hash(ACCESS_TOKEN))

        assert verified(signed(claims, key=key, algorithm=algorithm))["sub"] == "ana"

    @pytest.mark.parametrize("written", ["EdDSA", "Ed25519"])
    def test_ed25519_goes_by_both_its_names(self, written: str) -> None:
        """
        RFC 8037 calls it EdDSA, RFC 9864 by its curve.
        """
        claims = claims_of(at_hash=at_hash(ACCESS_TOKEN, "sha512"))

        assert verified(signed(claims, key=ED, algorithm="Ed25519", alg=written))["sub"] == "ana"

    def test_edwards_curves_are_reported_apart_where_a_key_lies_about_its_own(self) -> None:
        """
        joserfc's EdDSA would take any of them.
        """
        other = OKPKey.generate_key("Ed448", {"kid": "ed"})
        key = VerificationKey(kid="ed", algorithms=frozenset({"Ed25519"}), key=other)
        token = signed(claims_of(), key=other, algorithm="Ed448", alg="EdDSA")

        assert problem_of(token, keys=[key]) == P.UNREADABLE

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": [CLIENT]},
            {"aud": [CLIENT], "azp": CLIENT},
            {"aud": ["other", CLIENT], "azp": CLIENT},
            {"exp": NOW - SKEW + 1, "iat": NOW - 300},
            {"exp": NOW + 0.5},
            {"iat": NOW + SKEW},
            {"iat": NOW - MAX_AGE - SKEW + 1},
            {"nbf": NOW + SKEW},
            {"sub": "a" * 255},
            {"sub": "ö"},
            {"at_hash": at_hash(ACCESS_TOKEN)},
            {"at_hash": f"{at_hash(ACCESS_TOKEN)}=="},
        ],
    )
    def test_what_the_specification_allows_passes(self, changes: dict[str, Any]) -> None:
        assert verified(signed(claims_of(**changes)))["iss"] == ISSUER

    @pytest.mark.parametrize(
        "header",
        [
            {"typ": "JWT"},
            {"typ": "jwt"},
            {"x5t": "thumbprint"},
            {"vendor": 1},
            # Cloud Foundry's UAA and SAP's services write where their keys are into every token.
            {"jku": "https://id.example.com/token_keys"},
            {"x5u": "https://id.example.com/certificates"},
        ],
    )
    def test_harmless_headers_pass(self, header: dict[str, Any]) -> None:
        assert verified(signed(claims_of(), **header))["sub"] == "ana"

    def test_the_only_key_needs_no_name(self) -> None:
        keys = read_keys({"keys": [RSA.as_dict(private=False)]})

        assert verified(signed(claims_of(), kid=None), keys=keys)["sub"] == "ana"

    def test_several_keys_need_a_name(self) -> None:
        keys = read_keys({"keys": [{**key.as_dict(private=False), "kid": name} for name, key in TWO_RSA.items()]})

        assert problem_of(signed(claims_of(), kid=None), keys=keys) == P.UNKNOWN_KEY


TWO_RSA = {"one": RSA, "two": OTHER_RSA}


class TestTheConfigurationCannotOpenMore:
    @pytest.mark.parametrize("algorithms", [["none"], ["HS256"], ["none", "HS256", "RS999"]])
    def test_algorithms_that_prove_nothing_are_refused_even_when_listed(self, algorithms: list[str]) -> None:
        assert problem_of(forged({"alg": "none"}, claims_of()), algorithms=algorithms) == P.WRONG_ALGORITHM
        assert problem_of(with_public_key_as_secret(claims_of()), algorithms=algorithms) == P.WRONG_ALGORITHM

    def test_an_algorithm_that_is_not_listed_is_refused(self) -> None:
        assert problem_of(GOOD, algorithms=["ES256"]) == P.WRONG_ALGORITHM

    def test_an_empty_expectation_of_a_nonce_matches_nothing(self) -> None:
        assert problem_of(signed(claims_of(nonce="")), nonce="") == P.WRONG_NONCE

    def test_a_hash_without_an_access_token_is_refused(self) -> None:
        token = signed(claims_of(at_hash=at_hash("")))

        assert problem_of(token, access_token=None) == P.ACCESS_TOKEN_MISMATCH


class TestErrors:
    def test_nothing_of_the_token_stands_in_the_message(self) -> None:
        with pytest.raises(IdTokenRejected) as caught:
            verified(signed(claims_of(sub="\n")))

        assert str(caught.value) == "ID token: bad-shape"


@pytest.mark.parametrize(("iss", "accepted"), [(ISSUER, False), ("https://one.test", True), (None, False), ([], False)])
def test_a_rule_may_say_which_issuers_are_the_providers(
    iss: object,
    accepted: bool,  # noqa: FBT001 - one column of the table
) -> None:
    def rule(named: object, claims: Mapping[str, object]) -> bool:
        assert claims["sub"]
        return named == "https://one.test"

    token = signed(claims_of(iss=iss))
    if accepted:
        assert verified(token, issuer=rule)["iss"] == iss
    else:
        assert problem_of(token, issuer=rule) is P.WRONG_ISSUER


@pytest.mark.parametrize(
    ("beside_key", "rule", "passes"),
    [
        (None, None, True),
        ("https://other.test", None, True),  # of no meaning at this provider
        (None, lambda named, _: named == ISSUER, True),
        (ISSUER, lambda named, _: named == ISSUER, True),
        ("https://other.test", lambda named, _: named == ISSUER, False),
        (["https://id.example.com"], lambda named, _: named == ISSUER, False),
        ("", lambda named, _: named == ISSUER, False),
    ],
    ids=["neither", "no rule", "no issuer", "its own", "another", "a list", "empty"],
)
def test_a_rule_may_say_which_issuers_a_key_signs_for(beside_key: object, rule: Any, passes: bool) -> None:  # noqa: FBT001 - a column
    """Where many tenants share a set of keys, a key of one kind of accounts must not speak for another."""
    members = [one if beside_key is None else {**one, "issuer": beside_key} for one in JWKS["keys"]]
    options = {"keys": read_keys({"keys": members}), "key_issuer": rule}

    if passes:
        assert verified(GOOD, **options)["sub"] == "ana"
    else:
        assert problem_of(GOOD, **options) is P.WRONG_ISSUER
