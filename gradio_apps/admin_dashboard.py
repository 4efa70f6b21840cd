"""The admin's dashboard: who is signed in to their tenant, and recent events.

An ordinary Gradio app.  It calls the portal's API with the rights of the admin who uses it, so it can show and end
only what they may: whatever a browser sends here, the portal decides.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sized
from html import escape
from typing import Any, TypeVar

import gradio as gr

from gradio_apps.look import look
from gradio_apps.moments import ago, ahead, exactly
from gradio_apps.portal_api import Event, EventKind, EventPage, PortalApi, PortalApiError, SignedIn
from gradio_apps.visitor import visitor_of

SIGN_IN_HEADERS = ["Name", "E-mail", "Roles", "Provider", "Since", "Last seen", "Ends"]
EVENT_HEADERS = ["When", "What", "Who", "App", "Detail"]
_OWN_EVENT = "api-used"
_PER_PAGE = 50
_NO_EVENTS = EventPage(events=(), next=None)
_ONE, _PERSON, _ALL = "sign-in:", "person:", "all"
"""Values of choices, or how they begin."""
KINDS = [("All", _ALL), ("Ended and changed", "changes"), ("Refused", "refusals"), ("Came and went", "access")]
"""Which events to show.  Many of one kind, which anyone can cause, do not hide the others."""
_KINDS: Mapping[str, EventKind] = {"changes": "changes", "refusals": "refusals", "access": "access"}
_ENDING_NEEDS_A_CHOICE = "Choose a sign-in first."

T = TypeVar("T")

Rows = list[list[str]]
Page = tuple[str, Rows, Any, Rows, str | None, Any]
"""Heading, table of sign-ins, choices, table of events, its cursor, the button for older events."""
Question = tuple[str | None, str, Any, Any]
"""What is asked about, the question, the button that says yes, and the column around them."""


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
    """Return what can be ended, each with a label: single sign-ins, all of a person who has several, and all.

    Only single ones include the current one.  A label of a single one is unique also for two of one person.
    """
    listed = tuple(sign_ins)
    single = [
        (f"{_who(one)}, since {exactly(one.since)}, last seen {ago(one.last_seen, now=now)}", f"{_ONE}{one.id}")
        for one in listed
    ]
    others = [one for one in listed if not one.current]
    of_person: dict[str, list[SignedIn]] = {}
    for one in others:
        of_person.setdefault(one.person, []).append(one)
    persons = [
        (f"All {_counted(theirs)} of {_person(theirs[0])}", f"{_PERSON}{person}")
        for person, theirs in of_person.items()
        if person and len(theirs) > 1
    ]
    everyone = [(f"All {_counted(others)} but the one you use here", _ALL)] if len(others) > 1 else []
    return [*single, *persons, *everyone]


def chosen_among(sign_ins: Iterable[SignedIn], choice: str) -> tuple[SignedIn, ...]:
    """Return those of *sign_ins* that *choice*, a value of :func:`choices`, ends."""
    if choice.startswith(_ONE):
        return tuple(one for one in sign_ins if one.id == choice.removeprefix(_ONE))
    others = tuple(one for one in sign_ins if not one.current)
    if choice.startswith(_PERSON):
        return tuple(one for one in others if one.person and one.person == choice.removeprefix(_PERSON))
    return others if choice == _ALL else ()


def _address(one: SignedIn) -> str:
    """Return the address of *one*, marked if the provider did not verify it."""
    return one.email if one.email_verified or not one.email else f"{one.email} (not verified)"


def _who(one: SignedIn) -> str:
    return f"{one.name or _address(one) or 'No name'}{' (you, here)' if one.current else ''}"


def _person(one: SignedIn) -> str:
    """Return a name for the person of *one*, with the address and the provider that tell two of one name apart."""
    return ", ".join(part for part in (one.name or "No name", _address(one), one.provider) if part)


def _counted(sign_ins: Sized) -> str:
    return "1 sign-in" if len(sign_ins) == 1 else f"{len(sign_ins)} sign-ins"


def refresh(request: gr.Request, kind: str = _ALL) -> Page:
    """Return the current content of the page, with events of *kind*, one of :data:`KINDS`."""
    visitor = visitor_of(request)
    if visitor is None:
        alone = "Nobody is signed in, because this app runs without the portal. Open it in the portal."
        return alone, [], _dropdown([]), [], None, _button(None)
    now = int(time.time())
    portal = PortalApi.of(request)
    none: tuple[SignedIn, ...] = ()
    sign_ins = _or_toast(portal.sign_ins, none)
    page = _or_toast(lambda: _events(portal, kind=kind, after=None), _NO_EVENTS)
    tenant = visitor.tenant_name or visitor.tenant
    heading = f"{_counted(sign_ins)}{f' to **{_plain(tenant)}**' if tenant else ''}, as of {exactly(now)}."
    table = sign_in_rows(sign_ins, now=now)
    offered = _dropdown(choices(sign_ins, now=now))
    return heading, table, offered, event_rows(page.events), page.next, _button(page.next)


def shown(kind: str, request: gr.Request) -> tuple[Rows, str | None, Any]:
    """Return the table of the latest events of *kind*, and the next cursor."""
    page = _or_toast(lambda: _events(PortalApi.of(request), kind=kind, after=None), _NO_EVENTS)
    return event_rows(page.events), page.next, _button(page.next)


def older(rows: Rows, after: str | None, request: gr.Request, kind: str = _ALL) -> tuple[Rows, str | None, Any]:
    """Return the table of events of *kind* with a page of older ones added, and the next cursor."""
    if after is None:
        return rows, None, _button(None)
    unread = EventPage(events=(), next=after)
    page = _or_toast(lambda: _events(PortalApi.of(request), kind=kind, after=after), unread)
    return [*rows, *event_rows(page.events)], page.next, _button(page.next)


def _events(portal: PortalApi, *, kind: str, after: str | None) -> EventPage:
    """Return a page of events of *kind*, without those that this dashboard causes itself."""
    return portal.audit_page(limit=_PER_PAGE, after=after, kind=_KINDS.get(kind), without=(_OWN_EVENT,))


def ask(choice: str | None, request: gr.Request) -> Question:
    """Ask whether to end what was chosen, and say how many that is now."""
    if not choice:
        gr.Warning(_ENDING_NEEDS_A_CHOICE)
        return _no_question()
    none: tuple[SignedIn, ...] = ()
    listed = _or_toast(PortalApi.of(request).sign_ins, none)
    ended = chosen_among(listed, choice)
    if not ended:
        if listed:
            gr.Warning("It has ended already.")
        return _no_question()
    whose = ", all but the one you use here" if choice == _ALL else f" of {_person(ended[0])}"
    text = f"End <strong>{_counted(ended)}</strong>{escape(whose)}? What is open in apps ends too."
    return choice, f"<p>{text}</p>", gr.Button(f"Yes, end {_counted(ended)}"), gr.Column(visible=True)


def keep() -> Question:
    """End nothing."""
    return _no_question()


def end(asked: str | None, request: gr.Request, kind: str = _ALL) -> tuple[Any, ...]:
    """End what was asked about, and return the new content of the page, without a question."""
    if not asked:
        gr.Warning(_ENDING_NEEDS_A_CHOICE)
    else:
        try:
            gr.Info(f"{_end(asked, PortalApi.of(request))}, in the portal and in every app.")
        except PortalApiError as error:
            gr.Warning(str(error))
    return (*refresh(request, kind), *_no_question())


def _end(asked: str, portal: PortalApi) -> str:
    if asked.startswith(_ONE):
        portal.end_sign_in(asked.removeprefix(_ONE))
        return "The sign-in has ended"
    is_all = asked == _ALL
    count = portal.end_all_sign_ins() if is_all else portal.end_sign_ins_of(asked.removeprefix(_PERSON))
    return "1 sign-in has ended" if count == 1 else f"{count} sign-ins have ended"


def _no_question() -> Question:
    return None, "", gr.Button("Yes, end it"), gr.Column(visible=False)


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
                label="End sign-ins", info="They end in the portal and in every app.", scale=3, min_width=240
            )
            asking = gr.Button("End…", variant="stop", size="md", scale=0, min_width=120)
        with gr.Column(visible=False, elem_id="question") as question:
            text = gr.HTML()
            with gr.Row():
                ending = gr.Button("Yes, end it", variant="stop", size="md", scale=0, min_width=220)
                keeping = gr.Button("No", size="md", scale=0, min_width=120)
        asked = gr.State(None)
        kind = gr.Radio(KINDS, value=_ALL, label="Events")
        recent = gr.Dataframe(
            headers=EVENT_HEADERS, label="Recent events", interactive=False, wrap=True, type="array", elem_id="events"
        )
        after = gr.State(None)
        more = gr.Button("Older events", size="sm", visible=False)
        page = [heading, signed_in, chosen, recent, after, more]
        app.load(refresh, outputs=page, api_name="refresh")
        again.click(refresh, inputs=kind, outputs=page, api_name=False)
        listed = [recent, after, more]
        kind.change(shown, inputs=kind, outputs=listed, api_name=False)
        more.click(older, inputs=[recent, after, kind], outputs=listed, api_name=False)
        answer = [asked, text, ending, question]
        asking.click(ask, inputs=chosen, outputs=answer, api_name=False)
        keeping.click(keep, outputs=answer, api_name=False)
        # What was asked about, not what is chosen by now.
        ending.click(end, inputs=[asked, kind], outputs=[*page, *answer], api_name=False)
    return app


if __name__ == "__main__":
    demo = build()
    demo.launch(**look())
