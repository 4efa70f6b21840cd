"""Which claims are stored: all small ones, else those that rules read, and those whole."""

import json
from dataclasses import replace
from typing import Any

import pytest

from portal.access.stored_identity import write_identity
from portal.errors import ClaimsTooLarge
from portal.rules.identity import Affiliation, Identity
from portal.rules.policy import RoleRule, standing_in
from portal.sign_in.claims.reading import MAX_SHOWN_NAMES
from portal.sign_in.claims.storing import MAX_KEPT, MAX_READ, identity_to_store
from tests.builders import an_identity

BY_GROUP = (RoleRule(role="analyst", groups=frozenset({"AI-Analysts"})),)
PHOTO = "data:image/jpeg;base64," + "A" * 70_000
DIRECTORY = frozenset(f"CN=APP-{number:04d}-{'x' * 90},OU=Groups,DC=corp,DC=example,DC=com" for number in range(5000))


def somebody(*, groups: frozenset[str] = frozenset({"AI-Analysts"}), **claims: Any) -> Identity:
    return an_identity(affiliations=(Affiliation(groups=groups),), claims={"sub": "u1", **claims})


def roles(identity: Identity, *rules: RoleRule) -> frozenset[str]:
    standing = standing_in(identity, tenant="", rules=rules or BY_GROUP)
    assert standing is not None
    return standing.roles


def test_small_claims_are_stored_whole() -> None:
    person = somebody(department="Sales", note="x" * (MAX_KEPT - 200))

    assert identity_to_store(person, rules=()) is person


def test_a_large_claim_that_no_rule_reads_is_dropped_and_the_rest_is_stored() -> None:
    person = identity_to_store(somebody(department="Sales", photo=PHOTO), rules=BY_GROUP)

    assert person.claims == {"sub": "u1", "department": "Sales"}
    assert person.unread == ("photo (70025 bytes) not stored: no rule reads it",)
    assert roles(person) == {"analyst"}


@pytest.mark.parametrize("when", ["length(photo) > `3`", "length(claims.photo) > `3`", "length(keys(@)) > `3`"])
def test_a_claim_that_a_rule_reads_is_stored(when: str) -> None:
    rule = RoleRule(role="seen", when=when)
    person = identity_to_store(somebody(photo=PHOTO), rules=[rule])

    assert "photo" in person.claims
    assert person.unread == ()
    assert roles(person, rule) == {"seen"}


def test_of_very_many_groups_those_are_stored_that_rules_name() -> None:
    person = identity_to_store(somebody(groups=DIRECTORY | {"AI-Analysts"}), rules=BY_GROUP)

    assert person.affiliations[0].groups == {"AI-Analysts"}
    assert person.unread == ("5000 of groups not stored: no rule reads them",)
    assert roles(person) == {"analyst"}
    assert len(write_identity(person)) < 1000


def test_groups_that_rules_name_do_not_push_out_other_claims() -> None:
    named = frozenset(sorted(DIRECTORY)[: MAX_KEPT // 150])
    identity = somebody(groups=named, note="x" * (MAX_KEPT // 2))

    assert identity_to_store(identity, rules=[RoleRule(role="analyst", groups=named)]) is identity
    assert identity_to_store(identity, rules=()) is not identity


def test_groups_that_an_expression_reads_are_all_stored_or_the_sign_in_is_refused() -> None:
    rule = RoleRule(role="analyst", when="contains(groups, 'AI-Analysts')")
    some = frozenset(sorted(DIRECTORY)[:1500]) | {"AI-Analysts"}
    person = identity_to_store(somebody(groups=some), rules=[rule])

    assert person.affiliations[0].groups == some
    assert roles(person, rule) == {"analyst"}
    with pytest.raises(ClaimsTooLarge, match=r"groups takes \d+ bytes of \d+, more than the 262144"):
        identity_to_store(somebody(groups=DIRECTORY), rules=[rule])


def test_rules_about_another_provider_keep_nothing() -> None:
    rule = RoleRule(role="seen", when="photo == 'x'", provider="another")

    assert "photo" not in identity_to_store(somebody(photo=PHOTO), rules=[rule]).claims


def test_no_more_is_dropped_than_must_be() -> None:
    person = identity_to_store(somebody(photo=PHOTO, badge="B" * 40_000, note="N" * 20_000), rules=BY_GROUP)

    assert sorted(person.claims) == ["badge", "note", "sub"]


def test_of_very_many_small_claims_names_count_as_well_and_are_not_all_noted() -> None:
    claims: dict[str, Any] = {f"claim-{number}": number for number in range(50_000)}
    person = identity_to_store(replace(somebody(), claims=claims), rules=BY_GROUP)

    assert len(json.dumps(dict(person.claims), separators=(",", ":"))) <= MAX_KEPT
    assert len(person.unread) == MAX_SHOWN_NAMES + 1
    beyond = 50_000 - len(person.claims) - MAX_SHOWN_NAMES
    assert person.unread[-1] == f"{beyond} more claims not stored: no rule reads them"
    assert roles(person) == {"analyst"}


def test_groups_that_are_all_named_are_not_reported_as_missing() -> None:
    names = frozenset(sorted(DIRECTORY)[:450])
    person = identity_to_store(
        somebody(groups=names, badge="B" * 70_000), rules=(RoleRule(role="analyst", groups=names),)
    )

    assert person.affiliations[0].groups == names
    assert person.unread == ("badge (70002 bytes) not stored: no rule reads it",)


def test_nothing_that_is_stored_is_larger_than_the_limit() -> None:
    everything = RoleRule(role="r", when="length(@) > `3`")
    person = identity_to_store(somebody(photo="A" * (MAX_READ - 1000)), rules=[everything])

    assert len(json.dumps(dict(person.claims))) <= MAX_READ
    with pytest.raises(ClaimsTooLarge, match="photo"):
        identity_to_store(somebody(photo="A" * MAX_READ), rules=[everything])
