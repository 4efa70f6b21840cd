"""The state of an app, for its page."""

from pathlib import Path

from portal.rules.catalogue import Catalogue
from portal.web.app_health import AppHealth
from portal.web.views.app_states import AppStates
from tests.builders import an_app
from tests.portal.web.deployment import TESS, Deployment, guard_answering


def test_people_who_may_open_the_app_get_its_state(tmp_path: Path) -> None:
    with guard_answering(503, b'{"state": "stopped"}') as (port, _):
        app = an_app(internal_url=f"http://127.0.0.1:{port}")
        closed = an_app(slug="closed", url="https://closed.apps.example.com", open_to=frozenset())
        deployment = Deployment(tmp_path, catalogue=Catalogue((app, closed)))
        ours, strangers = deployment.signed_in(), deployment.browser()
        answer = ours.get("/app-states/forecast")
        assert (answer.status_code, answer.get_json()) == (200, {"state": "stopped"})
        assert answer.headers["Cache-Control"] == "no-store"
        assert strangers.get("/app-states/forecast").status_code == 401
        # It does not say which apps there are.
        refused = [ours.get(f"/app-states/{slug}") for slug in ("closed", "nothing")]
        assert [(one.status_code, one.get_json()) for one in refused] == [(404, {"state": "unknown"})] * 2
        assert deployment.signed_in(TESS).get("/app-states/forecast").status_code == 404


def test_an_app_is_asked_once_per_moment() -> None:
    asked: list[str] = []

    def ask(app: object) -> AppHealth:
        asked.append(str(app))
        return "stopped"

    states = AppStates(ask)
    assert {states.get(an_app()) for _ in range(50)} == {"stopped"}
    assert len(asked) < 50 / 10
    assert states.get(an_app(slug="other")) == "stopped"
