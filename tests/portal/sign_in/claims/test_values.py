import pytest

from portal.errors import CallbackRejected
from portal.sign_in.claims import values

STRANGE: list[object] = [None, True, False, 0, 1, 1.5, [], ["x"], {}, {"x": "y"}, b"x"]


class TestSubject:
    @pytest.mark.parametrize("sub", ["a", "U31example", "f:1f3c:kim", "00uid|x", "a" * 1024, "Zoë", "with space"])
    def test_it_is_taken_as_it_is_written(self, sub: str) -> None:
        assert values.subject({"sub": sub}) == sub

    @pytest.mark.parametrize(
        "sub", [*STRANGE, "", " ", "\t", "a" * 1025, "a\x00b", "a\nb", "a\x7fb", "\ud800", "a\u202eb", "a\ufeffb"]
    )
    def test_without_a_usable_one_no_one_is_signed_in(self, sub: object) -> None:
        with pytest.raises(CallbackRejected):
            values.subject({"sub": sub})

    def test_it_must_be_there(self) -> None:
        with pytest.raises(CallbackRejected):
            values.subject({"email": "ana@example.com"})


class TestIssuer:
    def test_it_is_the_claim_else_the_configured_one(self) -> None:
        assert values.issuer({"iss": "https://a.test/"}, configured="https://b.test") == "https://a.test/"
        assert values.issuer({}, configured="https://b.test") == "https://b.test"

    @pytest.mark.parametrize("iss", [*STRANGE, "", "https://a.test\n"])
    def test_a_strange_one_is_refused(self, iss: object) -> None:
        with pytest.raises(CallbackRejected):
            values.issuer({"iss": iss}, configured="https://b.test")


class TestNames:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (["a", "b", "a"], {"a", "b"}),
            ("Tenant Admin", {"Tenant Admin"}),
            ("admin,user", {"admin,user"}),
            (["/research/ml"], {"/research/ml"}),
            (["Zoë", "数据"], {"Zoë", "数据"}),
            ([], set()),
            ("", set()),
            (["", " ", "a\n", "a\x00", "\ud800"], set()),
            (["b\u200f", "\u202ac\u202c"], {"b\u200f", "\u202ac\u202c"}),
            (["E\u0301quipe"], {"\u00c9quipe"}),
            ([1, True, None, ["a"], {"a": "b"}, 1.5], set()),
            ({"admin": True}, set()),
            ({"admin": {}}, set()),
            (None, set()),
            (True, set()),
            (7, set()),
            (["a" * 1024, "b" * 1025], {"a" * 1024}),
            ([" padded "], {" padded "}),
        ],
    )
    def test_lists_and_single_names_are_read_and_nothing_else(self, value: object, expected: set[str]) -> None:
        assert values.names(value) == expected

    def test_however_many_there_are_all_are_read(self) -> None:
        assert len(values.names([f"g{index}" for index in range(50_000)])) == 50_000

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (["a", "b"], 0),
            ("a", 0),
            ([], 0),
            (None, 0),
            (["", None, " "], 0),
            ([{"id": 1}, 7, True, ["a"]], 4),
            ({"admin": {}}, 1),
            (["a\x00", "b" * 1025], 2),
        ],
    )
    def test_what_is_not_read_is_counted(self, value: object, expected: int) -> None:
        assert values.unread(value) == expected


class TestShownName:
    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            ({"name": "Ana Analyst", "nickname": "ana"}, "Ana Analyst"),
            ({"name": "  Ana \n Analyst "}, "Ana Analyst"),
            ({"given_name": "Ana", "family_name": "Analyst", "nickname": "x"}, "Ana Analyst"),
            ({"given_name": "Ana"}, "Ana"),
            ({"family_name": "Analyst", "given_name": 7}, "Analyst"),
            ({"name": "", "preferred_username": "ana"}, "ana"),
            ({"name": ["Ana"], "nickname": "annie"}, "annie"),
            ({"name": "\u202e\u2066"}, None),
            ({"name": "Ana\u202eexe.cod"}, "Ana exe.cod"),
            ({"name": "a\x00b"}, "a b"),
            ({"name": "\ud800"}, None),
            ({"name": "x" * 200}, "x" * 200),
            ({"name": "x" * 201}, "x" * 199 + "…"),
            ({"name": "x" * 100_000}, "x" * 199 + "…"),
            ({"name": "👩‍🔬 Zoë"}, "👩‍🔬 Zoë"),
            ({}, None),
        ],
    )
    def test_it_falls_back_and_is_cleaned(self, claims: dict[str, object], expected: str | None) -> None:
        assert values.shown_name(claims) == expected


