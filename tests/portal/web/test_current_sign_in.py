"""The sign-in of the current request."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask import g

from portal.storage import tables
from portal.web.current_sign_in import current_standing, known_sign_in, request_target, sign_in_path, standing_of
from portal.web.pages import person_view
from tests.builders import an_identity
from tests.portal.web.deployment import TESS, Deployment


def test_a_stranger_has_no_standing(deployment: Deployment) -> None:
    with deployment.app.test_request_context():
        assert known_sign_in() is None
        assert current_standing() is None


def test_without_their_tenant_a_person_is_anonymous(deployment: Deployment) -> None:
    browser = deployment.signed_in(TESS)
    assert browser.get("/").status_code == 200
    with deployment.services.database.write() as connection:
        connection.execute(sa.update(tables.sign_ins).values(tenant="lost"))
    assert browser.get("/").status_code == 303
    assert browser.get("/sign-in").status_code == 200  # and no redirect back and forth


def test_a_standing_is_that_of_the_sign_ins_tenant(deployment: Deployment) -> None:
    deployment.signed_in(TESS)
    sign_in = deployment.services.sign_ins.of_identity(TESS.id, now=deployment.now)[0]
    with deployment.app.test_request_context():
        g.sign_in = sign_in
        standing = current_standing()
        assert standing is not None
        assert standing.tenant == "beta"
        with pytest.raises(LookupError):
            standing_of(replace(sign_in, tenant="lost"))


def test_a_session_whose_sign_in_ended_is_a_strangers(deployment: Deployment) -> None:
    browser = deployment.signed_in()
    deployment.now += deployment.settings.absolute_lifetime
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a?b=c", "/a?b=c"), ("/a b", "/a%20b"), ("/ü?x=%22", "/%C3%BC?x=%22"), ("/", "/")],
)
def test_the_request_target_is_encoded_as_in_a_browser(deployment: Deployment, path: str, expected: str) -> None:
    with deployment.app.test_request_context(path):
        assert request_target() == expected


def test_the_sign_in_path_leads_back_but_never_off_site() -> None:
    assert sign_in_path("/account") == "/sign-in?next=%2Faccount"
    assert sign_in_path("/") == "/sign-in"
    assert sign_in_path("//evil.example") == "/sign-in"


@pytest.mark.parametrize(
    ("name", "email", "shown_as", "initials"),
    [
        ("Ana Analyst", "ana@example.com", "Ana Analyst", "AA"),
        ("Ana Maria van der Analyst", None, "Ana Maria van der Analyst", "AA"),
        ("Ana", None, "Ana", "A"),
        (None, "ana.analyst@example.com", "ana.analyst@example.com", "AA"),
        (None, None, "No name", "NN"),
        ("  ", None, "No name", "NN"),
        ("😀 !", None, "😀 !", "😀"),
    ],
)
def test_people_without_a_picture_are_shown_by_initials(
    name: str | None, email: str | None, shown_as: str, initials: str
) -> None:
    person = person_view(an_identity(name=name, email=email))
    assert (person.name, person.initials) == (shown_as, initials)
