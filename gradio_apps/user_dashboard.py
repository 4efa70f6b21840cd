"""The user's dashboard: the signed-in person's own data.

An ordinary Gradio app.  Without the portal, it shows that nobody is signed in.
"""

import os
import time
from html import escape

import gradio as gr

from gradio_apps.look import look
from gradio_apps.moments import ahead, exactly
from gradio_apps.visitor import Visitor, visitor_of

ALONE = (
    '<p class="alone">Nobody is signed in, because this app runs without the portal. '
    "Open it in the portal to see who you are.</p>"
)


def show_person(request: gr.Request) -> str:
    """Return the card of the current person."""
    visitor = visitor_of(request)
    return ALONE if visitor is None else card(visitor, now=int(time.time()), portal_url=os.environ.get("PORTAL_URL"))


def card(visitor: Visitor, *, now: int, portal_url: str | None) -> str:
    """Return *visitor* as HTML, with every value escaped."""
    name = visitor.name or visitor.username
    still = f'<span class="more">(at the latest, {ahead(visitor.signed_in_until, now=now)})</span>'
    facts = [
        ("E-mail", escape(visitor.email) if visitor.email else "unknown"),
        ("Tenant", escape(visitor.tenant_name or visitor.tenant or "none")),
        ("Roles in this app", _chips(visitor.roles)),
        ("Your sign-in ends", f"{exactly(visitor.signed_in_until)} {still}"),
    ]
    listed = "".join(f"<div><dt>{term}</dt><dd>{fact}</dd></div>" for term, fact in facts)
    return (
        f'<div class="identity">{_picture(visitor, name)}'
        f"<div><h2>{escape(name)}</h2><p>Signed in as {escape(visitor.username)}</p></div></div>"
        f'<dl class="facts">{listed}</dl>{_sign_out_link(portal_url)}'
    )


def _picture(visitor: Visitor, name: str) -> str:
    # Only https: another scheme could run as a script.
    if visitor.picture and visitor.picture.startswith("https://"):
        return f'<img class="picture" src="{escape(visitor.picture)}" alt="" referrerpolicy="no-referrer">'
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    return f'<span class="picture" aria-hidden="true">{escape(initials)}</span>'


def _chips(roles: frozenset[str]) -> str:
    if not roles:
        return '<span class="more">none</span>'
    return "".join(f'<span class="chip">{escape(role)}</span>' for role in sorted(roles))


def _sign_out_link(portal_url: str | None) -> str:
    if portal_url is None:
        return ""
    # In the whole window: the portal's page may not be framed.
    return f'<p class="leave"><a href="{escape(portal_url)}/sign-out" target="_top">Sign out</a></p>'


def build() -> gr.Blocks:
    """Build the app."""
    with gr.Blocks(title="Your sign-in") as app:
        gr.Markdown("# Your sign-in\nWhat the portal tells apps about you.")
        identity = gr.HTML(js_on_load=None, elem_id="identity")
        app.load(show_person, outputs=identity, api_name="who-is-here")
    return app


if __name__ == "__main__":
    demo = build()
    demo.launch(**look())
