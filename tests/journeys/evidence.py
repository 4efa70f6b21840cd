"""What the pages showed when a journey failed: without it, a step that waited in vain says nothing."""

from collections import deque
from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary

from playwright.sync_api import Browser, ConsoleMessage, Error, Frame, Page, Request, Response

_EVENTS: Final = 12
"""Most events of one page that are listed, the latest."""
_TEXT: Final = 400
"""Most characters of a page's text."""
_PATIENCE: Final = 2_000
"""Milliseconds that a page may take to give its text."""
_BAD: Final = 400
_events: "Final[WeakKeyDictionary[Page, deque[str]]]" = WeakKeyDictionary()


def watch(page: Page) -> None:
    """Note what goes wrong in *page* from now on."""
    events = _events[page] = deque(maxlen=_EVENTS)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            events.append(f"console: {message.text}")

    def on_answer(answer: Response) -> None:
        if answer.status >= _BAD:
            events.append(f"{answer.status} {answer.request.method} {answer.url}")

    def on_failure(request: Request) -> None:
        events.append(f"{request.failure} {request.method} {request.url}")

    page.on("console", on_console)
    page.on("response", on_answer)
    page.on("requestfailed", on_failure)
    page.on("pageerror", lambda error: events.append(f"script: {error}"))
    page.on("crash", lambda _: events.append("the page crashed"))


def of(browser: Browser) -> str:
    """Return what each open page of *browser* shows, and the last that went wrong in it."""
    return "\n".join(line for context in browser.contexts for page in context.pages for line in _of_page(page))


def _of_page(page: Page) -> Iterator[str]:
    for frame in page.frames:
        yield f"{'in its frame ' if frame.parent_frame else 'the page '}{frame.url}: {_text_of(frame)!r}"
    yield from (f"  {event}" for event in _events.get(page, ()))


def _text_of(frame: Frame) -> str:
    try:
        return " ".join(frame.locator("body").inner_text(timeout=_PATIENCE).split())[:_TEXT]
    except Error as error:
        return f"unreadable: {error.message.splitlines()[0]}"
