from dataclasses import replace
from pathlib import Path

import pytest

from portal.configuration.expressions import problem_of_expression
from portal.rules.identity import Affiliation
from portal.rules.policy import API_RIGHTS, RoleRule, standing_in
from tests.builders import an_identity
from tests.portal.configuration.reading import PORTAL, PROVIDER, keys, loaded, problems

REST = PORTAL + PROVIDER


def test_all_of_a_rule_is_read(tmp_path: Path) -> None:
    text = REST + '[roles.r]\nwhen = "`true`"\ngroups = ["g", "h", "g"]\nprovider = "company"\nrights = ["audit:read"]'
    settings = loaded(tmp_path, text)

    assert settings.roles == (RoleRule(role="r", when="`true`", groups=frozenset({"g", "h"}), provider="company"),)
    assert settings.rights_of_roles == {"r": frozenset({"audit:read"})}


def test_a_role_may_have_several_rules(tmp_path: Path) -> None:
    text = REST + (
        '[[roles.r]]\ngroups = ["g"]\nrights = ["audit:read"]\n[[roles.r]]\nwhen = "`true`"\nrights = ["sign-ins:end"]'
    )
    settings = loaded(tmp_path, text)

    assert [rule.role for rule in settings.roles] == ["r", "r"]
    assert settings.rights_of_roles == {"r": frozenset({"audit:read", "sign-ins:end"})}


@pytest.mark.parametrize(
    ("name", "rights", "expected"),
    [
        ("admin", "", {"admin": frozenset(API_RIGHTS)}),
        ("admin", "rights = []", {"admin": frozenset()}),
        ("admin", 'rights = ["audit:read"]', {"admin": frozenset({"audit:read"})}),
        ("analyst", "", {}),
        ("Admin", "", {}),
    ],
)
def test_without_rights_only_admins_have_them(
    tmp_path: Path, name: str, rights: str, expected: dict[str, frozenset[str]]
) -> None:
    assert loaded(tmp_path, REST + f'[roles.{name}]\ngroups = ["g"]\n{rights}').rights_of_roles == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[roles.r]", "roles.r.when"),
        ("[roles.r]\ngroups = []", "roles.r.when"),
        ("[[roles.r]]\ngroups = ['g']\n[[roles.r]]", "roles.r[1].when"),
        ("[roles.r]\ngroups = 'g'", "roles.r.groups"),
        ("[roles.r]\nwhen = true", "roles.r.when"),
        ("[roles.r]\ngroups = ['g']\nrights = ['audit:reed']", "roles.r.rights"),
        ("[roles.r]\ngroups = ['g']\nprovider = 'compny'", "roles.r.provider"),
        ("[roles.everyone]\ngroups = ['g']", "roles.everyone"),
        ("[roles.'']\ngroups = ['g']", "roles."),
        ("[roles.' r']\ngroups = ['g']", "roles. r"),
        ("[roles.'r\"']\ngroups = ['g']", 'roles.r"'),
        ("[roles." + "r" * 65 + "]\ngroups = ['g']", "roles." + "r" * 65),
    ],
)
def test_a_rule_that_gives_nothing_or_too_much_is_refused(tmp_path: Path, text: str, key: str) -> None:
    assert key in keys(tmp_path, REST + text)


