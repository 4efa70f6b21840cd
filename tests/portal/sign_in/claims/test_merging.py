from typing import Any

import pytest

from portal.sign_in.claims.merging import merge_userinfo

ANA, BEA = "ana@example.com", "bea@example.com"


@pytest.mark.parametrize(
    ("userinfo", "claims", "expected"),
    [
        ({"email": ANA, "email_verified": True}, {}, {"email": ANA, "email_verified": True}),
        ({}, {"email": ANA, "email_verified": True}, {"email": ANA, "email_verified": True}),
        ({"email": ANA}, {"email": ANA}, {"email": ANA}),
        ({"email": BEA}, {"email": ANA}, {"email": ANA}),
        ({"email_verified": True}, {}, {"email_verified": True}),
        # The claim for one address does not verify another one.
        ({"email": BEA, "email_verified": True}, {"email": ANA}, {"email": ANA, "email_verified": False}),
        ({"email": BEA, "email_verified": False}, {"email": ANA}, {"email": ANA, "email_verified": False}),
        ({"email": BEA}, {"email_verified": True}, {"email": BEA, "email_verified": False}),
        ({"email_verified": True}, {"email": ANA}, {"email": ANA, "email_verified": False}),
    ],
)
def test_email_verified_counts_only_for_its_own_address(
    userinfo: dict[str, Any], claims: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merge_userinfo(userinfo, claims) == expected
