"""Whether the portal lives, and whether it can serve.

Both may be asked by anybody, so they tell kinds of things that are missing, never which apps
there are; the log names them.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, cast

import httpx
from flask import Blueprint, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from portal.catalogue import AppSpec
from portal.contract.outbound import NotABundle, NotAProxy, Outbound
from portal.errors import PortalError
from portal.outgoing import way_to
from portal.pushing import PATH, place_of
from portal.services import Services, services
from portal.views.kept_answer import KeptAnswer

blueprint = Blueprint("health", __name__)

_LOGGER: Final = logging.getLogger("portal.health")
_KEPT: Final = "portal.readiness"
_TIMEOUT: Final = httpx.Timeout(2.0)


@blueprint.record
def keep_answers(state: BlueprintSetupState) -> None:
    """Have each process look once in a second at most: anybody may ask, and apps and database are asked each time."""
    state.app.extensions[_KEPT] = KeptAnswer(lambda: what_is_missing(services()))


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """Say that the process answers."""
    return jsonify(state="alive")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Say whether database, keys and the apps that must be up are there, else 503 and what is missing."""
    kept = cast("KeptAnswer[list[str]]", current_app.extensions[_KEPT])
    missing = kept.get()
    return jsonify(state="missing" if missing else "ready", missing=missing), 503 if missing else 200


def what_is_missing(within: Services) -> list[str]:
    """Return the kinds of things that are not there: ``database``, ``keys``, ``apps``."""
    missing: list[str] = []
    try:
        within.database.ping()
    except PortalError:
        missing.append("database")
    try:
        within.keys.signing_key(within.clock())
    except PortalError:
        missing.append("keys")
    required = [app for app in within.settings.catalogue if app.required]
    down = apps_that_are_down(required, outbound=within.settings.outbound)
    if down:
        _LOGGER.warning("apps not ready: %s", ", ".join(down))
        missing.append("apps")
    return missing


def apps_that_are_down(apps: Sequence[AppSpec], *, outbound: Outbound) -> list[str]:
    """Return the slugs of those of *apps* whose guard does not say that they run; asks all at once."""
    if not apps:
        return []
    with ThreadPoolExecutor(max_workers=min(len(apps), 8)) as pool:
        running = pool.map(partial(is_running, outbound=outbound), apps)
        return [app.slug for app, up in zip(apps, running, strict=True) if not up]


def is_running(app: AppSpec, *, outbound: Outbound) -> bool:
    """Ask the guard of *app* whether the app runs."""
    place = place_of(app)
    url = f"{place.url.removesuffix(PATH)}/.portal/health"
    extensions = {} if place.server_name is None else {"sni_hostname": place.server_name}
    try:
        way = way_to(url, outbound, is_internal=place.is_internal)
        with httpx.Client(timeout=_TIMEOUT, follow_redirects=False, **way.keywords()) as client:
            answer = client.get(url, headers={"Host": place.host}, extensions=extensions)
    except (httpx.HTTPError, httpx.InvalidURL, NotABundle, NotAProxy):
        return False
    return answer.status_code == httpx.codes.OK
