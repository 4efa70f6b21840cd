"""The home page."""

from portal.rules.catalogue import Catalogue
from portal.rules.identity import Identity
from portal.web.views.catalogue import card_of
from tests.builders import an_app, an_identity
from tests.portal.web.deployment import TESS, Deployment


def test_strangers_are_sent_to_sign_in(deployment: Deployment) -> None:
    answer = deployment.browser().get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


def test_people_see_the_apps_they_may_open_and_no_others(deployment: Deployment) -> None:
    text = deployment.signed_in().get("/").text
    assert 'href="/apps/forecast/"' in text
    for hidden in ("admin-dashboard", "Beta secret", "beta-only", "Closed"):
        assert hidden not in text
    assert "Welcome, Ana" in text
    assert "You can open one app." in text


def test_each_tenant_has_its_own(deployment: Deployment) -> None:
    text = deployment.signed_in(TESS).get("/").text  # begins where she has a role
    assert "Beta" in text
    assert "You can open 2 apps." in text


def test_a_person_without_apps_learns_what_to_do(deployment: Deployment) -> None:
    person = an_identity(subject="x", name=" ", affiliations=(TESS.affiliations[0],))
    text = deployment.signed_in(person).get("/").text
    assert "You cannot open any apps yet" in text
    assert "in Acme" in text


def test_a_person_without_name_address_and_tenant_sees_the_page(deployment: Deployment) -> None:
    person = Identity(provider="company", issuer="https://id.example.com", subject="x")
    text = deployment.signed_in(person).get("/").text
    assert "No name" in text
    assert "You cannot open any apps yet" in text


def test_hostile_titles_stay_text(tmp_path_factory: object) -> None:
    app = an_app(title="<script>alert(1)</script>", description='"><img src=x>', icon="<b>")
    deployment = Deployment(tmp_path_factory.mktemp("house"), catalogue=Catalogue((app,)))  # type: ignore[attr-defined]
    text = deployment.signed_in().get("/").text
    assert "<script>alert" not in text
    assert "<img src=x>" not in text


def test_an_app_without_icon_shows_its_initials() -> None:
    assert card_of(an_app(title="Contract reader of ours")).icon == "CR"
    assert card_of(an_app(title="", slug="forecast")).icon == "F"
    assert card_of(an_app(icon="X")).icon == "X"
    assert card_of(an_app()).tint == card_of(an_app(title="Other")).tint