@pytest.mark.parametrize(
    "expression",
    [
        "contains(roles, 'Tenant Admin')",
        "contains(groups, '/research/ml') && email != null",
        "roles[?@ == 'admin'] | length(@) > `0`",
        "\"https://example.com/roles\"[0] == 'admin'",
        "\"custom:role\" == 'admin'",
        "not_null(department, team) == 'Sales'",
        'contains(groups, `"Tenant Admin"`)',
        "starts_with(email, 'ana@')",
        "tenants.acme.roles == roles",
        "merge(a, b, c).x == `true`",
        "!contains(roles, 'Guest')",
        "@",
        "groups[0:2] == `[]`",
    ],
)
def test_good_expressions_pass(expression: str) -> None:
    assert problem_of_expression(expression) is None


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("contains(roles", "not JMESPath"),
        ("roles ==", "not JMESPath"),
        ("'unclosed", "not JMESPath"),
        ('`{bad "json`', "not JMESPath"),
        ("a.b[", "not JMESPath"),
        ("#", "not JMESPath"),
        ("has(roles, 'x')", "not a function"),
        ("roles && cointains(roles, 'x')", "not a function"),
        ("contains(roles)", "1 arguments"),
        ("contains(roles, 'a', 'b')", "3 arguments"),
        ("not_null()", "0 arguments"),
        ('contains(roles, "Tenant Admin")', "claim called"),
        ('contains(roles, "admin")', "claim called"),
        ("contains(roles, admin)", "claim called"),
        ('starts_with(email, "ana")', "claim called"),
        ('department == "Sales People"', "claim called"),
        ('[?contains(roles, "x y")]', "claim called"),
    ],
)
def test_expressions_that_can_never_be_true_are_refused(expression: str, word: str) -> None:
    """Otherwise a misspelt function or double quotes would lock people out without a word."""
    problem = problem_of_expression(expression)

    assert problem is not None
    assert word in problem[0]
    assert problem[1]


def test_the_fix_shows_single_quotes() -> None:
    problem = problem_of_expression('contains(roles, "Tenant Admin")')

    assert problem is not None
    assert "'Tenant Admin'" in problem[1]


PARTNER = """
[[providers]]
id = "partner"
issuer = "https://id.partner.example.com"
client_id = "portal"
client_secret_env = "COMPANY_SECRET"
"""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[roles.analyst]\ngroups = ['g']", "roles.analyst.provider"),
        ("[roles.analyst]\nwhen = '`true`'", "roles.analyst.provider"),
        ("[apps.x]\nurl = 'https://x.example.com'\ntenants = ['acme']", "apps.x.provider"),
        ("[apps.x]\nurl = 'https://x.example.com'\npeople = ['ana@example.com']", "apps.x.provider"),
        ("[apps.x]\nurl = 'https://x.example.com'\nprovider = 'compny'", "apps.x.provider"),
    ],
)
def test_with_several_providers_a_rule_must_name_its_provider(tmp_path: Path, text: str, key: str) -> None:
    assert [problem.key for problem in problems(tmp_path, PORTAL + PROVIDER + PARTNER + text)] == [key]


@pytest.mark.parametrize("provider", ["company", "partner", "*"])
def test_a_rule_can_name_one_provider_or_all(tmp_path: Path, provider: str) -> None:
    text = f"""
[roles.analyst]
groups = ["g"]
provider = "{provider}"
[apps.x]
url = "https://x.example.com"
tenants = ["acme"]
provider = "{provider}"
"""
    settings = loaded(tmp_path, PORTAL + PROVIDER + PARTNER + text)
    assert (settings.roles[0].provider, settings.catalogue.apps[0].provider) == (provider, provider)


def test_names_are_compared_however_unicode_composes_their_letters(tmp_path: Path) -> None:
    text = (
        REST + '[roles.r]\ngroups = ["E\u0301quipe"]\nwhen = "contains(groups, \'E\u0301quipe\')"\nprovider = "company"'
    )
    [rule] = loaded(tmp_path, text).roles
    composed = Affiliation(groups=frozenset({"\u00c9quipe"}))

    assert rule.groups == composed.groups
    standing = standing_in(an_identity(affiliations=(composed,)), tenant="", rules=[replace(rule, groups=frozenset())])
    assert standing is not None
    assert standing.roles == {"r"}


def test_a_rule_that_takes_names_for_objects_is_never_true_and_so_a_problem(tmp_path: Path) -> None:
    text = REST + "[roles.r]\nwhen = \"contains(groups[].groupId, 'ADMINS')\""
    [problem] = problems(tmp_path, text)

    assert problem.key == "roles.r.when"
    assert "reads groupId of each of groups, which are names" in problem.what
    assert "Write claims.groups" in problem.fix
