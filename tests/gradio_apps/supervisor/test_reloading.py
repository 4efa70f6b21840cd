"""Following another document: what changes, what is left alone, and what is refused before anything happens."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradio_apps.runtime.supervisor.changes import changes_between
from gradio_apps.runtime.supervisor.document import Plan, read_plan
from tests.gradio_apps.supervisor.supervising import (
    a_document,
    an_app,
    ask,
    is_alive,
    is_state,
    supervised,
    tell,
    the_app,
)
from tests.ports import free_ports


def a_plan(tmp: Path, **changes: Any) -> Plan:
    return read_plan(a_document(an_app(tmp, **changes), an_app(tmp, "other")))


@pytest.mark.parametrize(
    ("changes", "change"),
    [
        ({}, "kept"),
        ({"memory": 10**9}, "adjusted"),
        ({"drain_timeout": 7}, "adjusted"),
        ({"history": "/x/starts.json"}, "adjusted"),
        ({"source": "another.py"}, "replaced"),
        ({"env": {"A": "b"}}, "replaced"),
        ({"secret": "another-secret"}, "replaced"),
        ({"python": "/x/bin/python"}, "replaced"),
        ({"url": "http://another.demo.localhost"}, "replaced"),
        ({"title": "Another"}, "replaced"),
        ({"cookies": "partitioned"}, "replaced"),
        ({"start_timeout": 7}, "replaced"),
        ({"port": 7000}, "moved"),
        ({"host": "127.0.0.2"}, "moved"),
    ],
)
def test_each_app_is_touched_no_more_than_it_must(tmp_path: Path, changes: dict[str, Any], change: str) -> None:
    old, new = a_plan(tmp_path), a_plan(tmp_path, **changes)

    assert changes_between(old, new, every_app=False) == {"forecast": change, "other": "kept"}


def test_what_all_apps_are_reported_replaces_all(tmp_path: Path) -> None:
    old = a_plan(tmp_path)
    for new in (
        replace(old, portal_url="https://elsewhere.example.com"),
        replace(old, trusted_proxies="10.0.0.0/8"),
        replace(old, grace=9),
    ):
        assert set(changes_between(old, new, every_app=False).values()) == {"replaced"}
    assert set(changes_between(old, replace(old, control=Path("/x")), every_app=False).values()) == {"kept"}
    assert set(changes_between(old, old, every_app=True).values()) == {"replaced"}


def test_apps_come_and_go(tmp_path: Path) -> None:
    old = a_plan(tmp_path)
    forecast, other = old.apps

    assert changes_between(old, replace(old, apps=(forecast,)), every_app=True) == {
        "forecast": "replaced",
        "other": "removed",
    }
    assert changes_between(replace(old, apps=(other,)), old, every_app=False) == {"forecast": "added", "other": "kept"}


def reload(control: Path, *apps: dict[str, Any], every_app: bool = False) -> dict[str, Any]:
    return tell(
        control,
        {"do": "reload", "document": json.loads(a_document(*apps, control=str(control))), "every_app": every_app},
    )


@pytest.mark.usefixtures("processes")
def test_a_reload_replaces_adds_and_ends_and_leaves_the_rest_alone(tmp_path: Path, control: Path) -> None:
    kept, gone, changed = an_app(tmp_path, "kept"), an_app(tmp_path, "gone"), an_app(tmp_path, "changed")
    with supervised(a_document(kept, gone, changed, control=str(control))) as supervisor:
        before = {slug: the_app(control, is_state("running"), slug=slug) for slug in ("kept", "gone", "changed")}
        changed = an_app(tmp_path, "changed", env={"MODE": "serve", "COLOUR": "blue"})
        answer = reload(control, an_app(tmp_path, "added"), kept, changed)
        assert answer["changes"] == {"kept": "kept", "gone": "removed", "changed": "replaced", "added": "added"}
        assert [app["app"] for app in answer["apps"]] == ["added", "kept", "changed"]
        added = the_app(control, is_state("running"), slug="added")
        replaced = the_app(
            control, lambda app: bool(app["pid"] != before["changed"]["pid"] and not app["leaving"]), slug="changed"
        )
        seen = ask(before["changed"]["port"])
        assert the_app(control, is_state("running"), slug="kept")["pid"] == before["kept"]["pid"]
        assert supervisor.event("reloaded")["apps"]["added"] == "added"
        with pytest.raises(httpx.ConnectError):
            ask(before["gone"]["port"])
        # The next one adjusts without a new process.
        answer = reload(control, an_app(tmp_path, "added", memory=10**9), kept, changed)
        assert answer["changes"]["added"] == "adjusted"
        adjusted = the_app(control, is_state("running"), slug="added")
        assert reload(control, kept, every_app=True)["changes"]["kept"] == "replaced"

    assert (seen["pid"], seen["environment"]["COLOUR"]) == (replaced["pid"], "blue")
    assert not is_alive(before["gone"]["pid"])
    assert (adjusted["pid"], adjusted["memory_limit"]) == (added["pid"], 10**9)


@pytest.mark.usefixtures("processes")
def test_an_address_passes_from_one_app_to_another(tmp_path: Path, control: Path) -> None:
    first, second = free_ports(2)
    with supervised(a_document(an_app(tmp_path, "later", port=first), control=str(control))):
        before = the_app(control, is_state("running"), slug="later")
        answer = reload(control, an_app(tmp_path, "earlier", port=first), an_app(tmp_path, "later", port=second))
        assert answer["changes"] == {"earlier": "added", "later": "moved"}
        pids = {slug: the_app(control, is_state("running"), slug=slug)["pid"] for slug in ("earlier", "later")}
        seen = {"earlier": ask(first)["pid"], "later": ask(second)["pid"]}

    assert seen == pids
    assert not is_alive(before["pid"])


@pytest.mark.usefixtures("processes")
def test_what_is_stopped_stays_so(tmp_path: Path, control: Path) -> None:
    with supervised(a_document(an_app(tmp_path), control=str(control))):
        port = the_app(control, is_state("running"))["port"]
        tell(control, {"do": "stop", "app": "forecast"})
        the_app(control, is_state("stopped"))
        reload(control, an_app(tmp_path, env={"MODE": "serve", "COLOUR": "blue"}))
        the_app(control, is_state("stopped"))
        tell(control, {"do": "start", "app": "forecast"})
        the_app(control, is_state("running"))
        assert ask(port)["environment"]["COLOUR"] == "blue"


@pytest.mark.usefixtures("processes")
def test_a_reload_that_cannot_be_is_refused_before_anything_happens(tmp_path: Path, control: Path) -> None:
    app = an_app(tmp_path)
    with supervised(a_document(app, control=str(control))), socket.socket() as taken:
        before = the_app(control, is_state("running"))
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = reload(control, an_app(tmp_path, env={"A": "b"}), an_app(tmp_path, "other", port=port))
        owner = json.loads(a_document()) | {"owner": {"uid": 4711, "gid": 4711}}
        others = [
            tell(control, {"do": "reload", "document": document})
            for document in (None, {}, {"portal": {"url": "x"}, "apps": [{"slug": "A"}]}, owner)
        ]
        after = the_app(control, is_state("running"))
        answered = ask(before["port"])["pid"]

    assert (refused["ok"], refused["problem"].partition(":")[0]) == (
        False,
        f"Port {port}, for the app other, cannot be used",
    )
    assert [other["problem"] for other in others] == [
        "The member 'document' of the message is missing or has the wrong type.",
        "document.portal: missing, or not of type dict.",
        "apps[0].slug: not 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.",
        "The users of the portal and its apps change only when portal serve is started again.",
    ]
    assert before["pid"] == after["pid"] == answered
    assert after["restarts"] == 0
