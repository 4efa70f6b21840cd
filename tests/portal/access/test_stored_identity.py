"""An identity is read back from the database unchanged."""

from types import MappingProxyType

import pytest

from portal.access.stored_identity import StandingCache, read_identity, write_identity
from portal.rules.identity import Affiliation, Identity
from tests.builders import RULES, an_identity

FULL = an_identity(
    picture="https://id.example.com/ana.png",
    affiliations=(
        Affiliation(
            tenant="beta", roles=frozenset({"Tenant Admin"}), permissions=frozenset({"read"}), groups_left_out=7
        ),
        Affiliation(tenant="acme", tenant_name="Acme", groups=frozenset({"AI-Analysts", "Ü"})),
    ),
    claims=MappingProxyType(
        {"sub": "ana", "deep": MappingProxyType({"list": [1, None, True, {"a": 1.5}]}), "nul": "\0"}
    ),
)


@pytest.mark.parametrize(
    "identity", [an_identity(), FULL, Identity(provider="p", issuer="i", subject="s")], ids=["usual", "full", "thin"]
)
def test_an_identity_is_read_back_as_it_was(identity: Identity) -> None:
    text = write_identity(identity)

    assert read_identity(text) == identity
    assert read_identity(text).id == identity.id
    assert text.isascii()


def test_claims_that_came_as_sets_or_tuples_are_lists_afterwards() -> None:
    identity = an_identity(claims={"groups": frozenset({"b", "a"}), "pair": ("y", "x")})

    assert read_identity(write_identity(identity)).claims == {"groups": ["a", "b"], "pair": ["y", "x"]}


def test_claims_that_are_no_json_are_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        write_identity(an_identity(claims={"raw": b"x"}))


def test_standings_follow_the_rules_and_the_tenant() -> None:
    standings, text = StandingCache(RULES), write_identity(FULL)
    in_acme, in_beta = standings.of(text, tenant="acme"), standings.of(text, tenant="beta")

    assert in_acme is not None
    assert in_acme.roles == {"analyst"}
    assert in_beta is not None
    assert in_beta.roles == {"admin"}
    assert standings.of(text, tenant="elsewhere") is None


def test_other_rules_give_other_standings_of_the_same_identity() -> None:
    text = write_identity(FULL)
    standing = StandingCache(()).of(text, tenant="acme")

    assert StandingCache(RULES).of(text, tenant="acme") != standing
    assert standing is not None
    assert standing.roles == frozenset()
