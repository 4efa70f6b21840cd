"""Every page, as the values its template needs.

A template sees ``page`` (one of the classes below), ``shell`` (what every page has around it)
and nothing ambient: an undefined name is an error, in production too.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from flask import g, render_template, request

from portal.rules.identity import Identity
from portal.rules.policy import Grant
from portal.web.current_sign_in import known_sign_in
from portal.web.pictures import safe_picture
from portal.web.services import services

THEMES = frozenset({"light", "dark"})
THEME_COOKIE = "portal-theme"


class Page(Protocol):
    """A set of values and the template that shows them."""

    template: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPerson:
    """Somebody, as pages show them."""

    name: str
    """Their name, else their address, else a word for somebody without either."""
    initials: str
    """One or two letters that stand for a missing picture."""
    email: str | None
    picture: str | None
    """An https address that the page's policy allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What stands around every page."""

    title: str
    """Name of this portal."""
    theme: str | None
    """``light`` or ``dark``; ``None`` follows the system."""
    person: ShownPerson | None
    """Who is signed in, as far as this request knows."""
    reference: str
    """Names this request in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderButton:
    """One place to sign in."""

    invitation: str
    """What stands before the label, such as "Continue with"."""
    label: str
    href: str
    mark: str
    """A drawing of ``static/marks.svg``."""
    was_last: bool
    """Whether this browser used it last, of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """Where to sign in, and where that leads."""

    template: ClassVar[str] = "sign_in/index.html"

    going_to: str | None
    """The path that follows; ``None`` for the home page.  Never an app's title: strangers must not learn of apps."""
    target: str
    """The local path and query that follow."""
    buttons: tuple[ProviderButton, ...]
    asks_address: bool
    """Whether an e-mail address leads to one of several providers."""
    address: str
    """What was typed there."""
    address_unknown: bool
    """Whether it led nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPage:
    """Sends the browser on to *href* by itself.

    Answers a POST that leads to another site: ``form-action`` of the page with the form would stop a redirect there,
    and every further one.  The next request also counts as caused by the portal's own page.
    """

    template: ClassVar[str] = "forward.html"

    heading: str
    link: str
    """Text of the link for browsers that do not move on."""
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOutPage:
    """Asks whether to sign out."""

    template: ClassVar[str] = "sign_out/index.html"

    csrf: str
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutPage:
    """Nobody is signed in here any more."""

    template: ClassVar[str] = "sign_out/signed_out.html"

    provider_label: str | None
    """Where the person was signed in, if that is known."""
    at_provider: bool
    """Whether the sign-in at the provider ended too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What went wrong, in a sentence chosen by *code*."""

    template: ClassVar[str] = "errors/error.html"

    code: str
    retry: str | None = None
    """Path that may work when tried again, or at the portal's own address the whole of it."""
    address: str | None = None
    """The portal's own address, where it was asked for at another one."""
    framed: bool = False
    """Whether the page is shown inside the app page's frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCard:
    """One app of the catalogue."""

    slug: str
    title: str
    description: str
    icon: str
    """One emoji or up to two letters; never empty."""
    tint: int
    """Which of the six card colours, 0 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePage:
    """The apps somebody may open."""

    template: ClassVar[str] = "catalogue/index.html"

    first_name: str | None
    tenant_name: str | None
    cards: tuple[AppCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPage:
    """One app in its frame."""

    template: ClassVar[str] = "apps/app.html"

    card: AppCard
    tenant_name: str | None
    frame_src: str
    """Path of the launch that fills the frame."""
    app_origin: str
    allow: str
    """The frame's ``allow`` attribute: features for the app's origin alone."""
    tab_href: str
    """The same app in a tab of its own."""
    place_lost: bool = False
    """Whether the place inside the app that was asked for cannot be opened, so that the app opens at its start."""
    longest_address: int = 0
    """Characters that an address may have for its place to be opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPage:
    """One form that posts itself: the ticket, to the app."""

    template: ClassVar[str] = "apps/launch.html"

    title: str
    action: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSignedOutPage:
    """Inside the frame: the sign-in has ended."""

    template: ClassVar[str] = "apps/frame_signed_out.html"

    href: str
    """The sign-in page that leads back to the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLeavePage:
    """Inside the frame: the page that is meant is the portal's, and shown outside."""

    template: ClassVar[str] = "known_addresses/leave_frame.html"

    signs_out: bool
    """Whether it is the one that asks about signing out."""
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChoice:
    """One tenant somebody belongs to."""

    tenant: str
    label: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedPage:
    """An app that stays closed, and what would open it."""

    template: ClassVar[str] = "apps/denied.html"

    app_title: str
    missing: tuple[str, ...]
    """Roles any one of which would have opened it; none where it is open to nobody."""
    groups_unknown: bool
    """Whether a group that the portal does not know of might give one of them."""
    wrong_tenant: bool
    """Whether it is the tenant, not a role, that keeps them out."""
    identity: Identity
    provider_label: str
    tenant_name: str | None
    switches: tuple[TenantChoice, ...]
    """Other tenants of theirs in which it would open."""
    csrf: str
    here: str
    """Path of the app page, to come back to after a switch."""
    framed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSignIn:
    """A sign-in of the same person somewhere else."""

    id: str
    browser: str
    tenant_name: str | None
    last_seen_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """Who somebody is here, in which tenant, with which roles and until when."""

    template: ClassVar[str] = "account/index.html"

    identity: Identity
    provider_label: str
    tenant_name: str | None
    tenants: tuple[TenantChoice, ...]
    grants: tuple[Grant, ...]
    signed_in_at: int
    ends_at: int
    """When the sign-in ends at the latest."""
    idle_hours: str
    """After how long without use it ends earlier, in words."""
    elsewhere: tuple[OtherSignIn, ...]
    csrf: str


def render(page: Page) -> str:
    """Render *page* with its own values and the shell, and nothing ambient."""
    return render_template(page.template, page=page, shell=current_shell())


def current_theme() -> str | None:
    """Return the theme the person chose, or ``None`` where the system decides."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None


def current_shell() -> Shell:
    """Return what stands around a page of this request."""
    sign_in = known_sign_in()
    return Shell(
        title=services().settings.title,
        theme=current_theme(),
        person=None if sign_in is None else shown(sign_in.identity),
        reference=g.get("reference", ""),
    )


def shown(identity: Identity) -> ShownPerson:
    """Return how pages show *identity*."""
    name = (identity.name or identity.email or "").strip() or "No name"
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()] or [name]
    initials = words[0][0] if len(words) == 1 else words[0][0] + words[-1][0]
    return ShownPerson(
        name=name, initials=initials.upper(), email=identity.email, picture=safe_picture(identity.picture)
    )
