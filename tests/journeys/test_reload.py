"""Reloads under load, and what a ``kill -9`` of an app or of the supervisor costs."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from gradio_apps.runtime.supervisor.process_manager import LONGEST_HOLD
from portal.machine.workers import children_of
from tests.gradio_apps.supervisor.supervising import is_alive
from tests.journeys.serving import Load, Person, Served, predicted, served, wait_until
from tests.journeys.workers import COOKIE
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")
STARTING = "503 The app is starting. Try again in a moment."
NEW = r"The configuration has no problems\.[^\n]*\nThe portal: its processes are new\.\n"


def portal_load(load: Load, running: Served, person: Person) -> None:
    """Pages of the portal, and what the guards ask it."""

    def page() -> str | None:
        answer = running.get("/", Cookie=f"{COOKIE}={person.cookie}")
        return None if answer.status_code == 200 else f"{answer.status_code} {answer.headers.get('location')}"

    load.add("portal pages", page)
    load.add("introspections", lambda: None if running.is_active("other", person.sids["other"]) else "inactive")


def app_load(load: Load, running: Served, person: Person, slug: str) -> None:
    """Requests to an app, on connections of their own and on one that is kept."""
    kept, anew = running.client(slug, person), running.client(slug, person, Connection="close")
    path = "/config" if slug == "forecast" else "/"
    for kind, client in ((f"{slug} kept", kept), (f"{slug} anew", anew)):
        load.add(kind, partial(looked, client, path))


def looked(client: httpx.Client, path: str) -> str | None:
    """Ask *client* for *path*; say what is wrong with the answer."""
    answer = client.get(path)
    return None if answer.status_code == 200 else f"{answer.status_code} {answer.json()['detail']}"


def test_a_reload_under_load_fails_no_request(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with served(tmp_path) as running, ThreadPoolExecutor(2) as threads:
        people = [running.person() for _ in range(2)]
        load = Load()
        try:
            portal_load(load, running, people[0])
            for slug in ("forecast", "other"):
                app_load(load, running, people[0], slug)
            queue = running.client("forecast", people[1], Connection="close")
            for number in range(2):
                load.add("predictions", partial(predicted, queue, "double", 20 + number))
            before = running.apps()
            # A stream that begins before the reload, and goes on in the old process.
            stream = threads.submit(predicted, running.client("forecast", people[1]), "count", 40)
            reloads = [running.command("reload", "--apps")]
            running.change("[apps.other]", '[apps.other]\ntitle = "Another title"')
            reloads.append(running.command("reload"))
            assert stream.result() is None
        finally:
            load.end()
        after = running.apps()
        pages = [running.get("/", Cookie=f"{COOKIE}={person.cookie}") for person in people]
        active = [running.is_active(slug, sid) for person in people for slug, sid in person.sids.items()]
    record_property("counts", load.counts())

    assert [reload.returncode for reload in reloads] == [0, 0], [reload.stdout + reload.stderr for reload in reloads]
    took = r" It came up in \d+ s\.\n"
    assert re.fullmatch(rf"{NEW}forecast: replaced\.{took}other: replaced\.{took}", reloads[0].stdout)
    assert re.fullmatch(rf"{NEW}forecast: unchanged\.\nother: replaced\.{took}", reloads[1].stdout)
    assert (after["forecast"].restarts, after["other"].restarts) == (1, 2)
    assert before["forecast"].pid != after["forecast"].pid
    assert load.bad == [], load.counts()
    assert [page.status_code for page in pages] == [200, 200]
    assert "Another title" in pages[0].text
    assert active == [True] * 4
    assert min(load.good.values()) > 5, load.counts()
    assert len(load.good) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="processes are tied to their parents on Linux only")
def test_what_a_kill_of_an_app_and_of_the_supervisor_costs(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with served(tmp_path, forecast="plain_asgi.py") as running:
        person = running.person()
        load = Load()
        try:
            portal_load(load, running, person)
            for slug in ("forecast", "other"):
                client = running.client(slug, person, Connection="close")
                load.add(slug, partial(looked, client, "/"))
            time.sleep(1)
            victim = running.apps()["forecast"]
            assert victim.pid is not None
            killed = time.monotonic()
            os.kill(victim.pid, signal.SIGKILL)
            wait_until(lambda: running.apps()["forecast"].pid not in {None, victim.pid}, running)
            wait_until(lambda: running.apps()["forecast"].state == "running", running)
            time.sleep(1)
        finally:
            load.end()
        record_property("after the kill of an app", load.counts())

        # The supervisor's end is that of its apps; the portal goes on, and both come back by themselves.
        pids = [state.pid for state in running.apps().values()]
        (supervisor,) = running.children("supervisor")
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: not any(pid is not None and is_alive(pid) for pid in pids), running)
        assert running.get("/", Cookie=f"{COOKIE}={person.cookie}").status_code == 200
        wait_until(lambda: all(state.state == "running" for state in running.apps().values()), running)
        anew = running.children("supervisor")
        answers = [running.client(slug, person).get("/").status_code for slug in running.ports]
        still = running.is_active("forecast", person.sids["forecast"])

        # At the end, everything finishes its requests, and leaves nothing behind.
        pids = [*(state.pid for state in running.apps().values()), *anew, *children_of(running.process.pid)]
        with ThreadPoolExecutor(1) as threads:
            slow = threads.submit(running.client("other", person, Connection="close").get, "/slowly")
            wait_until(lambda: running.apps()["other"].open.get("request") == 1, running)
            running.process.send_signal(signal.SIGTERM)
            assert slow.result().text == "done"
        assert running.process.wait(PATIENCE) == 0
        assert not any(pid is not None and is_alive(pid) for pid in pids)

    assert {kind for kind, *_ in load.bad} <= {"forecast"}, load.counts()
    # Only what was under way then; what came later waited and was answered, or was asked to wait after its time.
    later = [bad for bad in load.bad if not bad[1] <= killed <= bad[2]]
    assert [bad for bad in later if bad[3] != STARTING or bad[2] - killed < LONGEST_HOLD] == [], load.bad
    assert all(count > 5 for count in load.good.values()), load.counts()
    assert anew != [supervisor]
    assert len(anew) == 1
    assert answers == [200, 200]
    assert still
    assert "The apps' supervisor ended by itself (exit code -9) and is started again." in running.log
