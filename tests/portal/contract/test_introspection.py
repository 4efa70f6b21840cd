"""What the portal answers is read exactly, or not at all."""

from typing import Any

import pytest

from portal.contract import Active, Inactive, Person, Rejected, Rejection, read_introspection
from tests.builders import NOW, PORTAL

PERSON = Person(
    subject="ana-id",
    username="ana@example.com",
    preferred_username="ana",
    name="Ana Analyst",
    email="ana@example.com",
    picture="https://img.example.com/ana.png",
    tenant="acme",
    tenant_name="Acme",
    roles=frozenset({"analyst"}),
    signed_in_until=NOW + 3600,
)


def read(body: dict[str, object]) -> Active | Inactive:
    return read_introspection(body, issuer=PORTAL, audience="forecast")


def an_answer(**changes: object) -> dict[str, object]:
    return Active(session="s", person=PERSON, next="/x").to_json(issuer=PORTAL, audience="forecast") | changes


def test_an_active_answer_is_read_back_unchanged() -> None:
    assert Active(session="s", person=PERSON, next="/x") == read(an_answer())


def test_an_inactive_answer_keeps_its_code() -> None:
    assert Inactive(code="signed-out") == read(Inactive(code="signed-out").to_json())


def test_only_active_is_true_in_an_if() -> None:
    assert Active(session="s", person=PERSON)
    assert not Inactive(code="x")


@pytest.mark.parametrize("active", [False, None, 1, "true", [], {}])
def test_anything_but_true_is_inactive(active: object) -> None:
    assert Inactive(code="unknown") == read(an_answer(active=active))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.test"}, Rejection.WRONG_ISSUER),
        ({"iss": None}, Rejection.WRONG_ISSUER),
        ({"aud": "other"}, Rejection.WRONG_AUDIENCE),
        ({"aud": ["forecast"]}, Rejection.WRONG_AUDIENCE),
        ({"sub": ""}, Rejection.BAD_SHAPE),
        ({"sid": 1}, Rejection.BAD_SHAPE),
        ({"username": None}, Rejection.BAD_SHAPE),
        ({"preferred_username": ["ana"]}, Rejection.BAD_SHAPE),
        ({"roles": "admin"}, Rejection.BAD_SHAPE),
        ({"exp": "soon"}, Rejection.BAD_SHAPE),
        ({"name": 7}, Rejection.BAD_SHAPE),
    ],
)
def test_an_answer_of_another_issuer_or_app_is_refused(changes: dict[str, Any], reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        read(an_answer(**changes))

    assert reason == caught.value.reason


def test_a_path_that_leaves_the_origin_becomes_the_front_page() -> None:
    answer = read(an_answer(next="//evil.test"))

    assert isinstance(answer, Active)
    assert answer.next == "/"
