"""An operator's files, turned into the claims of a sign-in."""

from typing import Any

import pytest

from portal.errors import CallbackRejected
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.base import ApiCall
from portal.sign_in.provider_types.evidence import Evidence, _entries, claims_in, gaps_in

USER = {"id": 7, "login": "octo"}
GITHUB = PROVIDER_TYPES["github"]


def claims_of(provider_type: str, claims: dict[str, Any], **more: Any) -> dict[str, object]:
    return claims_in(Evidence(claims=claims, **more), PROVIDER_TYPES[provider_type])


class TestClaims:
    @pytest.mark.parametrize("claims", [USER, {"user": USER}], ids=["bare", "by its name"])
    def test_a_bare_answer_is_the_one_that_says_who_it_is(self, claims: dict[str, Any]) -> None:
        assert claims_of("github", claims) == {"user": USER}

    def test_answers_stand_by_their_names_and_win(self) -> None:
        emails = [{"email": "octo@example.com", "primary": True, "verified": True}]

        assert claims_of("github", {"user": USER, "emails": []}, answers={"emails": emails}) == {
            "user": USER,
            "emails": emails,
        }

    def test_an_answer_with_an_unknown_name_is_not_a_claim(self) -> None:
        assert claims_of("oidc", {"sub": "ana"}, answers={"roles": ["admin"]}) == {"sub": "ana"}

    def test_nothing_stays_nothing(self) -> None:
        assert claims_of("github", {}) == {}

    def test_userinfo_adds_and_does_not_replace(self) -> None:
        token, userinfo = {"sub": "ana", "name": "Ana"}, {"sub": "ana", "name": "Other", "groups": ["a"]}

        assert claims_of("oidc", token, userinfo=userinfo) == {"sub": "ana", "name": "Ana", "groups": ["a"]}

    def test_userinfo_does_not_vouch_for_the_tokens_address(self) -> None:
        token = {"sub": "ana", "email": "ana@example.com"}
        userinfo = {"sub": "ana", "email": "other@example.com", "email_verified": True}

        assert claims_of("oidc", token, userinfo=userinfo)["email_verified"] is False

    @pytest.mark.parametrize("userinfo", [{"sub": "bob"}, {}])
    def test_userinfo_of_another_person_signs_no_one_in(self, userinfo: dict[str, Any]) -> None:
        with pytest.raises(CallbackRejected):
            claims_of("oidc", {"sub": "ana"}, userinfo=userinfo)

    @pytest.mark.parametrize(
        ("is_odata", "answer", "expected"),
        [
            (True, {"value": ["g"]}, ["g"]),
            (True, ["g"], ["g"]),
            (True, {"error": {}}, {"error": {}}),
            (False, {"value": ["g"]}, {"value": ["g"]}),
        ],
    )
    def test_the_list_of_an_odata_answer_is_taken_out(
        self, *, is_odata: bool, answer: object, expected: object
    ) -> None:
        call = ApiCall(name="groups", url=lambda _: "https://api.example.com", is_odata=is_odata)

        assert _entries(call, answer) == expected


class TestGaps:
    def gaps(self, provider_type: str, claims: dict[str, Any], **more: Any) -> list[str]:
        evidence = Evidence(claims=claims, **more)
        return list(
            gaps_in(claims_in(evidence, PROVIDER_TYPES[provider_type]), evidence, PROVIDER_TYPES[provider_type])
        )

    def test_missing_answers_are_reported(self) -> None:
        [gap] = self.gaps("github", USER)

        assert gap.startswith("missing: emails, memberships, teams,")

    def test_all_there_is_no_gap(self) -> None:
        assert self.gaps("github", {"user": USER, "emails": [], "memberships": [], "teams": []}) == []
        assert self.gaps("oidc", {"sub": "ana"}) == []

    @pytest.mark.parametrize(
        ("provider_type", "message"), [("github", "asks it for user, emails"), ("oidc", "asks it for nothing")]
    )
    def test_an_unexpected_answer_is_reported(self, provider_type: str, message: str) -> None:
        assert message in self.gaps(provider_type, {"user": USER, "sub": "ana"}, answers={"mails": []})[0]
