"""Handlers learn who is there from the guard's scope, and from nowhere else."""

import gradio as gr
import pytest

from gradio_apps.visitor import visitor_of
from tests.gradio_apps.requests import a_person, a_request, a_visit


def test_the_person_in_the_scope_is_the_visitor() -> None:
    assert visitor_of(a_visit()) == a_person()


@pytest.mark.parametrize("request_", [None, gr.Request(None), a_request()], ids=["none", "empty", "alone"])
def test_without_the_guard_nobody_is_there(request_: gr.Request | None) -> None:
    assert visitor_of(request_) is None


@pytest.mark.parametrize("stranger", [None, "ana", {"username": "ana"}, True])
def test_what_is_no_person_is_nobody(stranger: object) -> None:
    assert visitor_of(a_request(**{"portal.visitor": stranger})) is None


def test_headers_say_nothing() -> None:
    claimed = [(b"x-forwarded-user", b"ana"), (b"portal.visitor", b"ana"), (b"cookie", b"portal.visitor=ana")]

    assert visitor_of(a_request(headers=claimed)) is None
