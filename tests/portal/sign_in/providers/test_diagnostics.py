"""Limitations of a provider, according to its metadata."""

from dataclasses import replace
from typing import Any

import pytest

from portal.settings import Endpoints
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.diagnostics import limitations_of, usable_algorithms
from tests.builders import a_provider
from tests.portal.sign_in.provider_types.reading import spec_at

ENDS = Endpoints(
    authorize="https://id.example.com/authorize",
    token="https://id.example.com/token",
    jwks="https://id.example.com/jwks",
    userinfo="https://id.example.com/userinfo",
    end_session="https://id.example.com/end",
)
SOUND = ProviderDiagnostics(
    discovery="https://id.example.com/.well-known/openid-configuration",
    endpoints=ENDS,
    auth_method="client_secret_basic",
    signing_algorithms=frozenset({"RS256", "none"}),
    challenge_methods=frozenset({"S256", "plain"}),
    scopes=frozenset({"openid", "profile", "email", "groups"}),
    keys=(frozenset({"RS256", "RS384"}), frozenset({"ES256"})),
)

PROBLEMS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "it is away": ({"problem": "GET https://id.example.com: ConnectTimeout"}, True, "ConnectTimeout"),
    "it refuses the client": ({"client_problem": "it answered 'invalid_client'"}, True, "invalid_client"),
    "it signs with the secret": ({"signing_algorithms": frozenset({"HS256"})}, True, "lists HS256"),
    "it signs with nothing": ({"signing_algorithms": frozenset({"none"})}, True, "cannot be verified"),
    "it lists no algorithm": ({"signing_algorithms": frozenset()}, True, "lists none"),
    "no key fits what it signs with": ({"keys": (frozenset({"ES256"}),)}, True, "keys for ES256"),
    "no key at all": ({"keys": (), "signing_algorithms": None}, True, "lists nothing"),
    "PKCE is plain only": ({"challenge_methods": frozenset({"plain"})}, False, "S256"),
    "it knows no profile": ({"scopes": frozenset({"openid", "email"})}, False, "profile"),
    "no userinfo": ({"endpoints": replace(ENDS, userinfo=None)}, False, "userinfo"),
    "no sign-out": ({"endpoints": replace(ENDS, end_session=None)}, False, "end-session"),
}


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_an_algorithm_may_be_promised_by_its_older_name(name: str) -> None:
    diagnostics = replace(SOUND, keys=(frozenset({"Ed25519"}),), signing_algorithms=frozenset({name}))

    assert usable_algorithms(a_provider(), diagnostics) == {"Ed25519"}


def test_nothing_is_missing_where_all_is_there() -> None:
    assert limitations_of(a_provider(), SOUND) == ()


@pytest.mark.parametrize("changes", [{"signing_algorithms": None}, {"challenge_methods": None}, {"scopes": None}])
def test_what_it_does_not_say_is_not_a_limitation(changes: dict[str, Any]) -> None:
    assert limitations_of(a_provider(), replace(SOUND, **changes)) == ()


@pytest.mark.parametrize(("changes", "blocks", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_missing_comes_with_its_fix(*, changes: dict[str, Any], blocks: bool, message: str) -> None:
    [one] = limitations_of(a_provider(), replace(SOUND, **changes))

    assert one.blocks is blocks
    assert message in one.what
    assert one.fix.endswith(".")


def test_the_worst_stands_first() -> None:
    diagnostics = replace(SOUND, scopes=frozenset({"openid"}), client_problem="it answered 'invalid_client'")

    assert [one.blocks for one in limitations_of(a_provider(), diagnostics)] == [True, False]


def test_no_algorithm_is_usable_that_the_configuration_does_not_accept() -> None:
    assert usable_algorithms(a_provider(), SOUND) == {"RS256"}
    assert usable_algorithms(a_provider(), replace(SOUND, signing_algorithms=None)) == {"RS256", "RS384", "ES256"}
    assert usable_algorithms(a_provider(algorithms=("ES256",)), SOUND) == frozenset()


@pytest.mark.parametrize("changes", [{"keys": (), "signing_algorithms": None}, {"challenge_methods": None}])
def test_a_provider_without_id_tokens_needs_no_keys(changes: dict[str, Any]) -> None:
    known = ProviderDiagnostics(endpoints=replace(ENDS, jwks=None, end_session=None), auth_method="client_secret_post")

    assert limitations_of(spec_at("github"), replace(known, **changes)) == ()


NAME_LISTS = "https://login.example.com/"
OF_ANOTHER = ProviderDiagnostics(
    issuer=NAME_LISTS, problem=f"the metadata is of issuer '{NAME_LISTS}', not of https://id.example.com"
)
WHERE_TO_WRITE_IT: dict[str, tuple[dict[str, Any], str]] = {
    "in the file": ({}, f'issuer = "{NAME_LISTS}" in its [[providers]]'),
    "the variable of any": (
        {"variables": ("OPENID_PROVIDER_URL", "OAUTH_CLIENT_ID")},
        f'OPENID_PROVIDER_URL="{NAME_LISTS}"',
    ),
    "the address of metadata": (
        {"issuer_of_document": True, "discovery": "https://id.example.com/x/.well-known/openid-configuration"},
        f'issuer = "{NAME_LISTS}" and discovery = "https://id.example.com/x/.well-known/openid-configuration" in its',
    ),
    "Keycloak in the file": ({"provider_type": "keycloak"}, f'issuer = "{NAME_LISTS}" in its [[providers]]'),
    "Keycloak's variables": (
        {"provider_type": "keycloak", "variables": ("OAUTH_KEYCLOAK_CLIENT_ID",)},
        f'issuer = "{NAME_LISTS}" in its [[providers]], with type = "keycloak", in place of OAUTH_KEYCLOAK_CLIENT_ID',
    ),
    "GitLab in the file": ({"provider_type": "gitlab"}, f'domain so that it is "{NAME_LISTS}"'),
    "Auth0's variables": (
        {"provider_type": "auth0", "variables": ("OAUTH_AUTH0_CLIENT_ID",)},
        f'OAUTH_AUTH0_DOMAIN so that it is "{NAME_LISTS}"',
    ),
}


@pytest.mark.parametrize(("changes", "message"), WHERE_TO_WRITE_IT.values(), ids=WHERE_TO_WRITE_IT)
def test_metadata_of_another_issuer_says_what_to_write_and_where(changes: dict[str, Any], message: str) -> None:
    [one] = limitations_of(a_provider(**changes), replace(OF_ANOTHER, discovery=changes.get("discovery")))

    assert one.blocks
    assert message in one.fix
    assert "PROXY" not in one.fix


@pytest.mark.parametrize("issuer", [None, "https://id.example.com"])
def test_any_other_failure_is_about_the_way_there(issuer: str | None) -> None:
    [one] = limitations_of(
        a_provider(), ProviderDiagnostics(issuer=issuer, problem="GET https://id.example.com: ConnectTimeout")
    )

    assert "HTTPS_PROXY" in one.fix
