"""People in very many groups, or with a picture in their claims, can sign in."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.rules.policy import RoleRule
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW, RULES, a_provider
from tests.provider.browser import Browser, Portal
from tests.provider.misbehaving import MisbehavingProvider, misbehaving_provider

GROUPS = ["AI-Analysts", *(f"CN=APP-{n:04d}-{'x' * 90},OU=Groups,DC=corp,DC=example,DC=com" for n in range(360))]
"""As a directory names them: about 47 KB together."""
PHOTO = "data:image/jpeg;base64," + "A" * 70_000
CASES: dict[str, dict[str, Any]] = {
    "360 groups with long names": {"groups": GROUPS},
    "a picture that no rule reads": {"groups": ["AI-Analysts"], "photo": PHOTO},
    "521 groups, the last of which counts": {"groups": [*(f"/g{n}" for n in range(520)), "AI-Analysts"]},
    "8,000 groups": {"groups": [*GROUPS, *(f"g{n}" for n in range(8000))]},
}


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


def signed_in(theirs: MisbehavingProvider, folder: Path, **changes: Any) -> tuple[Portal, Browser, int]:
    spec = a_provider(issuer=theirs.issuer)
    portal = Portal(folder, providers=(spec,), **changes)
    portal.providers["company"] = CodeFlow(spec, limits=Limits(read=60, total=60))
    browser = Browser(portal)
    page = browser.get(theirs.authorize(browser.begin()))
    return portal, browser, page.status_code


@pytest.mark.parametrize("where", ["ID token", "userinfo"])
@pytest.mark.parametrize("name", CASES)
def test_they_sign_in_with_their_roles(theirs: MisbehavingProvider, tmp_path: Path, name: str, where: str) -> None:
    (theirs.claims if where == "ID token" else theirs.userinfo).update(CASES[name])
    portal, browser, status = signed_in(theirs, tmp_path)

    assert status == 303
    assert browser.get("/apps/forecast/").status_code == 200
    [sign_in] = portal.services.sign_ins.of_tenant("", issuer=theirs.issuer, now=NOW)
    assert "AI-Analysts" in sign_in.identity.affiliations[0].groups
    assert "photo" not in sign_in.identity.claims


def test_what_a_rule_reads_and_is_too_large_is_refused_and_said_by_name(
    theirs: MisbehavingProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs.userinfo["groups"] = [*GROUPS, *(f"{n:0100d}" for n in range(4000))]
    rules = (*RULES, RoleRule(role="other", when="contains(groups, 'x')"))
    _, browser, status = signed_in(theirs, tmp_path, roles=rules)

    assert status == 403
    assert not browser.is_signed_in
    assert "claims-too-large: groups takes" in caplog.text


def test_an_id_token_that_is_too_long_is_named_as_such(
    theirs: MisbehavingProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs.claims["photo"] = "A" * 1_000_000
    _, _, status = signed_in(theirs, tmp_path)

    assert status == 403
    assert "claims-too-large: ID token: too-long" in caplog.text


@pytest.mark.parametrize("where", ["token endpoint", "userinfo"])
def test_an_answer_that_is_too_long_is_not_an_outage(
    theirs: MisbehavingProvider, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    (theirs.token_answer if where == "token endpoint" else theirs.userinfo)["photo"] = "A" * (1 << 21)
    _, browser, status = signed_in(theirs, tmp_path)

    assert status == 403
    assert not browser.is_signed_in
    assert "claims-too-large: the answer of" in caplog.text


def test_objects_for_groups_open_what_a_rule_finds_in_them(theirs: MisbehavingProvider, tmp_path: Path) -> None:
    theirs.userinfo["groups"] = [{"groupId": "ADMINS", "roles": ["ADMIN"]}]
    rules = tuple(
        replace(rule, groups=frozenset(), when="contains(claims.groups[].groupId, 'ADMINS')") for rule in RULES
    )
    _, browser, status = signed_in(theirs, tmp_path, roles=rules)

    assert status == 303
    assert browser.get("/apps/forecast/").status_code == 200
