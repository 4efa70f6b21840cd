"""A browser is opened only where somebody sits."""

import queue
import webbrowser

import pytest

from portal.machine.browser import has_screen, show


@pytest.mark.parametrize(
    ("environ", "platform", "terminal", "screen"),
    [
        ({"DISPLAY": ":0"}, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "linux", True, False),
        ({}, "darwin", True, True),
        ({"DISPLAY": ":0"}, "linux", False, False),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", True, False),
        ({"SSH_CONNECTION": "1"}, "darwin", True, False),
    ],
)
def test_there_is_a_screen(environ: dict[str, str], platform: str, *, terminal: bool, screen: bool) -> None:
    assert has_screen(environ, platform=platform, terminal=terminal) is screen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[str]:
    urls: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(webbrowser, "open", urls.put)
    return urls


def test_one_is_opened_where_it_is_wanted_and_seen(opened: queue.Queue[str]) -> None:
    show("http://127.0.0.1:7800", wanted=True, environ={"DISPLAY": ":0"}, terminal=True)

    assert opened.get(timeout=10) == "http://127.0.0.1:7800"


def test_none_is_opened_where_it_is_not_wanted_or_nobody_looks(opened: queue.Queue[str]) -> None:
    show("http://127.0.0.1:7800", wanted=False, environ={"DISPLAY": ":0"}, terminal=True)
    show("http://127.0.0.1:7800", wanted=True, environ={"DISPLAY": ":0"}, terminal=False)

    assert opened.empty()
