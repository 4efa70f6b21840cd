"""What holds for every provider with ID tokens, whatever its make."""

import pytest

from portal.claims.reading import MAX_CLAIMS
from portal.errors import CallbackRejected
from portal.presets import PRESETS
from tests.portal.presets.reading import beside
from tests.portal.presets.reading import read_somebody as read

OPENID = sorted(preset.id for preset in PRESETS.values() if preset.flow == "openid")


@pytest.mark.parametrize("kind", OPENID)
class TestEveryReading:
    def test_it_says_who_and_where_from(self, kind: str) -> None:
        identity = read(kind, iss="https://id.example.com", sub="ana", name="Ana", picture="https://x.test/a.png")

        assert identity.provider == "company"
        assert identity.issuer == "https://id.example.com"
        known_by = beside(kind, "ana").get("oid", "ana")
        assert (identity.subject, identity.name, identity.picture) == (known_by, "Ana", "https://x.test/a.png")

    @pytest.mark.parametrize("sub", [None, "", " ", 7, True, ["s"], {"s": 1}, "s" * 256, "a\nb"])
    def test_without_a_subject_there_is_nobody(self, kind: str, sub: object) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, sub=sub)

    def test_an_address_is_no_key(self, kind: str) -> None:
        one, other = (read(kind, sub=sub, email="x@example.com", email_verified=True) for sub in ("1", "2"))

        assert one.id != other.id

    def test_the_nonce_is_not_kept_but_the_rest_is(self, kind: str) -> None:
        identity = read(kind, nonce="N", at_hash="h", department="Sales")

        assert identity.claims == {"sub": "s", "department": "Sales", **beside(kind, "s")}

    def test_claims_cannot_be_changed_afterwards(self, kind: str) -> None:
        with pytest.raises(TypeError):
            read(kind).claims["roles"] = ["admin"]  # type: ignore[index] # that is the attempt

    @pytest.mark.parametrize(
        "value", [{"x"}, b"bytes", float("nan"), float("inf"), "x" * MAX_CLAIMS, [["x" * 1024]] * 70]
    )
    def test_what_is_no_json_or_too_large_to_keep_is_refused(self, kind: str, value: object) -> None:
        with pytest.raises(CallbackRejected):
            read(kind, custom=value)

    def test_claims_nested_without_end_are_refused(self, kind: str) -> None:
        nested: list[object] = []
        nested.append(nested)

        with pytest.raises(CallbackRejected):
            read(kind, custom=nested)
