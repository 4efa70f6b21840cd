import logging

import pytest

from portal.identity import Affiliation
from portal.providers.left_out import note_left_out
from tests.builders import a_provider, an_identity


def noted(caplog: pytest.LogCaptureFixture, *affiliations: Affiliation) -> list[logging.LogRecord]:
    with caplog.at_level(logging.INFO, logger="portal.providers"):
        note_left_out(an_identity(affiliations=affiliations), spec=a_provider())
    return caplog.records


def test_how_much_is_missing_is_logged_and_no_names(caplog: pytest.LogCaptureFixture) -> None:
    acme = Affiliation(tenant="acme", groups=frozenset({"Secret project"}), groups_left_out=100)
    (record,) = noted(caplog, acme, Affiliation(tenant="beta", groups_left_out=1))

    assert (record.levelname, record.getMessage()) == ("WARNING", "groups left out")
    assert vars(record)["fields"] == {"provider": "company", "at_least": 101}


def test_where_nothing_is_missing_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert noted(caplog, Affiliation(groups=frozenset({"a"}))) == []
