from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey

from portal.errors import ProviderUnavailable
from portal.settings import ProviderSpec
from portal.sign_in.providers.keys import FAMILY_OF, MAX_KEYS, read_keys
from tests.builders import a_provider
from tests.provider.signing import EC, ED, RSA, segment

SPEC: ProviderSpec = a_provider()
PUBLIC: dict[str, Any] = dict(RSA.as_dict(private=False))


def rsa_of(bits: int) -> dict[str, Any]:
    modulus = (1 << (bits - 1)) + 1
    return {"kty": "RSA", "kid": "a", "n": segment(modulus.to_bytes(bits // 8)), "e": "AQAB"}


USELESS: dict[str, object] = {
    "null": None,
    "text": "key",
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
    "a secret in disguise": {**PUBLIC, "k": "c2VjcmV0"},
    "a private key": RSA.as_dict(private=True),
    "a private elliptic key": EC.as_dict(private=True),
    "a key of unknown type": {"kty": "AKP", "kid": "a"},
    "no type": {"kid": "a"},
    "a type that is a list": {**PUBLIC, "kty": ["RSA"]},
    "a key for encryption": {**PUBLIC, "use": "enc"},
    "a key for other operations": {**PUBLIC, "key_ops": ["encrypt"]},
    "operations that are no list": {**PUBLIC, "key_ops": "verify"},
    "an algorithm of another family": {**PUBLIC, "alg": "ES256"},
    "an algorithm nobody knows": {**PUBLIC, "alg": "RSA-OAEP"},
    "an algorithm that is a list": {**PUBLIC, "alg": ["RS256"]},
    "EdDSA on a curve that is not known": {**OKPKey.generate_key("Ed448").as_dict(private=False), "alg": "EdDSA"},
    "a kid that is a number": {**PUBLIC, "kid": 1},
    "another curve": ECKey.generate_key("secp256k1").as_dict(private=False),
    "a key for agreement": OKPKey.generate_key("X25519").as_dict(private=False),
    "numbers missing": {"kty": "RSA", "kid": "a"},
    "numbers that are no base64": {"kty": "RSA", "n": "!", "e": "AQAB"},
    "numbers that are numbers": {"kty": "RSA", "n": 1, "e": 3},
    "a point off the curve": {"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
    "an elliptic key cut short": {"kty": "OKP", "crv": "Ed25519", "x": "AQAB"},
    "RSA of 1024 bits": rsa_of(1024),
    "RSA of 2040 bits": rsa_of(2040),
    "RSA without end": rsa_of(16384),
}


class TestReadKeys:
    def test_each_key_serves_its_family(self) -> None:
        keys = read_keys({"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]})

        assert [key.kid for key in keys] == ["rsa", "ec", "ed"]
        assert keys[0].algorithms == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
        assert keys[1].algorithms == {"ES256"}
        assert keys[2].algorithms == {"Ed25519"}

    @pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
    def test_ed25519_goes_by_both_its_names(self, name: str) -> None:
        (key,) = read_keys({"keys": [{**ED.as_dict(private=False), "alg": name}]})

        assert key.algorithms == {"Ed25519"}

    def test_a_key_for_one_algorithm_serves_that_one(self) -> None:
        (key,) = read_keys({"keys": [{**PUBLIC, "alg": "PS256"}]})

        assert key.algorithms == {"PS256"}

    @pytest.mark.parametrize("more", [{"key_ops": ["verify"]}, {"use": "sig"}, {"x5t": "a"}, {"x5c": ["a"]}, {"n2": 1}])
    def test_members_that_change_nothing_change_nothing(self, more: dict[str, Any]) -> None:
        assert len(read_keys({"keys": [{**PUBLIC, **more}]})) == 1

    @pytest.mark.parametrize(
        "written",
        [
            lambda number: f"{number}==",
            lambda number: number.replace("-", "+").replace("_", "/"),
            lambda number: f"{number.replace('-', '+').replace('_', '/')}==",
        ],
    )
    def test_numbers_in_other_base64_are_the_same_numbers(self, written: Callable[[str], str]) -> None:
        (key,) = read_keys({"keys": [{**PUBLIC, "n": written(PUBLIC["n"])}]})

        assert key.key.as_dict(private=False)["n"] == PUBLIC["n"]

    def test_a_key_is_found_among_hundreds(self) -> None:
        assert len(read_keys({"keys": [PUBLIC] * MAX_KEYS})) == MAX_KEYS

    @pytest.mark.parametrize("kid", ["a" * 2000, "https://id.example.com/keys#1", "\u7d20 \u6750", "a+b/c==", ""])
    def test_a_key_goes_by_any_text(self, kid: str) -> None:
        assert read_keys({"keys": [{**PUBLIC, "kid": kid}]})[0].kid == kid

    @pytest.mark.parametrize("member", USELESS.values(), ids=USELESS.keys())
    def test_a_key_of_no_use_is_passed_over(self, member: object) -> None:
        assert [key.kid for key in read_keys({"keys": [member, EC.as_dict(private=False)]})] == ["ec"]

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"keys": None},
            {"keys": {}},
            {"keys": []},
            {"keys": list(USELESS.values())},
            {"keys": [PUBLIC] * (MAX_KEYS + 1)},
        ],
    )
    def test_a_set_without_usable_keys_makes_the_provider_unavailable(self, document: dict[str, Any]) -> None:
        with pytest.raises(ProviderUnavailable):
            read_keys(document)


def test_every_algorithm_of_the_default_configuration_has_a_family() -> None:
    assert set(SPEC.algorithms) == set(FAMILY_OF)


def test_no_algorithm_with_a_shared_secret_has_one() -> None:
    assert not [name for name in FAMILY_OF if name.startswith("HS") or name == "none"]
