"""Liveness and readiness of the portal.

Both are public, so they report kinds of things that are missing and never name an app; the log does.
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
AppHealth = Literal["running", "starting", "failed", "stopped", "unreachable"]
_LONGEST_STATE: Final = 1024
_AT_ONCE: Final = 8
_LONGEST: Final = 2.0
"""Seconds until an app counts as unreachable."""


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


def apps_that_are_down(apps: Sequence[AppSpec], *, egress: Egress) -> list[str]:
    """Return the slugs of those of *apps* whose guard does not report that they run; checks all at once."""
    states = _states_of(apps, egress) if apps else []
    return [app.slug for app, state in zip(apps, states, strict=True) if state != "running"]


def state_of(app: AppSpec, *, egress: Egress) -> AppHealth:
    """Return the state of *app* from its guard or the supervisor; takes :data:`_LONGEST` seconds at most."""
    [state] = _states_of([app], egress)
    return state


def _states_of(apps: Sequence[AppSpec], egress: Egress) -> list[AppHealth]:
    semaphore = asyncio.Semaphore(_AT_ONCE)

    async def fetch(app: AppSpec) -> AppHealth:
        async with semaphore:
            return await _fetch_state(app, egress)

    async def fetch_all() -> list[AppHealth]:
        return await asyncio.gather(*map(fetch, apps))

    # In a separate thread: the caller's may already run an event loop.
    with ThreadPoolExecutor(1, "portal-health") as threads:
        return threads.submit(asyncio.run, fetch_all()).result()


async def _fetch_state(app: AppSpec, egress: Egress) -> AppHealth:
    recipient = recipient_of(app)
    url = f"{recipient.url.removesuffix(PATH)}/.portal/health"
    extensions = {} if recipient.server_name is None else {"sni_hostname": recipient.server_name}
    try:
        http = client_settings_for(url, egress, is_internal=recipient.is_internal)
        async with (
            asyncio.timeout(_LONGEST),  # for the whole answer: an app elsewhere could send it byte by byte
            httpx.AsyncClient(timeout=_LONGEST, follow_redirects=False, **http.keywords()) as client,
            client.stream("GET", url, headers={"Host": recipient.host}, extensions=extensions) as answer,
        ):
            if answer.status_code == httpx.codes.OK:
                return "running"
            async for body in answer.aiter_raw(_LONGEST_STATE):
                return _state_in(body)
    except (httpx.HTTPError, httpx.InvalidURL, NotABundle, NotAProxy, TimeoutError):
        pass
    return "unreachable"


def _state_in(body: bytes) -> AppHealth:
    """Return the state in an answer other than 200; ``unreachable`` if it is not a guard's."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "unreachable"
    match answer:
        case {"state": "starting" | "failed" | "stopped" as state}:
            return cast("AppHealth", state)
        case _:
            return "unreachable"
