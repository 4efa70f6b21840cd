"""The states of apps, from their guards."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, cast

import httpx

from portal.access.notifications import recipient_of
from portal.contract.egress import Egress, NotABundle, NotAProxy
from portal.contract.guard_paths import HEALTH_PATH
from portal.http_client import client_settings_for
from portal.rules.catalogue import AppSpec

AppHealth = Literal["running", "starting", "failed", "stopped", "unreachable"]
_LONGEST_STATE: Final = 1024
_AT_ONCE: Final = 8
_LONGEST: Final = 2.0
"""Seconds until an app counts as unreachable."""


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
    url = f"{recipient.base}{HEALTH_PATH}"
    try:
        http = client_settings_for(url, egress, is_internal=recipient.is_internal)
        async with (
            asyncio.timeout(_LONGEST),  # for the whole answer: an app elsewhere could send it byte by byte
            httpx.AsyncClient(timeout=_LONGEST, follow_redirects=False, **http.keywords()) as client,
            client.stream("GET", url, headers={"Host": recipient.host}, extensions=recipient.extensions) as answer,
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
