"""ID tokens signed with the client secret, if the client is registered for it (OpenID Connect Core, section 10.1)."""

from typing import Any

import pytest
from joserfc.jwk import OctKey

from portal.rules.identity import VerifiedClaims
from portal.settings import PUBLIC_KEY_ALGORITHMS, SHARED_SECRET_ALGORITHMS, Secret
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.id_token import IdTokenProblem, IdTokenRejected, verify_id_token
from portal.sign_in.providers.keys import read_keys, shared_key
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW, a_provider
from tests.provider.misbehaving import misbehaving_provider
from tests.provider.signing import (
    ACCESS_TOKEN,
    CLIENT,
    ISSUER,
    JWKS,
    NONCE,
    claims_of,
    forged,
    signed,
    with_public_key_as_secret,
)

SECRET = "a client secret of forty-eight characters, or more"
KEY = OctKey.import_key(SECRET)
CALLBACK = "https://portal.example.com/auth/oauth/company/callback"


def verified(token: object, **changes: Any) -> VerifiedClaims:
    expected: dict[str, Any] = {
        "keys": (shared_key(SECRET),),
        "issuer": ISSUER,
        "client_id": CLIENT,
        "algorithms": ("HS256",),
        "nonce": NONCE,
        "now": NOW,
        "access_token": ACCESS_TOKEN,
    }
    return verify_id_token(token, **{**expected, **changes})


@pytest.mark.parametrize("kid", [None, "whatever"])
def test_a_token_signed_with_the_secret_is_accepted(kid: str | None) -> None:
    named = {} if kid is None else {"kid": kid}

    assert verified(signed(claims_of(), key=KEY, algorithm="HS256", **named))["sub"]


ATTACKS: dict[str, tuple[str, dict[str, Any], IdTokenProblem]] = {
    "another secret": (
        signed(claims_of(), key=OctKey.import_key("x" * 48), algorithm="HS256"),
        {},
        IdTokenProblem.BAD_SIGNATURE,
    ),
    "another hash": (
        signed(claims_of(), key=KEY, algorithm="HS512"),
        {},
        IdTokenProblem.WRONG_ALGORITHM,
    ),
    "a public key": (signed(claims_of()), {}, IdTokenProblem.WRONG_ALGORITHM),
    "none": (forged({"alg": "none"}, claims_of()), {}, IdTokenProblem.WRONG_ALGORITHM),
    "none, allowed": (
        forged({"alg": "none"}, claims_of()),
        {"algorithms": ("HS256", "none")},
        IdTokenProblem.WRONG_ALGORITHM,
    ),
    "the secret, where published keys are meant": (
        signed(claims_of(), key=KEY, algorithm="HS256", kid="rsa"),
        {"keys": read_keys(JWKS), "algorithms": PUBLIC_KEY_ALGORITHMS},
        IdTokenProblem.WRONG_ALGORITHM,
    ),
    "a published key as the secret, by a configuration that mixes them": (
        with_public_key_as_secret(claims_of()),
        {"keys": read_keys(JWKS), "algorithms": (*PUBLIC_KEY_ALGORITHMS, *SHARED_SECRET_ALGORITHMS)},
        IdTokenProblem.WRONG_ALGORITHM,
    ),
    "another nonce": (
        signed(claims_of(nonce="other"), key=KEY, algorithm="HS256"),
        {},
        IdTokenProblem.WRONG_NONCE,
    ),
}


@pytest.mark.parametrize(("token", "changes", "problem"), ATTACKS.values(), ids=ATTACKS)
def test_everything_else_is_refused(token: str, changes: dict[str, Any], problem: IdTokenProblem) -> None:
    with pytest.raises(IdTokenRejected) as caught:
        verified(token, **changes)
    assert caught.value.problem is problem


def test_a_whole_sign_in_asks_for_no_keys() -> None:
    with misbehaving_provider() as theirs:
        theirs.sign = lambda claims: signed(claims, key=KEY, algorithm="HS256")
        theirs.metadata["token_endpoint_auth_methods_supported"] = ["none"]  # any secret will do for it
        spec = a_provider(
            issuer=theirs.issuer,
            algorithms=("HS256",),
            client_secret=Secret(SECRET),
            token_endpoint_auth_method="client_secret_post",
        )
        ours = CodeFlow(spec, limits=Limits(read=60, total=60))
        url, attempt = ours.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)

        assert ours.complete(attempt, theirs.callback_of(url), now=NOW).identity.subject == "ana"
        assert "/jwks" not in theirs.asked
        assert ours.diagnostics().problem is None
        assert ours.diagnostics().keys == (frozenset({"HS256", "HS384", "HS512"}),)
