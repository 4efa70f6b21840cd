import pytest

import portal.errors
from portal.errors import PortalError, Problem, SettingsError


def kinds(base: type[PortalError]) -> list[type[PortalError]]:
    return [kind for one in base.__subclasses__() for kind in (one, *kinds(one))]


OURS = [kind for kind in kinds(PortalError) if kind.__module__ == portal.errors.__name__]


@pytest.mark.parametrize("kind", OURS)
def test_every_error_has_a_stable_code_and_a_status_of_an_error(kind: type[PortalError]) -> None:
    assert kind.code == kind.code.lower().strip()
    assert 400 <= kind.status < 600


def test_codes_tell_errors_apart() -> None:
    codes = [kind.code for kind in OURS if "code" in vars(kind)]  # a finer error may say the same as its base

    assert len(codes) == len(set(codes)) >= 8


def test_settings_errors_carry_every_problem() -> None:
    problems = [
        Problem(place="portal.toml", key="portal.url", what="is missing.", fix="Write it."),
        Problem(place="environment", key="PORTAL_SECRET_KEY", what="is not set.", fix="Set it."),
    ]
    error = SettingsError(problems)

    assert error.problems == tuple(problems)
    assert str(error).splitlines() == [
        "portal.toml: portal.url: is missing. Write it.",
        "environment: PORTAL_SECRET_KEY: is not set. Set it.",
    ]
    assert repr(problems[0]) == "Problem(portal.toml: portal.url: is missing. Write it.)"
