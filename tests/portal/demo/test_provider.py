"""The demo provider follows the protocol, and refuses what a strict provider refuses."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask

from portal.demo.app import BANNER, create_provider
from portal.demo.memory import CODE_LIFETIME, TOKEN_LIFETIME
from portal.demo.people import PEOPLE
from tests.portal.demo.conftest import START, Hands
from tests.portal.demo.flow import (
    CALLBACK,
    ISSUER,
    SCOPES,
    VERIFIER,
    an_authorization,
    answer_in,
    challenge_of,
    choose,
    exchange,
    part_of_token,
)


def number(member: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(member + "=" * (-len(member) % 4)))


def code_for(provider: Flask, person: str = "demo-ada", **changes: str | None) -> str:
    return answer_in(choose(provider, person, **changes))["code"]


def token_for(provider: Flask, person: str = "demo-ada", **changes: str | None) -> dict[str, Any]:
    answer = exchange(provider, code_for(provider, person, **changes))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


class TestTheWholeFlow:
    def test_a_chosen_person_comes_back_with_code_state_and_issuer(self, provider: Flask) -> None:
        response = choose(provider)

        assert response.status_code in {302, 303}
        assert response.headers["Location"].startswith(CALLBACK + "?")
        answer = answer_in(response)
        assert answer["state"] == "a-state"
        assert answer["iss"] == ISSUER
        assert len(answer["code"]) >= 32

    def test_the_code_becomes_an_id_token_signed_by_the_published_key(self, provider: Flask) -> None:
        token = token_for(provider)["id_token"]
        header, claims = part_of_token(token, 0), part_of_token(token, 1)
        (key,) = provider.test_client().get("/jwks.json", base_url=ISSUER).get_json()["keys"]

        assert header["alg"] == "RS256"
        assert header["kid"] == key["kid"]
        assert "d" not in key
        signed, _, signature = token.rpartition(".")
        public = RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
        public.verify(
            base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)),
            signed.encode(),
            padding.PKCS1v15(),
            SHA256(),
        )
        assert claims["iss"] == ISSUER
        assert claims["aud"] == "demo-portal"
        assert claims["nonce"] == "a-nonce"
        assert claims["iat"] == START
        assert claims["exp"] == START + TOKEN_LIFETIME
        assert claims["sub"] == "demo-ada"

    def test_claims_have_the_shape_of_descope(self, provider: Flask) -> None:
        claims = part_of_token(token_for(provider, "demo-tess")["id_token"], 1)

        assert claims["name"] == "Tess Two-Tenants"
        assert claims["email_verified"] is True
        assert claims["tenants"] == {
            "acme": {"name": "Acme", "roles": ["Member"], "permissions": []},
            "beta": {"name": "Beta", "roles": ["Tenant Admin"], "permissions": []},
        }

    def test_userinfo_says_the_same_as_the_id_token(self, provider: Flask) -> None:
        token = token_for(provider, "demo-ana")
        answer = provider.test_client().get(
            "/userinfo", headers={"Authorization": f"Bearer {token['access_token']}"}, base_url=ISSUER
        )

        claims = part_of_token(token["id_token"], 1)
        assert answer.get_json() == {name: claims[name] for name in answer.get_json()}
        assert answer.get_json()["email"] == "ana@acme.example"

    def test_scopes_limit_the_claims(self, provider: Flask) -> None:
        claims = part_of_token(token_for(provider, scope="openid")["id_token"], 1)

        assert "sub" in claims
        assert {"name", "email", "tenants"}.isdisjoint(claims)

    def test_without_openid_there_is_no_id_token(self, provider: Flask) -> None:
        assert "id_token" not in token_for(provider, scope="profile")

    def test_the_secret_may_stand_in_the_form(self, provider: Flask) -> None:
        answer = provider.test_client().post(
            "/token",
            data={
                "grant_type": "authorization_code",
                "code": code_for(provider),
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
                "client_id": "demo-portal",
                "client_secret": "the-client-secret",
            },
            base_url=ISSUER,
        )

        assert answer.status_code == 200

    def test_declining_comes_back_as_access_denied(self, provider: Flask) -> None:
        answer = answer_in(choose(provider, ""))

        assert answer["error"] == "access_denied"
        assert answer["state"] == "a-state"
        assert answer["iss"] == ISSUER
        assert "code" not in answer


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("no challenge", {"code_challenge": None, "code_challenge_method": None}),
        ("a method without a challenge", {"code_challenge": None}),
        ("a challenge without a method, which would be plain", {"code_challenge_method": None}),
        ("plain", {"code_challenge": VERIFIER, "code_challenge_method": "plain"}),
        ("a challenge that is too short", {"code_challenge": "short"}),
        ("an unknown scope", {"scope": "openid admin"}),
        ("no person shown, none signed in", {"prompt": "none"}),
    ],
)
def test_a_bad_request_of_a_known_client_goes_back_as_an_error(
    provider: Flask, what: str, changes: dict[str, str | None]
) -> None:
    for response in (
        provider.test_client().get("/authorize", query_string=an_authorization(**changes), base_url=ISSUER),
        choose(provider, "demo-ada", **changes),
    ):
        answer = answer_in(response)
        assert "error" in answer, what
        assert "code" not in answer, what
        assert answer["iss"] == ISSUER, what


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "",
        "https://evil.example/callback",
        "https://portal.example.com/auth/oauth/demo/callback",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://evil.example/?localhost",
        "http://127.0.0.1@evil.example/",
        "http://evil.example#@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://169.254.169.254/",
        "http://0.0.0.0/",
        "http://[::ffff:8.8.8.8]/",
        "http://[::1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/#fragment",
        "http://127.0.0.1/a b",
        "http://evil.example\\@127.0.0.1/",
        "http://127.0.0.1/\u00e9",
        "//127.0.0.1/",
        "javascript:alert(1)//127.0.0.1",
        "data:text/html,127.0.0.1",
        "ftp://127.0.0.1/",
        "127.0.0.1",
    ],
)
def test_a_redirect_to_another_computer_is_refused_by_a_page(provider: Flask, redirect_uri: str | None) -> None:
    for response in (
        provider.test_client().get(
            "/authorize", query_string=an_authorization(redirect_uri=redirect_uri), base_url=ISSUER
        ),
        choose(provider, "demo-ada", redirect_uri=redirect_uri),
    ):
        assert response.status_code == 400
        assert "Location" not in response.headers


@pytest.mark.parametrize("redirect_uri", ["http://127.0.0.1:9/cb", "http://[::1]:9/cb", "https://a.b.localhost/cb"])
def test_a_redirect_to_this_computer_is_served(provider: Flask, redirect_uri: str) -> None:
    assert choose(provider, redirect_uri=redirect_uri).headers["Location"].startswith(redirect_uri)


@pytest.mark.parametrize("client_id", [None, "", "somebody-else"])
def test_an_unknown_client_is_refused_by_a_page(provider: Flask, client_id: str | None) -> None:
    response = choose(provider, client_id=client_id)

    assert response.status_code in {400, 401}
    assert "Location" not in response.headers


@pytest.mark.parametrize("response_type", ["token", "id_token", "code id_token", "none"])
def test_only_the_code_flow_is_spoken(provider: Flask, response_type: str) -> None:
    assert answer_in(choose(provider, response_type=response_type))["error"] == "unsupported_response_type"


class TestExchange:
    @pytest.mark.parametrize(
        "changes",
        [
            {"code_verifier": "w" * 64},
            {"code_verifier": None},
            {"code_verifier": "short"},
            {"code_verifier": challenge_of(VERIFIER)},
            {"redirect_uri": "http://127.0.0.1:1/other"},
            {"redirect_uri": None},
            {"grant_type": "password"},
            {"grant_type": "client_credentials"},
            {"code": "made-up"},
            {"code": None},
        ],
        ids=repr,
    )
    def test_anything_but_the_exact_exchange_is_refused(self, provider: Flask, changes: dict[str, Any]) -> None:
        answer = exchange(provider, code_for(provider), **changes)

        assert answer.status_code in {400, 401}
        assert "access_token" not in answer.get_json()

    def test_a_wrong_secret_is_refused(self, provider: Flask) -> None:
        assert exchange(provider, code_for(provider), secret="guess").status_code == 401

    def test_a_reused_code_is_refused_and_revokes_its_token(self, provider: Flask) -> None:
        code = code_for(provider)
        token = exchange(provider, code).get_json()["access_token"]
        again = exchange(provider, code)
        userinfo = provider.test_client().get(
            "/userinfo", headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER
        )

        assert again.status_code == 400
        assert again.get_json()["error"] == "invalid_grant"
        assert userinfo.status_code == 401

    def test_a_code_is_spent_by_a_wrong_verifier(self, provider: Flask) -> None:
        code = code_for(provider)
        exchange(provider, code, code_verifier="w" * 64)

        assert exchange(provider, code).status_code == 400

    def test_codes_and_tokens_age(self, provider: Flask, clock: Hands) -> None:
        fresh, old, token = code_for(provider), code_for(provider), token_for(provider)["access_token"]
        try:
            clock.now = START + CODE_LIFETIME - 1
            assert exchange(provider, fresh).status_code == 200
            clock.now = START + CODE_LIFETIME
            assert exchange(provider, old).status_code == 400
            clock.now = START + TOKEN_LIFETIME
            userinfo = provider.test_client().get(
                "/userinfo", headers={"Authorization": f"Bearer {token}"}, base_url=ISSUER
            )
            assert userinfo.status_code == 401
        finally:
            clock.now = START

    @pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer guess", "Basic guess"])
    def test_userinfo_needs_a_token(self, provider: Flask, authorization: str) -> None:
        answer = provider.test_client().get("/userinfo", headers={"Authorization": authorization}, base_url=ISSUER)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


class TestEndSession:
    AFTER = "http://portal.demo.localhost:7800/signed-out"

    def test_it_comes_back_with_the_state(self, provider: Flask) -> None:
        answer = provider.test_client().get(
            "/end-session",
            query_string={
                "id_token_hint": token_for(provider)["id_token"],
                "client_id": "demo-portal",
                "post_logout_redirect_uri": self.AFTER,
                "state": "s",
            },
            base_url=ISSUER,
        )

        assert answer.headers["Location"] == f"{self.AFTER}?state=s"

    def test_the_client_id_alone_will_do(self, provider: Flask) -> None:
        query = {"client_id": "demo-portal", "post_logout_redirect_uri": self.AFTER}
        answer = provider.test_client().get("/end-session", query_string=query, base_url=ISSUER)

        assert answer.headers["Location"] == self.AFTER

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"post_logout_redirect_uri": AFTER},
            {"client_id": "demo-portal", "post_logout_redirect_uri": "https://evil.example/"},
        ],
        ids=repr,
    )
    def test_otherwise_it_stays_here(self, provider: Flask, query: dict[str, str]) -> None:
        answer = provider.test_client().get("/end-session", query_string=query, base_url=ISSUER)

        assert answer.status_code == 200
        assert "You are signed out" in answer.text

    @pytest.mark.parametrize("hint", ["rubbish", "a.b.c"])
    def test_a_forged_hint_is_refused_by_a_page(self, provider: Flask, hint: str) -> None:
        query = {"id_token_hint": hint, "client_id": "demo-portal", "post_logout_redirect_uri": self.AFTER}
        answer = provider.test_client().get("/end-session", query_string=query, base_url=ISSUER)

        assert answer.status_code == 400
        assert "Location" not in answer.headers


class TestPages:
    @pytest.mark.parametrize("path", ["/", "/end-session", "/authorize"])
    def test_each_page_has_the_banner(self, provider: Flask, path: str) -> None:
        answer = provider.test_client().get(path, base_url=ISSUER)

        assert BANNER in answer.text
        assert answer.headers["X-Demo-Provider"] == "anyone can sign in as anyone"

    def test_the_choice_shows_all_people_and_asks_for_no_password(self, provider: Flask) -> None:
        page = provider.test_client().get("/authorize", query_string=an_authorization(), base_url=ISSUER)

        assert BANNER in page.text
        for person in PEOPLE:
            assert person.name in page.text
            assert f'value="{person.subject}"' in page.text
        assert "<input" not in page.text
        policy = page.headers["Content-Security-Policy"]
        assert "form-action 'self' http://portal.demo.localhost:7800;" in policy
        assert "frame-ancestors 'none'" in policy

    def test_a_hint_puts_that_person_first(self, provider: Flask) -> None:
        page = provider.test_client().get(
            "/authorize", query_string=an_authorization(login_hint="Uwe@acme.example"), base_url=ISSUER
        )

        assert page.text.index("Uwe User") < page.text.index("Ada Admin")

    def test_nothing_in_the_request_is_echoed_as_markup(self, provider: Flask) -> None:
        page = provider.test_client().get(
            "/authorize", query_string=an_authorization(state='"><script>x</script>'), base_url=ISSUER
        )

        assert "<script" not in page.text

    def test_pages_carry_no_inline_script_or_style(self, provider: Flask) -> None:
        for path in ("/", "/end-session", f"/authorize?scope={SCOPES}"):
            text = provider.test_client().get(path, base_url=ISSUER).text
            assert "<script" not in text
            assert "style=" not in text
            assert "<style" not in text

    def test_the_stylesheet_and_health_are_there(self, provider: Flask) -> None:
        with provider.test_client().get("/static/provider.css", base_url=ISSUER) as stylesheet:
            assert stylesheet.mimetype == "text/css"
        assert provider.test_client().get("/healthz", base_url=ISSUER).get_json() == {"status": "ok"}


class TestWalls:
    @pytest.mark.parametrize(
        "host", ["demo.example.com", "10.0.0.5:7801", "0.0.0.0:1", "localhost.evil.example", "127.1"]
    )
    def test_other_names_are_refused(self, provider: Flask, host: str) -> None:
        answer = provider.test_client().get("/.well-known/openid-configuration", headers={"Host": host})

        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "name", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"]
    )
    def test_a_proxy_is_refused(self, provider: Flask, name: str) -> None:
        answer = provider.test_client().get("/jwks.json", headers={name: "127.0.0.1"}, base_url=ISSUER)

        assert answer.status_code == 403

    @pytest.mark.parametrize("issuer", ["https://id.example.com", "http://10.0.0.5:7801", "http://0.0.0.0:7801"])
    def test_an_issuer_on_another_computer_is_refused(self, issuer: str) -> None:
        with pytest.raises(ValueError, match="loopback"):
            create_provider(issuer=issuer, client_id="demo-portal", client_secret="s")

    def test_discovery_names_the_endpoints(self, provider: Flask) -> None:
        metadata = provider.test_client().get("/.well-known/openid-configuration", base_url=ISSUER).get_json()

        assert metadata["issuer"] == ISSUER
        assert metadata["code_challenge_methods_supported"] == ["S256"]
        assert metadata["authorization_response_iss_parameter_supported"] is True
        for name in ("authorization", "token", "userinfo", "end_session"):
            assert metadata[f"{name}_endpoint"].startswith(f"{ISSUER}/")
