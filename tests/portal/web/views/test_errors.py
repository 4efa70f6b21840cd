"""Errors as pages, and as JSON for machines."""

import logging
import re

import pytest

from portal.errors import PortalError, StoreUnavailable
from portal.web.request_checks import FormExpired
from portal.web.views.apps import LaunchRefused
from tests.portal.web.deployment import NAVIGATION, Deployment


def failing(deployment: Deployment, error: Exception, path: str = "/failing") -> Deployment:
    def fail() -> str:
        raise error

    deployment.app.add_url_rule(path, f"failing {path}", fail)
    return deployment


def family(error: type[PortalError]) -> list[type[PortalError]]:
    return [error, *(below for child in error.__subclasses__() for below in family(child))]


WITHOUT_PAGE = {"settings", "refresh-refused", "logout-token-rejected"}
"""Those of commands, of the background and of answers to machines."""
CODES = sorted({kind.code for kind in family(PortalError) if hasattr(kind, "code")} - WITHOUT_PAGE)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_sentence_of_its_own(deployment: Deployment, code: str) -> None:
    sentences = deployment.app.jinja_env.get_template("errors/_sentences.html").module.SENTENCES  # type: ignore[attr-defined]
    assert code in sentences
    heading, explanation = sentences[code]
    assert heading
    assert explanation.endswith(".")


def test_messages_of_exceptions_go_to_the_log_only(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    failing(deployment, ValueError("the secret of the house"))
    with caplog.at_level(logging.ERROR):
        answer = deployment.browser().get("/failing")
    assert answer.status_code == 500
    assert "secret of the house" not in answer.text
    assert "ValueError" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "ValueError" in caplog.text


def test_a_store_that_is_away_is_a_503_also_for_the_signed_in(deployment: Deployment) -> None:
    failing(deployment, StoreUnavailable("sqlite is locked: /secret/path"))
    answer = deployment.signed_in().get("/failing")
    assert answer.status_code == 503
    assert "/secret/path" not in answer.text
    assert "not available at the moment" in answer.text


def test_machines_get_json(deployment: Deployment) -> None:
    failing(deployment, StoreUnavailable("away"), "/api/failing")
    answer = deployment.browser().get("/api/failing")
    assert answer.status_code == 503
    assert answer.get_json() == {"error": "store-unavailable", "reference": answer.headers["X-Request-Id"]}


def test_a_missing_page_is_a_404_and_a_machines_is_json(deployment: Deployment) -> None:
    assert "Page not found" in deployment.browser().get("/nothing").text
    assert deployment.browser().get("/oauth/nothing").get_json()["error"] == "http-404"


def test_a_wrong_method_is_a_405_that_says_what_is_allowed(deployment: Deployment) -> None:
    answer = deployment.browser().get("/tenant")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    answer = deployment.browser().get("/oauth/introspect")
    assert (answer.status_code, answer.get_json()["error"]) == (405, "http-405")


def test_a_request_that_is_too_large_is_refused(deployment: Deployment) -> None:
    answer = deployment.browser().post("/oauth/introspect", data={"token": "x" * 70_000}, auth=("forecast", "x"))
    assert answer.status_code in {401, 413}
    secret = deployment.services.credentials.secret_of("forecast").reveal()
    answer = deployment.browser().post("/oauth/introspect", data={"token": "x" * 70_000}, auth=("forecast", secret))
    assert answer.status_code == 413


def test_a_code_without_a_sentence_still_has_a_page(deployment: Deployment) -> None:
    class Novel(PortalError):
        code = "novel"
        status = 418

    failing(deployment, Novel("x"))
    answer = deployment.browser().get("/failing")
    assert answer.status_code == 418
    assert "That did not work" in answer.text


@pytest.mark.parametrize(("error", "href"), [(FormExpired("x"), "/"), (LaunchRefused("x"), None)])
def test_trying_again_is_offered_where_it_may_help(
    deployment: Deployment, error: PortalError, href: str | None
) -> None:
    failing(deployment, error)
    found = re.search(r'href="([^"]*)">Try again', deployment.browser().get("/failing").text)
    assert (found and found[1]) == href


def test_in_the_frame_an_error_leads_out_of_it(deployment: Deployment) -> None:
    answer = deployment.signed_in().get("/apps/nothing/.portal/launch", headers=NAVIGATION)
    assert answer.status_code == 404
    assert 'href="/" target="_top"' in answer.text
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
