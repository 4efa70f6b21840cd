"""``robots.txt`` and ``security.txt``."""

from pathlib import Path

from tests.portal.web.deployment import Deployment


def test_search_engines_stay_away(deployment: Deployment) -> None:
    answer = deployment.browser().get("/robots.txt")
    assert (answer.status_code, answer.text) == (200, "User-agent: *\nDisallow: /\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_weaknesses_are_reported_where_the_operator_says(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, security_contact="mailto:security@example.com")
    answer = deployment.browser().get("/.well-known/security.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [
        "Contact: mailto:security@example.com",
        "Expires: 2027-07-14T08:00:00Z",  # half a year from now
        "Canonical: https://portal.example.com/.well-known/security.txt",
    ]
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


def test_without_a_contact_there_is_no_such_page(deployment: Deployment) -> None:
    assert deployment.browser().get("/.well-known/security.txt").status_code == 404
