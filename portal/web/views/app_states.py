"""The state of an app, for its page when the frame sends no message.

The browser cannot tell an unreachable server from an answer that does not come from the guard.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from flask import Blueprint, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, may_open
from portal.web.app_health import AppHealth, state_of
from portal.web.current_sign_in import current_standing
from portal.web.services import services
from portal.web.views.cached_answer import CachedAnswer

blueprint = Blueprint("app_states", __name__)

_KEPT: Final = "portal.app_states"


class AppStates:
    """The states of the apps, each cached for a moment."""

    def __init__(self, ask: Callable[[AppSpec], AppHealth]) -> None:
        self._ask = ask
        self._kept: dict[str, CachedAnswer[AppHealth]] = {}

    def get(self, app: AppSpec) -> AppHealth:
        """Return the state of *app*, checked once per second at most, however many people wait for it."""
        kept = self._kept.setdefault(app.slug, CachedAnswer(partial(self._ask, app)))
        return kept.get()


@blueprint.record
def keep_states(state: BlueprintSetupState) -> None:
    """Give each process a cache of states."""
    state.app.extensions[_KEPT] = AppStates(lambda app: state_of(app, egress=services().settings.egress))


@blueprint.get("/app-states/<slug>")
def app_state(slug: str) -> ResponseReturnValue:
    """Return the state of an app to its page; people who may not open the app get 404."""
    standing = current_standing()
    if standing is None:
        return jsonify(state="signed-out"), 401
    decision = may_open(services().settings.catalogue.find(slug), standing=standing)
    if not isinstance(decision, Allowed):
        return jsonify(state="unknown"), 404
    return jsonify(state=cast("AppStates", current_app.extensions[_KEPT]).get(decision.app))