class TestEmail:
    @pytest.mark.parametrize("address", ["ana@example.com", "a+b@x.test", "Ana@Example.COM", "ü@example.com"])
    def test_an_address_is_taken_as_it_is_written(self, address: str) -> None:
        assert values.email({"email": address}) == address

    @pytest.mark.parametrize(
        "address",
        [
            *STRANGE,
            "",
            "ana",
            "@",
            "@example.com",
            "ana@",
            "ana@evil.test@example.com",
            "ana @example.com",
            "ana@example.com\n",
            "ana@example.com\x00",
            "ana@exam\u202eple.com",
            "a" * 314 + "@x.test",
        ],
    )
    def test_what_is_not_an_address_is_ignored(self, address: object) -> None:
        claims = {"email": address, "email_verified": True}

        assert values.email(claims) is None
        assert values.email_verified(claims) is False

    @pytest.mark.parametrize("said", ["true", "True", 1, "1", [True], {"x": True}, None, False, "yes", 1.0])
    def test_only_true_vouches(self, said: object) -> None:
        assert values.email_verified({"email": "ana@example.com", "email_verified": said}) is False

    def test_true_vouches_and_absence_does_not(self) -> None:
        assert values.email_verified({"email": "ana@example.com", "email_verified": True}) is True
        assert values.email_verified({"email": "ana@example.com"}) is False

    @pytest.mark.parametrize(
        ("claims", "vouched"),
        [
            ({}, True),
            ({"email_verified": None}, True),
            ({"email_verified": True}, True),
            ({"email_verified": "true"}, True),
            ({"email_verified": False}, False),
            ({"email_verified": "false"}, False),
            ({"email_verified": ""}, False),
            ({"email_verified": 0}, False),
            ({"email_verified": 1}, False),
            ({"email_verified": "yes"}, False),
            ({"email_verified": []}, False),
            ({"email_verified": {"value": True}}, False),
        ],
    )
    def test_an_assumption_fills_silence_and_overrides_nothing(
        self, claims: dict[str, object], *, vouched: bool
    ) -> None:
        assert values.email_verified({"email": "ana@example.com", **claims}, assumed=True) is vouched

    @pytest.mark.parametrize("address", [None, "ana", "\u212aim@example.com", "ana@example.com\n", ["a@b.test"]])
    def test_an_assumption_does_not_make_an_address_valid(self, address: object) -> None:
        assert values.email_verified({"email": address}, assumed=True) is False

    @pytest.mark.parametrize("address", ["\u212aim@example.com", "ana@stra\u00dfe.test", "ana@ex\u0430mple.com"])
    def test_an_address_that_folds_into_anothers_is_not_vouched_for(self, address: str) -> None:
        """The Kelvin sign case-folds to "k": an address with it would open what kim@example.com may."""
        assert values.email_verified({"email": address, "email_verified": True}) is False


class TestPicture:
    def test_a_short_https_url_is_taken(self) -> None:
        url = "https://img.example.com/a/b.png?s=64&d=x"

        assert values.picture({"picture": url}) == url

    @pytest.mark.parametrize(
        "url",
        [
            *STRANGE,
            "",
            "http://img.example.com/a.png",
            "HTTPS",
            "//img.example.com/a.png",
            "data:image/png;base64,AAAA",
            "javascript:alert(1)",
            "https://",
            "https:///a.png",
            "https://a@img.example.com/a.png",
            "https://img.example.com/a b.png",
            "https://img.example.com/'><script>",
            "https://img.example.com\\@evil.test/",
            "https://img.example.com/\n",
            "https://[bad/",
            "https://img.example.com:x/",
            "https://img.example.com:0/",
            "https://img.example.com/ü.png",
            "https://img.example.com/" + "a" * 1024,
        ],
    )
    def test_anything_else_is_none(self, url: object) -> None:
        assert values.picture({"picture": url}) is None
