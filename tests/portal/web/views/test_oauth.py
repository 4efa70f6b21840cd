"""What apps ask with their client secret."""

from base64 import b64encode

import pytest

from portal.contract import read_introspection, verify_ticket
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from portal.web.views.oauth import ACCESS_TOKEN, TOKEN_EXCHANGE
from tests.builders import ISSUER, NOW, PORTAL
from tests.portal.web.views.environment import NAVIGATION, TESS, House


def redeemed(house: House, slug: str = "admin-dashboard") -> str:
    """Return the sid of a session of Tess in *slug*."""
    form = {"token": house.launched(house.signed_in(TESS), slug), "token_type_hint": HINT_TICKET}
    return str(house.ask(slug, "/oauth/introspect", form).get_json()["sid"])


def exchange(**changes: str) -> dict[str, str]:
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token_type": HINT_APP_SESSION,
        "subject_token": "sid",
        "scope": "audit:read",
    }
    return {**form, **changes}


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/token"])
@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="nothing"),
        pytest.param("Basic", id="no credentials"),
        pytest.param("Basic ****", id="no base64"),
        pytest.param("Basic " + b64encode(b"forecast").decode(), id="no colon"),
        pytest.param("Basic " + b64encode(b"forecast:").decode(), id="empty secret"),
        pytest.param("Basic " + b64encode(b"forecast:wrong").decode(), id="wrong secret"),
        pytest.param("Basic " + b64encode(b":").decode(), id="nobody"),
        pytest.param("Basic " + b64encode(b"nothing:secret").decode(), id="unknown app"),
        pytest.param("Basic " + b64encode("forecast:\udcff".encode("utf-8", "surrogatepass")).decode(), id="no text"),
        pytest.param("Bearer forecast", id="another scheme"),
    ],
)
def test_strangers_learn_nothing(house: House, path: str, header: str | None) -> None:
    house.services.credentials.secret_of("forecast")
    headers = {} if header is None else {"Authorization": header}
    answer = house.browser().post(path, data={"token": "x", "token_type_hint": HINT_TICKET}, headers=headers)
    assert answer.status_code == 401
    assert answer.get_json() == {"error": "invalid_client"}
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_secret_of_one_app_is_not_that_of_another(house: House) -> None:
    other = house.services.credentials.secret_of("forecast").reveal()
    assert house.ask("admin-dashboard", "/oauth/introspect", {"token": "x"}, secret=other).status_code == 401


def test_an_app_that_was_removed_is_a_stranger(house: House) -> None:
    secret = house.services.credentials.secret_of("removed").reveal()
    assert house.ask("removed", "/oauth/introspect", {"token": "x"}, secret=secret).status_code == 401


def test_credentials_in_the_form_do_not_count(house: House) -> None:
    secret = house.services.credentials.secret_of("forecast").reveal()
    form = {"client_id": "forecast", "client_secret": secret, "token": "x"}
    assert house.browser().post("/oauth/introspect", data=form).status_code == 401


def test_another_apps_ticket_and_session_are_worth_nothing(house: House) -> None:
    ticket = house.launched(house.signed_in(TESS), "admin-dashboard")
    answer = house.ask("beta-only", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})
    assert answer.get_json() == {"active": False, "code": "bad-ticket"}
    sid = redeemed(house)
    answer = house.ask("beta-only", "/oauth/introspect", {"token": sid, "token_type_hint": HINT_APP_SESSION})
    assert answer.get_json() == {"active": False, "code": "unknown-session"}


def test_a_session_lives_as_long_as_the_sign_in(house: House) -> None:
    sid = redeemed(house)
    form = {"token": sid, "token_type_hint": HINT_APP_SESSION}
    body = house.ask("admin-dashboard", "/oauth/introspect", form).get_json()
    assert read_introspection(body, issuer=PORTAL, audience="admin-dashboard")
    house.now += house.settings.idle_lifetime
    body = house.ask("admin-dashboard", "/oauth/introspect", form).get_json()
    assert body == {"active": False, "code": "sign-in-expired"}


