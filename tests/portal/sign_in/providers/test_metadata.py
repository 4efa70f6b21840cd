from typing import Any

import pytest

from portal.errors import ProviderUnavailable
from portal.settings import Endpoints
from portal.sign_in.providers.metadata import (
    IssuerMismatch,
    discovery_url,
    is_safe_endpoint,
    metadata_of,
    read_metadata,
)

ISSUER = "https://id.example.com"
LOOPBACK = "http://127.0.0.1:7801"


def a_document(**changes: Any) -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
        **changes,
    }


SAFE = [
    "https://id.example.com/token",
    "https://id.example.com:8443/token?policy=b2c",
    "https://[2001:db8::1]/token",
    "https://127.0.0.1/token",
]
SAFE_ON_THIS_MACHINE = [
    "http://127.0.0.1:7801/token",
    "http://127.9.9.9/token",
    "http://[::1]:7801/token",
    "http://localhost:7801/token",
    "http://id.demo.localhost:7801/token",
]
UNSAFE: list[object] = [
    None,
    1,
    "",
    [],
    "id.example.com/token",
    "//id.example.com/token",
    "/token",
    "https:///token",
    "https:id.example.com",
    "https://",
    "http://id.example.com/token",
    "http://10.0.0.1/token",
    "http://169.254.169.254/latest/meta-data/",
    "http://0.0.0.0/token",
    "http://localhost.evil.test/token",
    "http://127.0.0.1.evil.test/token",
    "http://evil-localhost/token",
    "http://localhost:80@evil.test/token",
    "https://user:secret@id.example.com/token",
    "https://id.example.com:port/token",
    "https://id.example.com:99999/token",
    "https://[::1/token",
    "https://id.example.com/token#fragment",
    "https://id.example.com\\@evil.test/token",
    "https://id.example.com/to ken",
    "https://id.example.com/to\nken",
    "https://ïd.example.com/token",
    "https://id.example.com/" + "a" * 2048,
    "ftp://id.example.com/token",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/plain,x",
]


class TestIsSafeEndpoint:
    @pytest.mark.parametrize("url", SAFE)
    def test_https_is_safe_for_every_issuer(self, url: str) -> None:
        assert is_safe_endpoint(url, issuer=ISSUER)
        assert is_safe_endpoint(url, issuer=LOOPBACK)

    @pytest.mark.parametrize("url", SAFE_ON_THIS_MACHINE)
    def test_plain_http_stays_on_this_machine(self, url: str) -> None:
        """
        And serves an issuer on this machine only: else a foreign issuer could make the portal call its neighbours.
        """
        assert is_safe_endpoint(url, issuer=LOOPBACK)
        assert not is_safe_endpoint(url, issuer=ISSUER)

    @pytest.mark.parametrize("url", SAFE_ON_THIS_MACHINE)
    def test_an_issuer_may_be_a_template(self, url: str) -> None:
        assert is_safe_endpoint(url, issuer=f"{LOOPBACK}/{{tenantid}}/v2.0")
        assert not is_safe_endpoint(url, issuer=f"{ISSUER}/{{tenantid}}/v2.0")

    @pytest.mark.parametrize("url", UNSAFE)
    def test_everything_else_is_refused(self, url: object) -> None:
        assert not is_safe_endpoint(url, issuer=ISSUER)
        assert not is_safe_endpoint(url, issuer=LOOPBACK)


class TestReadMetadata:
    def test_what_is_needed_is_taken(self) -> None:
        document = a_document(
            userinfo_endpoint=f"{ISSUER}/userinfo",
            end_session_endpoint=f"{ISSUER}/end",
            token_endpoint_auth_methods_supported=["client_secret_post", 1],
            authorization_response_iss_parameter_supported=True,
            more=1,
        )
        metadata = read_metadata(document, issuer=ISSUER)

        assert metadata.endpoints.userinfo == f"{ISSUER}/userinfo"
        assert metadata.endpoints.end_session == f"{ISSUER}/end"
        assert metadata.token_auth_methods == {"client_secret_post"}
        assert metadata.names_itself

    def test_what_may_be_missing_may_be_missing(self) -> None:
        metadata = read_metadata(a_document(userinfo_endpoint=None), issuer=ISSUER)

        assert metadata.endpoints.userinfo is None
        assert metadata.endpoints.end_session is None
        assert metadata.token_auth_methods == {"client_secret_basic"}
        assert not metadata.names_itself

    @pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), "https://id.example.com:443", "", None, [ISSUER]])
    def test_it_must_be_the_issuers_to_the_letter(self, issuer: object) -> None:
        with pytest.raises(ProviderUnavailable):
            read_metadata(a_document(issuer=issuer), issuer=ISSUER)

    @pytest.mark.parametrize(
        ("issuer", "named"),
        [
            (f"{ISSUER}/", f"{ISSUER}/"),
            ("https://sso.example.org/realms/a", "https://sso.example.org/realms/a"),
            ("http://sso.internal/realms/a", None),
            ("https://x@evil.test", None),
            ("https://id.example.com\nWrite this", None),
            ("https://" + "x" * 4096, None),
            (7, None),
            (None, None),
        ],
        ids=["slash", "other", "http", "at", "lines", "long", "number", "none"],
    )
    def test_the_issuer_in_the_metadata_is_reported_if_it_could_be_one(self, issuer: object, named: str | None) -> None:
        with pytest.raises(IssuerMismatch) as caught:
            read_metadata(a_document(issuer=issuer), issuer=ISSUER)

        assert caught.value.named == named

    @pytest.mark.parametrize("promise", ["true", 1, None, []])
    def test_only_true_is_a_promise_to_name_itself(self, promise: object) -> None:
        document = a_document(authorization_response_iss_parameter_supported=promise)

        assert not read_metadata(document, issuer=ISSUER).names_itself


class TestMetadataOf:
    def test_configured_endpoints_serve_without_discovery(self) -> None:
        endpoints = Endpoints(authorize=f"{ISSUER}/a", token=f"{ISSUER}/t", jwks=f"{ISSUER}/j")

        assert metadata_of(endpoints, issuer=ISSUER, needs="jwks_uri").endpoints == endpoints

    def test_what_the_proof_needs_must_be_there(self) -> None:
        endpoints = Endpoints(authorize=f"{ISSUER}/a", token=f"{ISSUER}/t")

        assert metadata_of(endpoints, issuer=ISSUER, needs=None).endpoints == endpoints
        for needs in ("jwks_uri", "userinfo_endpoint"):
            with pytest.raises(ProviderUnavailable, match=f"{needs} is 'None'"):
                metadata_of(endpoints, issuer=ISSUER, needs=needs)


@pytest.mark.parametrize("issuer", ["https://id.example.com/tenant", "https://id.example.com/tenant/"])
def test_metadata_lies_below_the_issuer(issuer: str) -> None:
    assert discovery_url(issuer) == "https://id.example.com/tenant/.well-known/openid-configuration"
