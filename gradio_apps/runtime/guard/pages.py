"""The guard's own pages: short, framed only by the portal, and with a link to the portal, never to a launch."""

from dataclasses import dataclass
from html import escape
from typing import Final, Literal, TypeAlias

from gradio_apps.runtime.guard.asgi import NO_STORE
from gradio_apps.runtime.guard.headers import strict_transport
from gradio_apps.runtime.guard.injection import script_tag
from gradio_apps.runtime.guard.settings import GuardSettings
from gradio_apps.runtime.progress import Progress
from portal.contract import PLACE_LOST, local_path
from portal.contract.known_addresses import PORTAL_PATHS, KnownAddress

Event: TypeAlias = Literal["", "session-ended", "portal-away", "app-starting", "app-failed", "renewed"] | KnownAddress
HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPage:
    """What one page says, and its one link."""

    title: str
    text: str
    link: str
    href: str
    new_tab: bool = False
    in_place: bool = False
    """Whether the link opens in the same frame."""
    event: Event = ""
    """What its script reports to the portal's page."""
    refresh: bool = False
    """Whether it reloads when the state of the app changes."""
    more: str = ""
    """A second sentence."""
    line: str = ""
    """A line of the app's log."""


class Pages:
    """The pages of one app's guard."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._portal = f"{settings.portal_url}/"
        self._home = f"{settings.portal_url}/apps/{settings.app}"
        self.headers: list[tuple[bytes, bytes]] = [
            NO_STORE,
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (
                b"content-security-policy",
                "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; "
                f"form-action 'none'; frame-ancestors {settings.portal_origin} 'self'".encode("ascii"),
            ),
            *strict_transport(settings),
        ]

    def app_page(self, path: str = "") -> str:
        """Return the portal's page of this app, at *path*; an unusable path leads to the start, with a note."""
        inside = local_path(path or "/", default=f"/?{PLACE_LOST}")
        return self._home + inside if inside != "/" else self._home

    def render(self, page: GuardPage) -> bytes:
        """Return *page* as HTML."""
        base = self._settings.path
        target = ' target="_blank" rel="noopener"' if page.new_tab else ' target="_top"'
        target = "" if page.in_place else target
        # Only without scripts: a page that keeps reloading is hard to read (WCAG 2.2, 2.2.1).
        refresh = '<noscript><meta http-equiv="refresh" content="2"></noscript>' if page.refresh else ""
        more = f'<p id="more">{escape(page.more)}</p>' if page.more else ""
        has_line = page.line or page.event == "app-starting"  # which the script fills in later
        line = f'<p><code id="line">{escape(page.line)}</code></p>' if has_line else ""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{refresh}'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(page.title)}</title>'
            f'<link rel="stylesheet" href="{escape(base)}/.portal/guard.css">'
            f"{script_tag(self._settings, event=page.event).decode('ascii')}</head>"
            f'<body class="guard"><main><h1>{escape(page.title)}</h1><p>{escape(page.text)}</p>{more}{line}'
            f'<p><a class="action" href="{escape(page.href)}"{target}>{escape(page.link)}</a></p>'
            "</main></body></html>\n"
        ).encode()

    def ended(self) -> GuardPage:
        """There is no session, or it has ended."""
        return GuardPage(
            title="Your session has ended",
            text=f"Your session in {self._settings.name} has ended.",
            link="Open again",
            href=self._home,
            event="session-ended",
        )

    def renewed(self) -> GuardPage:
        """A new session began, for a page that is open already; the script closes the small window."""
        return GuardPage(
            title="You can go on",
            text=f"{self._settings.name} goes on where you left it. You can close this window.",
            link=f"Open {self._settings.name}",
            href=f"{self._settings.path}/",
            in_place=True,
            event="renewed",
        )

    def used(self) -> GuardPage:
        """The ticket was refused."""
        return GuardPage(
            title="The app was not opened",
            text=f"The link to {self._settings.name} has expired or was already used.",
            link="Try again",
            href=self._home,
            event="session-ended",
        )

    def away(self) -> GuardPage:
        """The portal does not answer."""
        return GuardPage(
            title="One moment",
            text="The portal is not available at the moment. Nothing was lost. Try again in a minute.",
            link="Try again",
            href=self._home,
            event="portal-away",
        )

    def no_cookie(self) -> GuardPage:
        """The cookie did not come back."""
        return GuardPage(
            title=f"{self._settings.name} needs its own tab",
            text="Your browser blocks the app's cookie inside this page.",
            link=f"Open {self._settings.name} in a new tab",
            href=f"{self._home}?tab=1",
            new_tab=True,
        )

    def no_cookie_at_all(self) -> GuardPage:
        """The cookie did not come back although the app has a tab of its own."""
        return GuardPage(
            title="Cookies are blocked",
            text=f"Your browser blocks the cookie that {self._settings.name} needs to know who you are.",
            link="Go to your apps",
            href=self._portal,
        )

    def document(self, path: str) -> GuardPage:
        """The document at *path*, which this browser does not show in a frame."""
        address = self.app_page(path)
        return GuardPage(
            title="This document opens in its own tab",
            text="Your browser does not show it inside another page.",
            link="Open it",
            href=f"{address}{'&' if '?' in address else '?'}tab=1",
            new_tab=True,
        )

    def starting(self, progress: Progress) -> GuardPage:
        """The app is not ready yet; *progress* describes its start."""
        return GuardPage(
            title=f"{self._settings.name} is starting",
            text="The app opens here when it is ready.",
            link="Go to your apps",
            href=self._portal,
            event="app-starting",
            refresh=True,
            more=progress.summary(),
            line=progress.last_line,
        )

    def failed(self, progress: Progress) -> GuardPage:
        """The app did not start: the reason where it is known, but no traceback, which is for the administrator."""
        return GuardPage(
            title=f"{self._settings.name} did not start",
            text=progress.problem or "The app stopped with an error while it was loading.",
            more="It is restarted automatically, and opens here when it is ready. "
            "Your administrator can see the reason in its log.",
            link="Go to your apps",
            href=self._portal,
            event="app-failed",
            refresh=True,
        )

    def signed_in(self) -> GuardPage:
        """The app links to a sign-in page that it does not have, and that nobody needs here."""
        return GuardPage(
            title="You are signed in",
            text=f"{self._settings.name} knows who you are.",
            link=f"Open {self._settings.name}",
            href=f"{self._settings.path}/",
            in_place=True,
        )

    def leave(self, known: KnownAddress) -> GuardPage:
        """A page of the portal, which is shown outside the frame; the portal's own script goes there at once."""
        if known == "sign-out":
            return GuardPage(
                title="Sign out",
                text="You will be signed out of the portal and all its apps in this browser.",
                link="Continue to sign out",
                href=self.at_portal(known),
                event=known,
            )
        return GuardPage(
            title="This page opens outside the app",
            text="It belongs to the portal.",
            link="Open it",
            href=self.at_portal(known),
            event=known,
        )

    def at_portal(self, known: KnownAddress) -> str:
        """Return where the portal answers *known*."""
        return self._settings.portal_url + PORTAL_PATHS[known]
