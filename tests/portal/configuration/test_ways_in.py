"""How people find their provider, and who has the last word about them."""

from pathlib import Path

import pytest

from tests.portal.configuration.reading import ENVIRON, GOOD, PORTAL, PROVIDER, ROLES, loaded, problems

HOOK = "PORTAL_SIGN_IN_HOOK"
OTHER = PROVIDER.replace('"company"', '"other"').replace("id.example.com", "other.example.com")


def keys(folder: Path, text: str, **environ: str) -> dict[str, str]:
    return {one.key: f"{one.what} {one.fix}" for one in problems(folder, text, ENVIRON | environ)}


@pytest.mark.parametrize("name", ["company.rules:who", "rules:Rules.who", "règles:qui", "_a:b2"])
def test_a_hook_is_a_module_and_a_function(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, GOOD, ENVIRON | {HOOK: name}).sign_in_hook == name


@pytest.mark.parametrize(
    "name",
    ["rules", "rules.who", ":who", "rules:", "a:b:c", "../a:b", "a b:c", "a:b()", "1a:b", "a:b.", "a/b:c"],
)
def test_anything_else_names_none(tmp_path: Path, name: str) -> None:
    assert set(keys(tmp_path, GOOD, **{HOOK: name})) == {HOOK}


def test_without_a_name_there_is_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD, ENVIRON | {HOOK: " "}).sign_in_hook is None


def test_with_a_hook_a_role_needs_no_rule(tmp_path: Path) -> None:
    text = PORTAL + PROVIDER + ROLES + "[roles.vip]\n"

    assert set(keys(tmp_path, text)) == {"roles.vip.when"}
    assert set(keys(tmp_path, text, **{HOOK: "no function"})) == {HOOK}
    settings = loaded(tmp_path, text, ENVIRON | {HOOK: "rules:who"})
    assert [rule.role for rule in settings.roles] == ["admin", "analyst", "vip"]


def test_straight_to_the_only_provider(tmp_path: Path) -> None:
    direct = PORTAL + 'sign_in = "direct"\n'

    assert loaded(tmp_path, GOOD).sign_in == "page"
    assert loaded(tmp_path, direct + PROVIDER).sign_in == "direct"
    assert "several providers" in keys(tmp_path, direct + PROVIDER + OTHER)["portal.sign_in"]
    assert set(keys(tmp_path, direct.replace("direct", "straight") + PROVIDER)) == {"portal.sign_in"}


def test_a_domain_leads_to_one_provider(tmp_path: Path) -> None:
    text = PORTAL + PROVIDER + 'domains = ["one.example", "two.example"]\n' + OTHER + 'domains = ["TWO.example"]\n'
    found = keys(tmp_path, text)

    assert set(found) == {"providers.other.domains"}
    assert "'two.example', which company lists too" in found["providers.other.domains"]


def test_a_hidden_provider_has_another_way(tmp_path: Path) -> None:
    hidden = PORTAL + PROVIDER + "hidden = true\n"

    assert loaded(tmp_path, f'{hidden}domains = ["one.example"]\n').providers[0].hidden
    assert [key.rpartition(".")[2] for key in keys(tmp_path, hidden)] == ["hidden"]
