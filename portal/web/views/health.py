"""Liveness and readiness of the portal.

Both are public, so they report kinds of things that are missing and never name an app; the log does.
"""

import logging
from collections.abc import Callable
from typing import Final, cast

from flask import Blueprint, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from portal.errors import PortalError
from portal.web.app_health import apps_that_are_down
from portal.web.browser_sessions import check_store
from portal.web.services import Services, services
from portal.web.views.cached_answer import CachedAnswer

blueprint = Blueprint("health", __name__)

_LOGGER: Final = logging.getLogger("portal.health")
_KEPT: Final = "portal.readiness"


@blueprint.record
def keep_answers(state: BlueprintSetupState) -> None:
    """Have each process check readiness once per second at most: the check is public and calls apps and database."""
    readiness = Readiness()
    state.app.extensions[_KEPT] = CachedAnswer(lambda: readiness.check(services(), check_sessions=check_store))


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """Report that the process answers."""
    return jsonify(state="alive")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Report whether stores, keys and required apps are available; else 503 with what is missing."""
    kept = cast("CachedAnswer[list[str]]", current_app.extensions[_KEPT])
    missing = kept.get()
    return jsonify(state="missing" if missing else "ready", missing=missing), 503 if missing else 200


class Readiness:
    """Checks what is missing, and logs it when that changes."""

    def __init__(self) -> None:
        self._logged = ""

    def check(self, portal: Services, *, check_sessions: Callable[[], None]) -> list[str]:
        """Return the kinds of things that are missing: ``database``, ``keys``, ``sessions``, ``apps``."""
        missing: list[str] = []
        reasons: list[str] = []
        if not _passes(portal.database.ping, reasons):
            missing.append("database")
        if not _passes(lambda: portal.keys.signing_key(portal.clock()), reasons):
            missing.append("keys")
        if not _passes(check_sessions, reasons):
            missing.append("sessions")
        required = [app for app in portal.settings.catalogue if app.required]
        down = apps_that_are_down(required, egress=portal.settings.egress)
        if down:
            reasons += [f"apps not ready: {', '.join(down)}"]
            missing.append("apps")
        text = "; ".join(reasons)
        if text != self._logged:
            self._logged = text
            _LOGGER.log(logging.WARNING if text else logging.INFO, "%s", text or "ready")
        return missing


def _passes(check: Callable[[], object], reasons: list[str]) -> bool:
    try:
        check()
    except PortalError as error:
        reasons += [str(error)]
        return False
    return True
