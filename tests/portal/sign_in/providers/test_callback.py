import pytest

from portal.errors import CallbackRejected, PortalError, ProviderMisconfigured, ProviderRefused, ProviderUnavailable
from portal.sign_in.providers.callback import MAX_CODE, read_code

ISSUER = "https://id.example.com"


@pytest.mark.parametrize("named", [{"iss": ISSUER}, {}])
def test_a_code_comes_out(named: dict[str, str]) -> None:
    assert read_code({"code": "abc", "state": "s", **named}, issuer=ISSUER, names_itself=False) == "abc"


@pytest.mark.parametrize("code", ["4/0AbC-d_e.f~g", "a+b/c=", "0.AXQA~%20|{}", "\u7d20", " ", "x" * 10_000])
def test_a_code_is_whatever_the_provider_likes(code: str) -> None:
    assert read_code({"code": code}, issuer=ISSUER, names_itself=False) == code


def test_the_log_hears_what_the_provider_says_besides() -> None:
    said = {"error": "access_denied", "error_description": "AADSTS50105: not assigned to a role\r\nfor the application"}

    with pytest.raises(ProviderRefused, match="AADSTS50105: not assigned to a role") as caught:
        read_code(said, issuer=ISSUER, names_itself=False)
    assert str(caught.value).isprintable()


def test_a_provider_that_names_itself_must_do_so() -> None:
    assert read_code({"code": "abc", "iss": ISSUER}, issuer=ISSUER, names_itself=True) == "abc"
    with pytest.raises(CallbackRejected):
        read_code({"code": "abc"}, issuer=ISSUER, names_itself=True)


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        ({"code": "abc", "iss": "https://evil.test"}, CallbackRejected),
        ({"code": "abc", "iss": f"{ISSUER}/"}, CallbackRejected),
        ({"code": "abc", "iss": ""}, CallbackRejected),
        ({"error": "access_denied", "iss": "https://evil.test"}, CallbackRejected),
        ({"error": "access_denied"}, ProviderRefused),
        ({"error": "access_denied", "code": "abc"}, ProviderRefused),
        ({"error": ""}, ProviderRefused),
        ({"error": "login_required"}, ProviderRefused),
        ({"error": "invalid_scope"}, ProviderMisconfigured),
        ({"error": "\n\x1b[31m" * 1000}, ProviderRefused),
        ({"error": "server_error"}, ProviderUnavailable),
        ({"error": "temporarily_unavailable"}, ProviderUnavailable),
        ({}, CallbackRejected),
        ({"code": ""}, CallbackRejected),
        ({"code": "x" * (MAX_CODE + 1)}, CallbackRejected),
    ],
)
def test_anything_else_has_its_error(callback: dict[str, str], error: type[PortalError]) -> None:
    with pytest.raises(error) as caught:
        read_code(callback, issuer=ISSUER, names_itself=False)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
