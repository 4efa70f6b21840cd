"""``kill -9`` of a portal worker under load: no sign-in is lost, and no request fails but its own."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from portal.contract.introspection import HINT_APP_SESSION, HINT_TICKET
from tests.journeys.workers import WORKERS, Portal, running_portal, wait_until

pytestmark = pytest.mark.usefixtures("journey")
PEOPLE = 6
KILLS = 2
BETWEEN = 1.5
"""Seconds of load before each kill, and after the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of the load."""

    began: float
    ended: float
    status: int | None
    """``None``: the connection broke."""


def load(portal: Portal, cookie: str, session: str, stop: threading.Event) -> list[Asked]:
    """Ask for the catalogue and for the app session in turn, until stopped."""
    asks: tuple[Callable[[], httpx.Response], ...] = (
        lambda: portal.get("/", cookie=cookie),
        lambda: portal.ask({"token": session, "token_type_hint": HINT_APP_SESSION}),
    )
    asked: list[Asked] = []
    while not stop.is_set():
        for ask in asks:
            began, status = time.monotonic(), None
            try:
                answer = ask()
            except httpx.TransportError:
                pass
            else:
                # Signed in is 200; a redirect would lead to the sign-in, and an app session that is lost is inactive.
                is_good = answer.status_code == 200 and '"active":false' not in answer.text.replace(" ", "")
                status = 200 if is_good else -answer.status_code
            asked.append(Asked(began=began, ended=time.monotonic(), status=status))
    return asked


def opened(portal: Portal) -> tuple[str, str]:
    """Return the cookie and the app session of somebody new."""
    cookie = portal.signed_in()
    answer = portal.ask({"token": portal.ticket(cookie), "token_type_hint": HINT_TICKET}).json()
    return cookie, str(answer["sid"])


def has_replaced(portal: Portal, victim: int) -> bool:
    return victim not in portal.serving() and len(portal.serving()) == WORKERS


def test_a_worker_that_is_killed_takes_only_its_own_requests_along(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    stop, kills = threading.Event(), []
    with running_portal(tmp_path) as portal, ThreadPoolExecutor(PEOPLE) as threads:
        people = [opened(portal) for _ in range(PEOPLE)]
        running = [threads.submit(load, portal, *person, stop) for person in people]
        try:
            for _ in range(KILLS):
                time.sleep(BETWEEN)
                victim = portal.workers()[0]
                kills.append(time.monotonic())
                os.kill(victim, signal.SIGKILL)
                wait_until(partial(has_replaced, portal, victim), portal)
            time.sleep(BETWEEN)
        finally:
            stop.set()
        asked = [one for thread in running for one in thread.result()]
        still = [portal.get("/", cookie=cookie).status_code for cookie, _ in people]
        living = [portal.ask({"token": sid, "token_type_hint": HINT_APP_SESSION}).json()["active"] for _, sid in people]

    broken = [one for one in asked if one.status is None]
    wrong = [one for one in asked if one.status not in {200, None}]
    under_way = [one for one in asked if any(one.began <= kill <= one.ended for kill in kills)]
    counts = f"{len(asked)} requests, {KILLS} kills, {len(under_way)} under way then, {len(broken)} broken"
    record_property("counts", counts)

    assert wrong == [], counts
    assert [one for one in broken if one not in under_way] == [], counts
    assert len(asked) > 50, counts
    assert any(one.began > kills[-1] and one.status == 200 for one in asked), counts
    assert still == [200] * PEOPLE
    assert living == [True] * PEOPLE