@pytest.mark.parametrize("hint", ["", "access_token", HINT_TICKET + " ", HINT_TICKET.upper()])
def test_other_kinds_of_token_are_not_known(house: House, hint: str) -> None:
    answer = house.ask("forecast", "/oauth/introspect", {"token": "x", "token_type_hint": hint})
    assert answer.get_json() == {"active": False, "code": "unsupported-token-type"}


def test_a_request_without_token_or_with_two_is_refused(house: House) -> None:
    secret = house.services.credentials.secret_of("forecast").reveal()
    for body in ("", "token=a&token=b", "token=a&token_type_hint=x&token_type_hint=y"):
        answer = house.browser().post(
            "/oauth/introspect",
            data=body,
            auth=("forecast", secret),
            content_type="application/x-www-form-urlencoded",
        )
        assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})


def test_tokens_in_the_address_do_not_count(house: House) -> None:
    answer = house.ask("forecast", f"/oauth/introspect?token=x&token_type_hint={HINT_TICKET}", {})
    assert answer.status_code == 400


def test_a_ticket_that_was_redeemed_after_the_sign_out_opens_nothing(house: House) -> None:
    browser = house.signed_in(TESS)
    ticket = house.launched(browser, "admin-dashboard")
    sign_in = house.services.sign_ins.of_identity(TESS.id, now=house.now)[0]
    from portal.access.revocation import EndReason

    house.services.sign_ins.end(sign_in.id, reason=EndReason.SIGNED_OUT, now=house.now)
    form = {"token": ticket, "token_type_hint": HINT_TICKET}
    assert house.ask("admin-dashboard", "/oauth/introspect", form).get_json() == {"active": False, "code": "signed-out"}


def test_the_keys_are_public_and_verify_tickets(house: House) -> None:
    answer = house.browser().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = answer.get_json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "Ed25519", "sig")
    assert "d" not in key
    ticket = house.launched(house.signed_in())
    keys = house.services.keys.key_set(house.now)
    assert verify_ticket(ticket, keys=keys, issuer=PORTAL, audience="forecast", now=NOW).roles == {"analyst"}


# Token exchange


def test_a_live_session_becomes_a_token_with_the_rights_of_app_and_person(house: House) -> None:
    answer = house.ask(
        "admin-dashboard", "/oauth/token", exchange(subject_token=redeemed(house), scope="audit:read x:y")
    )
    body = answer.get_json()
    assert answer.status_code == 200
    assert body.pop("access_token")
    assert body == {
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 60,
        "scope": "audit:read",
    }
    (event,) = house.services.audit.recent(issuer=ISSUER, tenant="beta", limit=1)
    assert (event.event, event.app, event.email, event.detail) == (
        "api-used",
        "admin-dashboard",
        "tess@example.com",
        "audit:read",
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"subject_token_type": HINT_TICKET}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"subject_token": "forged"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "AUDIT:READ"}, "invalid_scope"),
    ],
)
def test_hostile_exchanges_are_refused(house: House, changes: dict[str, str], error: str) -> None:
    form = exchange(**{"subject_token": redeemed(house), **changes})
    answer = house.ask("admin-dashboard", "/oauth/token", form)
    assert (answer.status_code, answer.get_json()) == (400, {"error": error})


def test_another_apps_session_cannot_be_exchanged(house: House) -> None:
    answer = house.ask("beta-only", "/oauth/token", exchange(subject_token=redeemed(house)))
    assert answer.get_json() == {"error": "invalid_request"}


def test_an_app_without_rights_gets_none_whoever_is_in_it(house: House) -> None:
    answer = house.ask("beta-only", "/oauth/token", exchange(subject_token=redeemed(house, "beta-only")))
    assert answer.get_json() == {"error": "invalid_scope"}


def test_cookies_do_not_count_at_the_machine_endpoints(house: House) -> None:
    browser = house.signed_in(TESS)
    assert browser.post("/oauth/introspect", data={"token": "x"}).status_code == 401
    assert browser.get("/api/sign-ins", headers=NAVIGATION).status_code == 401
