"""One provider for all tests here: making its key is the slow part, and it keeps nothing but codes and tokens."""

import pytest
from flask import Flask

from portal.clock import system_clock
from portal.demo.app import create_provider
from tests.portal.demo.flow import ISSUER, SECRET

START = system_clock()
"""The present, because Authlib reads its own clock when an ID token comes back as a hint."""


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="session")
def clock() -> Hands:
    return Hands()


@pytest.fixture(scope="session")
def provider(clock: Hands) -> Flask:
    return create_provider(issuer=ISSUER, client_id="demo-portal", client_secret=SECRET, clock=clock)
