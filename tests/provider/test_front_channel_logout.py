"""Entra ID and Okta report a logout by a frame in the person's browser only, which names the session and no person."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.provider.browser import Browser
from tests.provider.deployments import Deployment
from tests.provider.emulations.azure_ad import Entra
from tests.provider.emulations.serving import serving
from tests.provider.test_refresh_of_each_type import MAKES, spec_of

SESSIONS = ("0a1b2c3d-session-of-the-laptop", "4e5f6a7b-session-of-the-phone")


@dataclass(frozen=True, slots=True)
class TwoBrowsers:
    """One person, signed in from two browsers in two sessions at the provider."""

    theirs: Any
    deployment: Deployment
    browsers: tuple[Browser, ...]
    issuer: str

    def frame(self, **query: str) -> TestResponse:
        """Load the frame as a browser would in which the portal's cookies are blocked."""
        path = f"/auth/oauth/{self.deployment.spec.id}/frontchannel-logout?{urlencode(query)}"
        return Browser(self.deployment.portal).get(path, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"})

    def are_signed_in(self) -> list[bool]:
        return [browser.is_signed_in for browser in self.browsers]


@pytest.fixture(params=["azure-ad", "okta"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TwoBrowsers]:
    make = MAKES[request.param]
    with serving(make.emulation) as theirs:
        if request.param == "okta":
            theirs.choose("")
        deployment = Deployment(tmp_path, spec_of(request.param, theirs, tmp_path, *make.lines))
        browsers = []
        for session in SESSIONS:
            (theirs.person if isinstance(theirs, Entra) else theirs.id_token)["sid"] = session
            browsers.append(Browser(deployment.portal))
            callback = theirs.consent(browsers[-1].begin(f"/auth/oauth/{request.param}"))
            assert browsers[-1].get(callback).status_code == 303
        issuer = f"{theirs.url}/{theirs.home}/v2.0" if isinstance(theirs, Entra) else theirs.issuer
        yield TwoBrowsers(theirs, deployment, tuple(browsers), issuer)


def test_the_session_that_it_names_ends_and_the_other_does_not(two: TwoBrowsers) -> None:
    answer = two.frame(iss=two.issuer, sid=SESSIONS[0])

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    assert two.are_signed_in() == [False, True]


def test_it_still_ends_after_a_refresh(two: TwoBrowsers) -> None:
    two.deployment.portal.refresh()
    two.frame(iss=two.issuer, sid=SESSIONS[1])

    assert two.are_signed_in()[1] is False


@pytest.mark.parametrize(
    "query",
    [
        {"iss": "https://id.example.com", "sid": SESSIONS[0]},
        {"iss": "", "sid": ""},
        {},
    ],
    ids=["another issuer", "empty", "nothing"],
)
def test_what_names_no_session_of_that_issuer_ends_nothing(two: TwoBrowsers, query: dict[str, str]) -> None:
    assert two.frame(**query).status_code == 400
    assert two.are_signed_in() == [True, True]


def test_a_guess_ends_nothing_and_learns_nothing(two: TwoBrowsers) -> None:
    guessed, known = two.frame(iss=two.issuer, sid="guess"), two.frame(iss=two.issuer, sid=SESSIONS[0])

    assert (guessed.status_code, guessed.data) == (known.status_code, known.data)
    assert two.are_signed_in() == [False, True]


def test_entra_leaves_its_issuer_out_and_no_other_may(two: TwoBrowsers) -> None:
    """
    The address says which provider it is.
    """
    is_entra = isinstance(two.theirs, Entra)

    assert two.frame(sid=SESSIONS[0]).status_code == (200 if is_entra else 400)
    assert two.are_signed_in() == [not is_entra, True]
