"""Whether the portal lives, and whether it can serve.

Both may be asked by anybody, so they tell kinds of things that are missing, never which apps
there are; the log names them.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, cast

import httpx
from flask import Blueprint, current_app, jsonify
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from portal.access.notifications import PATH, recipient_of
from portal.contract.egress import Egress, NotABundle, NotAProxy
from portal.errors import PortalError
from portal.http_client import client_settings_for
from portal.rules.catalogue import AppSpec
from portal.web.browser_sessions import check_store
from portal.web.services import Services, services
from portal.web.views.cached_answer import CachedAnswer

blueprint = Blueprint("health", __name__)

_LOGGER: Final = logging.getLogger("portal.health")
_KEPT: Final = "portal.readiness"
AppState = Literal["running", "starting", "failed", "stopped", "unreachable"]
_LONGEST_STATE: Final = 1024
_AT_ONCE: Final = 8
_LONGEST: Final = 2.0
"""Seconds that one app has to answer."""


@blueprint.record
def keep_answers(state: BlueprintSetupState) -> None:
    """Have each process look once in a second at most: anybody may ask, and apps and database are asked each time."""
    readiness = Readiness()
    state.app.extensions[_KEPT] = CachedAnswer(lambda: readiness.look(services(), check_sessions=check_store))


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """Say that the process answers."""
    return jsonify(state="alive")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Say whether stores, keys and the apps that must be up are there, else 503 and what is missing."""
    kept = cast("CachedAnswer[list[str]]", current_app.extensions[_KEPT])
    missing = kept.get()
    return jsonify(state="missing" if missing else "ready", missing=missing), 503 if missing else 200


class Readiness:
    """Looks what is missing, and logs it when that changes: who asks does so every few seconds."""

    def __init__(self) -> None:
        self._logged = ""

    def look(self, within: Services, *, check_sessions: Callable[[], None]) -> list[str]:
        """Return the kinds of things that are not there: ``database``, ``keys``, ``sessions``, ``apps``."""
        missing: list[str] = []
        reasons: list[str] = []
        if not _holds(within.database.ping, reasons):
            missing.append("database")
        if not _holds(lambda: within.keys.signing_key(within.clock()), reasons):
            missing.append("keys")
        if not _holds(check_sessions, reasons):
            missing.append("sessions")
        required = [app for app in within.settings.catalogue if app.required]
        down = apps_that_are_down(required, egress=within.settings.egress)
        if down:
            reasons += [f"apps not ready: {', '.join(down)}"]
            missing.append("apps")
        text = "; ".join(reasons)
        if text != self._logged:
            self._logged = text
            _LOGGER.log(logging.WARNING if text else logging.INFO, "%s", text or "ready")
        return missing


def _holds(check: Callable[[], object], reasons: list[str]) -> bool:
    try:
        check()
    except PortalError as error:
        reasons += [str(error)]
        return False
    return True


def apps_that_are_down(apps: Sequence[AppSpec], *, egress: Egress) -> list[str]:
    """Return the slugs of those of *apps* whose guard does not say that they run; asks all at once."""
    states = _states_of(apps, egress) if apps else []
    return [app.slug for app, state in zip(apps, states, strict=True) if state != "running"]


def state_of(app: AppSpec, *, egress: Egress) -> AppState:
    """Ask the guard of *app*, or who stands in for it, how the app stands; takes :data:`_LONGEST` seconds at most."""
    [state] = _states_of([app], egress)
    return state


def _states_of(apps: Sequence[AppSpec], egress: Egress) -> list[AppState]:
    places = asyncio.Semaphore(_AT_ONCE)

    async def asked(app: AppSpec) -> AppState:
        async with places:
            return await _asked(app, egress)

    async def all_asked() -> list[AppState]:
        return await asyncio.gather(*map(asked, apps))

    # In a thread of its own: the caller's may be running a loop already.
    with ThreadPoolExecutor(1, "portal-health") as threads:
        return threads.submit(asyncio.run, all_asked()).result()


async def _asked(app: AppSpec, egress: Egress) -> AppState:
    place = recipient_of(app)
    url = f"{place.url.removesuffix(PATH)}/.portal/health"
    extensions = {} if place.server_name is None else {"sni_hostname": place.server_name}
    try:
        way = client_settings_for(url, egress, is_internal=place.is_internal)
        async with (
            asyncio.timeout(_LONGEST),  # over all of it: an app elsewhere could answer byte by byte
            httpx.AsyncClient(timeout=_LONGEST, follow_redirects=False, **way.keywords()) as client,
            client.stream("GET", url, headers={"Host": place.host}, extensions=extensions) as answer,
        ):
            if answer.status_code == httpx.codes.OK:
                return "running"
            async for body in answer.aiter_raw(_LONGEST_STATE):
                return _state_in(body)
    except (httpx.HTTPError, httpx.InvalidURL, NotABundle, NotAProxy, TimeoutError):
        pass
    return "unreachable"


def _state_in(body: bytes) -> AppState:
    """Return the state that an answer other than 200 tells; anything but a guard's answer is ``unreachable``."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return "unreachable"
    match said:
        case {"state": "starting" | "failed" | "stopped" as state}:
            return cast("AppState", state)
        case _:
            return "unreachable"
