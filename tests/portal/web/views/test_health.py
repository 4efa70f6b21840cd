"""Liveness and readiness."""

import logging
import sqlite3
from pathlib import Path

import pytest

from portal.errors import StoreUnavailable
from portal.rules.catalogue import Catalogue
from portal.storage.session_store import SessionStore
from portal.web.services import Services
from portal.web.views.health import Readiness
from tests.builders import an_app
from tests.portal.web.deployment import Deployment, guard_answering


def test_liveness_is_public_at_every_host_name(deployment: Deployment) -> None:
    answer = deployment.browser().get("/healthz", base_url="http://10.0.0.7:8000")
    assert (answer.status_code, answer.get_json()) == (200, {"state": "alive"})


def test_a_portal_with_all_it_needs_is_ready(deployment: Deployment) -> None:
    answer = deployment.browser().get("/readyz", base_url="http://10.0.0.7:8000")
    assert (answer.status_code, answer.get_json()) == (200, {"state": "ready", "missing": []})


def test_readiness_reports_missing_apps_without_their_names(tmp_path: Path) -> None:
    with guard_answering(503) as (port, _):
        app = an_app(internal_url=f"http://127.0.0.1:{port}", required=True)
        deployment = Deployment(
            tmp_path, catalogue=Catalogue((app, an_app(slug="optional", internal_url="http://127.0.0.1:1")))
        )
        answer = deployment.browser().get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"state": "missing", "missing": ["apps"]})


def test_an_unreachable_app_is_missing(tmp_path: Path) -> None:
    app = an_app(internal_url="http://127.0.0.1:1", required=True)
    deployment = Deployment(tmp_path, catalogue=Catalogue((app,)))
    assert deployment.browser().get("/readyz").get_json()["missing"] == ["apps"]


def test_without_a_database_database_and_keys_are_missing(deployment: Deployment) -> None:
    class Away:
        def ping(self) -> None:
            raise StoreUnavailable("away")

        def signing_key(self, now: int) -> None:
            raise StoreUnavailable(f"away at {now}")

    known = deployment.services
    stand_in = Services(
        **{
            **{name: getattr(known, name) for name in Services.__dataclass_fields__},
            "database": Away(),
            "keys": Away(),
        }
    )
    assert Readiness().check(stand_in, check_sessions=lambda: None) == ["database", "keys"]


def test_what_is_missing_is_logged_when_it_changes(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    def away() -> None:
        raise StoreUnavailable("the session store cannot be written")

    def there() -> None:
        """All is well."""

    caplog.set_level(logging.INFO, "portal.health")
    readiness = Readiness()
    for check in (there, away, away, away, there, there):
        readiness.check(deployment.services, check_sessions=check)
    assert [record.getMessage() for record in caplog.records] == ["the session store cannot be written", "ready"]


def test_sessions_that_cannot_be_written_are_missing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(SessionStore, "_connection", full)
    assert deployment.browser().get("/readyz").get_json()["missing"] == ["sessions"]


def test_an_app_is_not_asked_by_everybody_who_asks_the_portal(tmp_path: Path) -> None:
    with guard_answering(200) as (port, asked):
        app = an_app(internal_url=f"http://127.0.0.1:{port}", required=True)
        browser = Deployment(tmp_path, catalogue=Catalogue((app,))).browser()
        for _ in range(5):
            assert browser.get("/readyz").status_code == 200
    assert 1 <= len(asked) < 5
