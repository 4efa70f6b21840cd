"""Which claims an expression reads, and what it yields over claims that have another shape."""

import pytest

from portal.rules.expressions import claims_read, evaluate, names_taken_for_objects

READ: dict[str, frozenset[str] | None] = {
    "contains(groups, 'AI-Analysts')": frozenset({"groups"}),
    "contains(groups[].groupId, 'ADMINS')": frozenset({"groups"}),
    "contains(claims.groups[].groupId, 'ADMINS')": frozenset({"groups"}),
    "@.claims.groups[0] == 'a'": frozenset({"groups"}),
    "realm_access.roles[?@ == 'x'] | length(@) > `0`": frozenset({"realm_access"}),
    "sort_by(teams, &name)[0].name == 'x'": frozenset({"teams"}),
    "max_by(teams, &level).level > `3`": frozenset({"teams"}),
    "hd == 'example.org' && !(department == level)": frozenset({"hd", "department", "level"}),
    "{a: one, b: two}.a": frozenset({"one", "two"}),
    '"https://example.com/roles"[0] == `1`': frozenset({"https://example.com/roles"}),
    "`true`": frozenset(),
    "this is no expression": frozenset(),
    "length(@) > `3`": None,
    "contains(keys(claims), 'x')": None,
    "claims | groups": None,
    "*.name": None,
}


@pytest.mark.parametrize("expression", READ)
def test_the_claims_that_decide(expression: str) -> None:
    assert claims_read(expression) == READ[expression]


@pytest.mark.parametrize("document", [{}, {"groups": None}, {"groups": 7}, {"groups": {"a": 1}}, {"groups": "x"}])
def test_another_shape_yields_nothing_true_and_raises_nothing(document: dict[str, object]) -> None:
    assert evaluate("contains(groups, 'AI-Analysts')", document) is not True
    assert evaluate("sum(groups) > `1`", document) is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("contains(groups[].groupId, 'ADMINS')", ("groups", "groupId")),
        ("length(roles[*].name) > `0` && sub == 'a'", ("roles", "name")),
        ("contains(claims.groups[].groupId, 'ADMINS')", None),
        ("contains(orgs[].groups[].id, 'a')", None),
        ("length(orgs[?contains(groups[].id, 'a')]) > `0`", None),
        ("contains(groups, 'ADMINS')", None),
        ("length(groups[?@ == 'a']) > `0`", None),
        ("groups[0] == 'a'", None),
        ("((", None),
    ],
)
def test_names_are_no_objects(expression: str, expected: tuple[str, str] | None) -> None:
    assert names_taken_for_objects(expression) == expected
