"""How an app stands, for its page: where the frame stays silent, the portal finds out why and says so.

The browser cannot tell a server that is away from an answer that does not come from the guard.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from flask import Blueprint, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, may_open
from portal.web.current_sign_in import current_standing
from portal.web.services import services
from portal.web.views.cached_answer import CachedAnswer
from portal.web.views.health import AppState, state_of

blueprint = Blueprint("app_states", __name__)

_KEPT: Final = "portal.app_states"


class AppStates:
    """The state of each app of one catalogue, as *ask* said it last."""

    def __init__(self, ask: Callable[[AppSpec], AppState]) -> None:
        self._ask = ask
        self._kept: dict[str, CachedAnswer[AppState]] = {}

    def get(self, app: AppSpec) -> AppState:
        """Return how *app* stands; however many people wait for it, it is asked about once in a second."""
        kept = self._kept.setdefault(app.slug, CachedAnswer(partial(self._ask, app)))
        return kept.get()


@blueprint.record
def keep_states(state: BlueprintSetupState) -> None:
    """Have each process keep what it learned for a moment."""
    state.app.extensions[_KEPT] = AppStates(lambda app: state_of(app, egress=services().settings.egress))


@blueprint.get("/app-states/<slug>")
def app_state(slug: str) -> ResponseReturnValue:
    """Tell the app's page how the app stands; people who may not open it get 404."""
    standing = current_standing()
    if standing is None:
        return jsonify(state="signed-out"), 401
    decision = may_open(services().settings.catalogue.find(slug), standing=standing)
    if not isinstance(decision, Allowed):
        return jsonify(state="unknown"), 404
    return jsonify(state=cast("AppStates", current_app.extensions[_KEPT]).get(decision.app))
