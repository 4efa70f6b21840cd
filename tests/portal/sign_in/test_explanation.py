import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.rules.catalogue import EVERYONE, Catalogue
from portal.rules.policy import API_RIGHTS
from portal.settings import Admission, Settings
from portal.sign_in.explanation import Explanation, explain
from tests.builders import a_provider, an_app, settings_for
from tests.portal.sign_in.provider_types.reading import spec_at

TESS: dict[str, Any] = {
    "iss": "https://id.example.com",
    "sub": "tess",
    "name": "Tess Two-Tenants",
    "email": "tess@example.com",
    "email_verified": True,
    "tenants": {
        "acme": {"name": "Acme", "roles": ["Member"], "groups": ["AI-Analysts"]},
        "beta": {"name": "Beta", "roles": ["Tenant Admin"]},
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(
        tmp_path,
        providers=(a_provider(provider_type="descope"),),
        landing=("admins", "forecast"),
        rights_of_roles={"admin": frozenset(API_RIGHTS)},
        catalogue=Catalogue(
            (
                an_app(slug="forecast"),
                an_app(slug="admins", open_to=frozenset({"admin"}), portal_api=frozenset({"audit:read"})),
                an_app(slug="news", open_to=frozenset({EVERYONE}), tenants=frozenset({"acme"})),
                an_app(slug="closed", open_to=frozenset()),
            )
        ),
    )


def verdicts(explanation: Explanation) -> dict[str, dict[str, tuple[bool, str]]]:
    return {view.tenant: {app.slug: (app.allowed, app.reason) for app in view.apps} for view in explanation.tenants}


class TestExplain:
    def test_a_sign_in_hook_is_not_asked_and_said_to_have_the_last_word(self, settings: Settings) -> None:
        (note,) = explain(replace(settings, sign_in_hook="rules:who"), TESS).notes

        assert note == "rules:who was not called: at a sign-in it may refuse this person, or add roles."
        assert explain(settings, TESS).notes == ()

    def test_every_app_is_allowed_or_denied_in_every_tenant_with_the_reason(self, settings: Settings) -> None:
        assert verdicts(explain(settings, TESS)) == {
            "acme": {
                "forecast": (True, "role 'analyst'"),
                "admins": (False, "missing-role"),
                "news": (True, "open to everyone signed in"),
                "closed": (False, "open-to-nobody"),
            },
            "beta": {
                "forecast": (False, "missing-role"),
                "admins": (True, "role 'admin'"),
                "news": (False, "not-in-tenant"),
                "closed": (False, "open-to-nobody"),
            },
        }

    def test_every_role_has_the_rule_that_gave_it(self, settings: Settings) -> None:
        views = {view.tenant: view for view in explain(settings, TESS).tenants}

        assert [(one.role, one.reason) for one in views["acme"].grants] == [("analyst", "group 'AI-Analysts'")]
        assert [(one.role, one.reason) for one in views["beta"].grants] == [
            ("admin", "when contains(roles, 'Tenant Admin')")
        ]

    def test_they_land_on_what_they_may_open(self, settings: Settings) -> None:
        views = {view.tenant: view for view in explain(settings, TESS).tenants}

        assert (views["acme"].landing, views["beta"].landing) == ("forecast", "admins")

    def test_one_tenant_may_be_asked_about(self, settings: Settings) -> None:
        explanation = explain(settings, TESS, tenant="beta")

        assert list(verdicts(explanation)) == ["beta"]
        assert explanation.begins_in == "beta"

    def test_a_tenant_they_do_not_belong_to_gives_a_note_and_no_roles(self, settings: Settings) -> None:
        explanation = explain(settings, TESS, tenant="gamma")

        assert explanation.tenants == ()
        assert "gamma" in "".join(explanation.notes)

    def test_claims_that_identify_no_one_are_refused_with_the_reason(self, settings: Settings) -> None:
        explanation = explain(settings, {**TESS, "sub": ""})

        assert explanation.identity is None
        assert "sub" in explanation.as_text()
        assert explanation.to_json() == {"signed_in": False, "refused": explanation.refused, "notes": []}

    def test_an_unverified_address_is_noted(self, settings: Settings) -> None:
        assert "not verified" in explain(settings, {**TESS, "email_verified": "true"}).as_text()

    def test_groups_that_are_not_known_are_noted(self, settings: Settings) -> None:
        groups = [{"id": number} for number in range(101)]
        explanation = explain(settings, {"iss": "https://id.example.com", "sub": "s", "groups": groups})

        assert "at least 101 of their groups" in explanation.as_text()
        assert (
            "101 entries of groups are not names; rules can read what was sent under claims.groups."
            in explanation.as_text()
        )

    def test_claims_of_another_issuer_are_noted(self, settings: Settings) -> None:
        explanation = explain(settings, {**TESS, "iss": "https://evil.test"})

        assert explanation.identity is not None
        assert "https://evil.test" in "".join(explanation.notes)


class TestWhichProvider:
    @pytest.fixture
    def two(self, settings: Settings, tmp_path: Path) -> Settings:
        other = a_provider(id="partner", issuer="https://partner.example.com")
        return settings_for(tmp_path, providers=(*settings.providers, other), catalogue=settings.catalogue)

    @pytest.mark.parametrize(
        ("claims", "provider_id", "expected"),
        [
            (TESS, None, "company"),
            ({**TESS, "iss": "https://partner.example.com"}, None, "partner"),
            (TESS, "partner", "partner"),
            ({"sub": "tess"}, "company", "company"),
            ({"sub": "tess"}, None, None),
            ({**TESS, "iss": "https://elsewhere.test"}, None, None),
            (TESS, "gone", None),
        ],
    )
    def test_it_is_named_or_reported_by_the_issuer(
        self, two: Settings, claims: dict[str, Any], provider_id: str | None, expected: str | None
    ) -> None:
        explanation = explain(two, claims, provider_id=provider_id)

        assert (explanation.identity.provider if explanation.identity else None) == expected
        assert expected or "company, partner" in str(explanation.refused)

    def test_the_only_one_needs_no_issuer(self, settings: Settings) -> None:
        assert explain(settings, {"sub": "tess"}).identity is not None

    def test_without_any_there_is_nobody(self, tmp_path: Path) -> None:
        assert "none" in str(explain(settings_for(tmp_path, providers=()), TESS).refused)


class TestOutput:
    def test_as_json(self, settings: Settings) -> None:
        message: Any = json.loads(json.dumps(explain(settings, TESS).to_json()))

        assert message["signed_in"] is True
        assert message["identity"]["username"] == "tess@example.com"
        assert message["begins_in"] == "acme"
        assert message["tenants"][1]["apps"][1] == {
            "app": "admins",
            "allowed": True,
            "reason": "role 'admin'",
            "missing_roles": [],
            "portal_api": ["audit:read"],
        }
        assert message["tenants"][0]["apps"][1]["missing_roles"] == ["admin"]

    def test_people_whom_the_rules_do_not_admit_are_refused_with_the_code(self, settings: Settings) -> None:
        spec = a_provider(provider_type="descope", admission=Admission(tenants=frozenset({"gamma"})))
        explanation = explain(replace(settings, providers=(spec,)), TESS)

        assert explanation.identity is None
        assert str(explanation.refused).startswith("tenant-not-allowed: ")

    def test_answers_of_an_api_are_claims_too(self, settings: Settings) -> None:
        spec = spec_at("github")
        claims = {"user": {"id": 7, "name": "Octo"}, "memberships": [], "emails": [], "teams": []}
        explanation = explain(replace(settings, providers=(spec,)), claims)

        assert explanation.identity is not None
        assert explanation.identity.subject == "7"
        assert explanation.notes == ()

    def test_what_each_endpoint_said_is_put_together_as_in_a_sign_in(self, settings: Settings) -> None:
        token = {"iss": "https://id.example.com", "sub": "tess"}
        whole = {name: value for name, value in TESS.items() if name != "iss"}

        assert verdicts(explain(settings, token, userinfo=whole)) == verdicts(explain(settings, TESS))
        assert explain(settings, token, userinfo={**whole, "sub": "bob"}).identity is None

    def test_what_an_api_was_not_asked_is_noted_even_of_whom_nobody_knows(self, settings: Settings) -> None:
        github = replace(settings, providers=(spec_at("github"),))
        known = explain(github, {"id": 7, "login": "octo"}, answers={"emails": [], "mails": []})
        unknown = explain(github, {"login": "octo"})

        assert [one.split(",")[0] for one in known.notes] == [
            "mails: not an answer of GitHub's API (the portal asks it for user",
            "missing: memberships",
            "nothing gave admin",
        ]
        assert (known.identity is None, unknown.identity) == (False, None)
        assert "missing: emails" in unknown.as_text()

    def test_claims_that_rules_read_and_the_provider_did_not_send_are_reported(self, settings: Settings) -> None:
        plain = replace(settings, providers=(a_provider(),))
        notes = explain(plain, {"sub": "ana", "name": "Ana", "groups": []}).notes

        assert notes == (
            "nothing gave admin, analyst: roles look for groups, roles; the provider sent groups, name, sub.",
        )
        assert explain(plain, {"sub": "ana", "groups": ["Everyone"], "roles": []}).notes == ()

    def test_as_text(self, settings: Settings) -> None:
        text = explain(settings, TESS).as_text()

        assert text.splitlines()[0] == "Tess Two-Tenants · tess@example.com"
        assert "In acme · Acme, where the sign-in begins:" in text
        assert "allowed   admins: role 'admin' (portal API: audit:read)" in text
        assert "denied    admins: missing-role (one of: admin)" in text
        assert "role      analyst: group 'AI-Analysts'" in text

    def test_people_without_name_tenant_or_role(self, settings: Settings) -> None:
        explanation = explain(settings, {"sub": "nobody"})
        text = explanation.as_text()

        assert "(no name)" in text
        assert "In (no tenant)" in text
        assert "role      none" in text
        assert "lands on  the catalogue" in text
        assert explanation.to_json()["begins_in"] is None
