"""The guard's own pages: short, framed by the portal only, and linking to its app page, never to a launch."""

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

Event: TypeAlias = Literal["", "session-ended", "app-starting", "app-failed"] | KnownAddress
HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One thing to say, and at most one thing to do about it."""

    title: str
    text: str
    link: str
    href: str
    new_tab: bool = False
    in_place: bool = False
    """Whether the link leads on where the page is, within the app."""
    event: Event = ""
    """What the script on it tells the portal's page."""
    refresh: bool = False
    """Whether it looks again by itself, until the app is in another state."""
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
        """Return the portal's page of this app, at *path*; where no address may carry that, it says so there."""
        inside = local_path(path or "/", default=f"/?{PLACE_LOST}")
        return self._home + inside if inside != "/" else self._home

    def render(self, page: Page) -> bytes:
        """Return *page* as HTML."""
        base = self._settings.path
        target = ' target="_blank" rel="noopener"' if page.new_tab else ' target="_top"'
        target = "" if page.in_place else target
        # Only without scripts: a page that comes again and again is hard to read (WCAG 2.2, 2.2.1).
        refresh = '<noscript><meta http-equiv="refresh" content="2"></noscript>' if page.refresh else ""
        more = f'<p id="more">{escape(page.more)}</p>' if page.more else ""
        progresses = page.event == "app-starting"
        line = f'<p><code id="line">{escape(page.line)}</code></p>' if page.line or progresses else ""
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{refresh}'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(page.title)}</title>'
            f'<link rel="stylesheet" href="{escape(base)}/.portal/guard.css">'
            f"{script_tag(self._settings, event=page.event).decode('ascii')}</head>"
            f'<body class="guard"><main><h1>{escape(page.title)}</h1><p>{escape(page.text)}</p>{more}{line}'
            f'<p><a class="action" href="{escape(page.href)}"{target}>{escape(page.link)}</a></p>'
            "</main></body></html>\n"
        ).encode()

    def ended(self) -> Page:
        """No session, or one that is over."""
        return Page(
            title="Your session has ended",
            text=f"You are not signed in to {self._settings.name} here any more.",
            link="Open it again",
            href=self._home,
            event="session-ended",
        )

    def used(self) -> Page:
        """A ticket that opens nothing."""
        return Page(
            title="This did not open",
            text=f"The hand-over to {self._settings.name} was used already, came too late, or is not valid.",
            link="Try again",
            href=self._home,
            event="session-ended",
        )

    def away(self) -> Page:
        """The portal does not answer."""
        return Page(
            title="One moment",
            text="The portal cannot be reached just now. Nothing is lost; please try again in a minute.",
            link="Try again",
            href=self._home,
        )

    def no_cookie(self) -> Page:
        """The cookie did not come back."""
        return Page(
            title="This app needs a tab of its own",
            text=f"Your browser did not keep the cookie of {self._settings.name} inside this page.",
            link=f"Open {self._settings.name} in a new tab",
            href=f"{self._home}?tab=1",
            new_tab=True,
        )

    def no_cookie_at_all(self) -> Page:
        """The cookie did not come back although the app has a tab of its own."""
        return Page(
            title="Cookies are switched off",
            text=f"{self._settings.name} cannot tell who you are, because your browser keeps no cookie of it.",
            link="Back to the portal",
            href=self._portal,
        )

    def document(self, path: str) -> Page:
        """The document at *path*, which this browser does not show in a frame."""
        place = self.app_page(path)
        return Page(
            title="This document opens in a tab of its own",
            text="Your browser does not show it inside another page.",
            link="Open it",
            href=f"{place}{'&' if '?' in place else '?'}tab=1",
            new_tab=True,
        )

    def starting(self, progress: Progress) -> Page:
        """The app is not ready yet, and has come as far as *progress* says."""
        return Page(
            title=f"{self._settings.name} is starting",
            text="The app opens here when it is ready.",
            link="Back to the portal",
            href=self._portal,
            event="app-starting",
            refresh=True,
            more=progress.in_words(),
            line=progress.last_line,
        )

    def failed(self, progress: Progress) -> Page:
        """The app did not start; why, as far as it is known, but no traceback: that is its operator's."""
        return Page(
            title=f"{self._settings.name} did not start",
            text=progress.problem or "The app stopped with an error while it was loading.",
            more="It is started again by itself, and opens here when it is ready. Its log says more to its operator.",
            link="Back to the portal",
            href=self._portal,
            event="app-failed",
            refresh=True,
        )

    def signed_in(self) -> Page:
        """The app leads to a sign-in page that it does not have and that is not needed."""
        return Page(
            title="You are signed in",
            text=f"{self._settings.name} knows who you are.",
            link=f"Open {self._settings.name}",
            href=f"{self._settings.path}/",
            in_place=True,
        )

    def leave(self, known: KnownAddress) -> Page:
        """A page that is the portal's, and shown outside the frame; the portal's page goes there by itself."""
        if known == "sign-out":
            return Page(
                title="Sign out",
                text="Signing out ends the portal and all its apps in this browser.",
                link="Go on to sign out",
                href=self.at_portal(known),
                event=known,
            )
        return Page(
            title="This page is the portal's",
            text=f"It opens outside {self._settings.name}.",
            link="Open it",
            href=self.at_portal(known),
            event=known,
        )

    def at_portal(self, known: KnownAddress) -> str:
        """Return where the portal answers *known*."""
        return self._settings.portal_url + PORTAL_PATHS[known]
