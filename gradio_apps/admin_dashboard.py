"""The admin's dashboard: who is signed in to their tenant, and recent events.

An ordinary Gradio app.  It calls the portal's API with the rights of the admin who uses it, so it can show and end
only what they may.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import gradio as gr

from gradio_apps.look import look
from gradio_apps.moments import ago, ahead, exactly
from gradio_apps.portal_api import Event, EventPage, PortalApi, PortalApiError, SignedIn
from gradio_apps.visitor import visitor_of

SIGN_IN_HEADERS = ["Name", "E-mail", "Roles", "Provider", "Since", "Last seen", "Ends"]
EVENT_HEADERS = ["When", "What", "Who", "App", "Detail"]
_OWN_EVENT = "api-used"
_PER_PAGE = 50
_NO_EVENTS = EventPage(events=(), next=None)
_ENDING_NEEDS_A_CHOICE = "Choose a sign-in first."

T = TypeVar("T")

Rows = list[list[str]]
Page = tuple[str, Rows, Any, Rows, str | None, Any]
"""Heading, table of sign-ins, choices, table of events, its cursor, the button for older events."""


def sign_in_rows(sign_ins: Iterable[SignedIn], *, now: int) -> list[list[str]]:
    """Return the table of *sign_ins*, in their order."""
    return [
        [
            _who(one),
            _address(one),
            ", ".join(one.roles),
            one.provider,
            ago(one.since, now=now),
            ago(one.last_seen, now=now),
            ahead(one.until, now=now),
        ]
        for one in sign_ins
    ]


def event_rows(events: Iterable[Event]) -> list[list[str]]:
    """Return the table of *events*, in their order."""
    return [
        [exactly(one.at), one.event.replace("-", " "), one.name or one.email, one.app, one.detail] for one in events
    ]


def choices(sign_ins: Iterable[SignedIn], *, now: int) -> list[tuple[str, str]]:
    """Return the sign-ins that can be ended: a label that is unique also for two of one person, and the id."""
    return [
        (f"{_who(one)}, since {exactly(one.since)}, last seen {ago(one.last_seen, now=now)}", one.id)
        for one in sign_ins
    ]


def _address(one: SignedIn) -> str:
    """Return the address of *one*, marked if the provider did not verify it."""
    return one.email if one.email_verified or not one.email else f"{one.email} (not verified)"


def _who(one: SignedIn) -> str:
    return f"{one.name or _address(one) or 'No name'}{' (you, here)' if one.current else ''}"


def refresh(request: gr.Request) -> Page:
    """Return the current content of the page."""
    visitor = visitor_of(request)
    if visitor is None:
        alone = "Nobody is signed in, because this app runs without the portal. Open it in the portal."
        return alone, [], _dropdown([]), [], None, _button(None)
    now = int(time.time())
    portal = PortalApi.of(request)
    none: tuple[SignedIn, ...] = ()
    sign_ins = _or_toast(portal.sign_ins, none)
    page = _or_toast(lambda: _events(portal, after=None), _NO_EVENTS)
    tenant = visitor.tenant_name or visitor.tenant
    people = "1 sign-in" if len(sign_ins) == 1 else f"{len(sign_ins)} sign-ins"
    heading = f"{people}{f' to **{_plain(tenant)}**' if tenant else ''}, as of {exactly(now)}."
    table = sign_in_rows(sign_ins, now=now)
    offered = _dropdown(choices(sign_ins, now=now))
    return heading, table, offered, event_rows(page.events), page.next, _button(page.next)


def older(rows: Rows, after: str | None, request: gr.Request) -> tuple[Rows, str | None, Any]:
    """Return the table of events with a page of older ones added, and the next cursor."""
    if after is None:
        return rows, None, _button(None)
    page = _or_toast(lambda: _events(PortalApi.of(request), after=after), EventPage(events=(), next=after))
    return [*rows, *event_rows(page.events)], page.next, _button(page.next)


def _events(portal: PortalApi, *, after: str | None) -> EventPage:
    """Return a page of events, without those that this dashboard causes itself."""
    return portal.audit_page(limit=_PER_PAGE, after=after, without=(_OWN_EVENT,))


def end(sign_in_id: str | None, request: gr.Request) -> Page:
    """End the chosen sign-in, and return the new content of the page."""
    if not sign_in_id:
        gr.Warning(_ENDING_NEEDS_A_CHOICE)
    else:
        try:
            PortalApi.of(request).end_sign_in(sign_in_id)
            gr.Info("The sign-in has ended, in the portal and in every app.")
        except PortalApiError as error:
            gr.Warning(str(error))
    return refresh(request)


def _or_toast(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except PortalApiError as error:
        gr.Warning(str(error))
        return otherwise


def _button(after: str | None) -> Any:
    return gr.Button(visible=after is not None)


def _dropdown(offered: list[tuple[str, str]]) -> Any:
    return gr.Dropdown(choices=offered, value=None)


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalnum() or char in " .-&,'")


def build() -> gr.Blocks:
    """Build the app."""
    with gr.Blocks(title="Who is signed in") as app:
        gr.Markdown("# Who is signed in")
        with gr.Row(elem_classes="beside"):
            heading = gr.Markdown()
            again = gr.Button("Refresh", size="sm", scale=0, min_width=120)
        signed_in = gr.Dataframe(
            headers=SIGN_IN_HEADERS, label="Signed in now", interactive=False, wrap=True, elem_id="sign-ins"
        )
        with gr.Row(elem_classes="at-the-end"):
            chosen = gr.Dropdown(
                label="End a sign-in", info="It ends in the portal and in every app.", scale=3, min_width=240
            )
            ending = gr.Button("End it", variant="stop", size="md", scale=0, min_width=120)
        recent = gr.Dataframe(
            headers=EVENT_HEADERS, label="Recent events", interactive=False, wrap=True, type="array", elem_id="events"
        )
        after = gr.State(None)
        more = gr.Button("Older events", size="sm", visible=False)
        page = [heading, signed_in, chosen, recent, after, more]
        app.load(refresh, outputs=page, api_name="refresh")
        again.click(refresh, outputs=page, api_name=False)
        more.click(older, inputs=[recent, after], outputs=[recent, after, more], api_name=False)
        ending.click(end, inputs=chosen, outputs=page, api_name="end-sign-in")
    return app


if __name__ == "__main__":
    demo = build()
    demo.launch(**look())
