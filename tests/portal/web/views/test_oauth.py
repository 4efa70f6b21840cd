"""The OAuth endpoints for apps."""

from base64 import b64encode

import pytest

from portal.contract import read_introspection, verify_ticket
from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from portal.web.views.oauth import ACCESS_TOKEN, TOKEN_EXCHANGE
from tests.builders import ISSUER, NOW, PORTAL
from tests.portal.web.deployment import NAVIGATION, TESS, Deployment


def redeemed(deployment: Deployment, slug: str = "admin-dashboard") -> str:
    """Return the sid of a session of Tess in *slug*."""
    form = {"token": deployment.launched(deployment.signed_in(TESS), slug), "token_type_hint": HINT_TICKET}
    return str(deployment.ask(slug, "/oauth/introspect", form).get_json()["sid"])


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
def test_strangers_learn_nothing(deployment: Deployment, path: str, header: str | None) -> None:
    deployment.services.credentials.secret_of("forecast")
    headers = {} if header is None else {"Authorization": header}
    answer = deployment.browser().post(path, data={"token": "x", "token_type_hint": HINT_TICKET}, headers=headers)
    assert answer.status_code == 401
    assert answer.get_json() == {"error": "invalid_client"}
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_secret_of_one_app_is_not_that_of_another(deployment: Deployment) -> None:
    other = deployment.services.credentials.secret_of("forecast").reveal()
    assert deployment.ask("admin-dashboard", "/oauth/introspect", {"token": "x"}, secret=other).status_code == 401


def test_an_app_that_was_removed_is_a_stranger(deployment: Deployment) -> None:
    secret = deployment.services.credentials.secret_of("removed").reveal()
    assert deployment.ask("removed", "/oauth/introspect", {"token": "x"}, secret=secret).status_code == 401


def test_credentials_in_the_form_do_not_count(deployment: Deployment) -> None:
    secret = deployment.services.credentials.secret_of("forecast").reveal()
    form = {"client_id": "forecast", "client_secret": secret, "token": "x"}
    assert deployment.browser().post("/oauth/introspect", data=form).status_code == 401


def test_another_apps_ticket_and_session_are_worth_nothing(deployment: Deployment) -> None:
    ticket = deployment.launched(deployment.signed_in(TESS), "admin-dashboard")
    answer = deployment.ask("beta-only", "/oauth/introspect", {"token": ticket, "token_type_hint": HINT_TICKET})
    assert answer.get_json() == {"active": False, "code": "bad-ticket"}
    sid = redeemed(deployment)
    answer = deployment.ask("beta-only", "/oauth/introspect", {"token": sid, "token_type_hint": HINT_APP_SESSION})
    assert answer.get_json() == {"active": False, "code": "unknown-session"}


def test_a_session_lives_as_long_as_the_sign_in(deployment: Deployment) -> None:
    sid = redeemed(deployment)
    form = {"token": sid, "token_type_hint": HINT_APP_SESSION}
    body = deployment.ask("admin-dashboard", "/oauth/introspect", form).get_json()
    assert read_introspection(body, issuer=PORTAL, audience="admin-dashboard")
    deployment.now += deployment.settings.idle_lifetime
    body = deployment.ask("admin-dashboard", "/oauth/introspect", form).get_json()
    assert body == {"active": False, "code": "sign-in-expired"}


@pytest.mark.parametrize("hint", ["", "access_token", HINT_TICKET + " ", HINT_TICKET.upper()])
def test_other_kinds_of_token_are_not_known(deployment: Deployment, hint: str) -> None:
    answer = deployment.ask("forecast", "/oauth/introspect", {"token": "x", "token_type_hint": hint})
    assert answer.get_json() == {"active": False, "code": "unsupported-token-type"}


def test_a_request_without_token_or_with_two_is_refused(deployment: Deployment) -> None:
    secret = deployment.services.credentials.secret_of("forecast").reveal()
    for body in ("", "token=a&token=b", "token=a&token_type_hint=x&token_type_hint=y"):
        answer = deployment.browser().post(
            "/oauth/introspect",
            data=body,
            auth=("forecast", secret),
            content_type="application/x-www-form-urlencoded",
        )
        assert (answer.status_code, answer.get_json()) == (400, {"error": "invalid_request"})


def test_tokens_in_the_address_do_not_count(deployment: Deployment) -> None:
    answer = deployment.ask("forecast", f"/oauth/introspect?token=x&token_type_hint={HINT_TICKET}", {})
    assert answer.status_code == 400


def test_a_ticket_that_was_redeemed_after_the_sign_out_opens_nothing(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    ticket = deployment.launched(browser, "admin-dashboard")
    sign_in = deployment.services.sign_ins.of_identity(TESS.id, now=deployment.now)[0]
    from portal.access.revocation import RevocationReason

    deployment.services.sign_ins.revoke(sign_in.id, reason=RevocationReason.SIGNED_OUT, now=deployment.now)
    form = {"token": ticket, "token_type_hint": HINT_TICKET}
    assert deployment.ask("admin-dashboard", "/oauth/introspect", form).get_json() == {
        "active": False,
        "code": "signed-out",
    }


def test_the_keys_are_public_and_verify_tickets(deployment: Deployment) -> None:
    answer = deployment.browser().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "no-cache"
    (key,) = answer.get_json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "Ed25519", "sig")
    assert "d" not in key
    ticket = deployment.launched(deployment.signed_in())
    keys = deployment.services.keys.key_set(deployment.now)
    assert verify_ticket(ticket, keys=keys, issuer=PORTAL, audience="forecast", now=NOW).roles == {"analyst"}


# Token exchange


def test_a_live_session_becomes_a_token_with_the_rights_of_app_and_person(deployment: Deployment) -> None:
    answer = deployment.ask(
        "admin-dashboard", "/oauth/token", exchange(subject_token=redeemed(deployment), scope="audit:read x:y")
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
    (event,) = deployment.services.audit.recent(issuer=ISSUER, tenant="beta", limit=1)
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
def test_hostile_exchanges_are_refused(deployment: Deployment, changes: dict[str, str], error: str) -> None:
    form = exchange(**{"subject_token": redeemed(deployment), **changes})
    answer = deployment.ask("admin-dashboard", "/oauth/token", form)
    assert (answer.status_code, answer.get_json()) == (400, {"error": error})


def test_another_apps_session_cannot_be_exchanged(deployment: Deployment) -> None:
    answer = deployment.ask("beta-only", "/oauth/token", exchange(subject_token=redeemed(deployment)))
    assert answer.get_json() == {"error": "invalid_request"}


def test_an_app_without_rights_gets_none_whoever_is_in_it(deployment: Deployment) -> None:
    answer = deployment.ask("beta-only", "/oauth/token", exchange(subject_token=redeemed(deployment, "beta-only")))
    assert answer.get_json() == {"error": "invalid_scope"}


def test_cookies_do_not_count_at_the_machine_endpoints(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    assert browser.post("/oauth/introspect", data={"token": "x"}).status_code == 401
    assert browser.get("/api/sign-ins", headers=NAVIGATION).status_code == 401
