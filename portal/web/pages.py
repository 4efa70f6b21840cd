"""Every page, as the values its template needs.

A template gets ``page`` (one of the classes below), ``shell`` (the values around every page) and nothing
else: an undefined name is an error, in production too.
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
class PersonView:
    """A person, as pages show them."""

    name: str
    """Name, else e-mail address, else "No name"."""
    initials: str
    """One or two letters, shown instead of a missing picture."""
    email: str | None
    picture: str | None
    """An https URL that the page's policy allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Values around every page."""

    title: str
    """Name of this portal."""
    theme: str | None
    """``light`` or ``dark``; ``None`` follows the system."""
    person: PersonView | None
    """The signed-in person, if this request looked them up."""
    reference: str
    """Identifies this request in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderButton:
    """One button of the sign-in page."""

    invitation: str
    """Text before the label, such as "Continue with"."""
    label: str
    href: str
    mark: str
    """A symbol of ``static/marks.svg``."""
    was_last: bool
    """Whether there are several and this browser used it last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """The sign-in page."""

    template: ClassVar[str] = "sign_in/index.html"

    going_to: str | None
    """Path of the next page; ``None`` for the home page.  Never an app's title, which must not be revealed."""
    target: str
    """Local path and query of the next page."""
    buttons: tuple[ProviderButton, ...]
    asks_address: bool
    """Whether there is a field for an e-mail address."""
    address: str
    """The address that was entered."""
    address_unknown: bool
    """Whether no provider has this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInPage:
    """In the small window that an app's page opened: the person is signed in again."""

    template: ClassVar[str] = "sign_in/signed_in.html"


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
    """The person is signed out."""

    template: ClassVar[str] = "sign_out/signed_out.html"

    provider_label: str | None
    """The provider they were signed in with, if known."""
    at_provider: bool
    """Whether the provider has proved that they are signed out there too."""
    provider_href: str | None = None
    """Where to sign out there, if known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What went wrong, in a sentence for *code*."""

    template: ClassVar[str] = "errors/error.html"

    code: str
    retry: str | None = None
    """Path to try again; an absolute URL if *address* is given."""
    address: str | None = None
    """The portal's own address, if the request used another one."""
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
    """The apps the person may open."""

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
    path_lost: bool = False
    """Whether the requested path inside the app cannot be opened, so that the app opens on its first page."""
    longest_address: int = 0
    """Maximum characters of a path inside the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPage:
    """One form that posts itself: the ticket, to the app."""

    template: ClassVar[str] = "apps/launch.html"

    title: str
    action: str
    ticket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSignedOutPage:
    """Inside the frame: the person is signed out."""

    template: ClassVar[str] = "apps/frame_signed_out.html"

    href: str
    """Path of the sign-in page that leads back to the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLeavePage:
    """Inside the frame: leads to a page of the portal outside it."""

    template: ClassVar[str] = "known_addresses/leave_frame.html"

    signs_out: bool
    """Whether that page is the one for signing out."""
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChoice:
    """One tenant of the person."""

    tenant: str
    label: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedPage:
    """Access to an app is denied: why, and what would give access."""

    template: ClassVar[str] = "apps/denied.html"

    app_title: str
    missing: tuple[str, ...]
    """Roles of which any one gives access; empty if no one has access."""
    groups_unknown: bool
    """Whether a group that the portal does not know might give one of them."""
    wrong_tenant: bool
    """Whether the tenant, not a role, is the reason."""
    identity: Identity
    provider_label: str
    tenant_name: str | None
    switches: tuple[TenantChoice, ...]
    """The person's other tenants that give access."""
    csrf: str
    here: str
    """Path of the app page, to return to after a switch."""
    framed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSignIn:
    """A sign-in of the same person in another browser."""

    id: str
    browser: str
    provider_label: str
    tenant_name: str | None
    created_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """The person's account: tenant, roles and sign-ins."""

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
    """How long without use ends it earlier, in words."""
    browser: str
    refreshed_every: str | None
    """How often the claims are read again, in words; ``None``: they are as of sign-in."""
    other_sign_ins: tuple[OtherSignIn, ...]
    csrf: str


def render(page: Page) -> str:
    """Render *page* with its own values and the shell."""
    return render_template(page.template, page=page, shell=current_shell())


def current_theme() -> str | None:
    """Return the theme that the person chose, or ``None`` to follow the system."""
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None


def current_shell() -> Shell:
    """Return the values around a page of this request."""
    sign_in = known_sign_in()
    return Shell(
        title=services().settings.title,
        theme=current_theme(),
        person=None if sign_in is None else person_view(sign_in.identity),
        reference=g.get("reference", ""),
    )


def person_view(identity: Identity) -> PersonView:
    """Return *identity* as pages show it."""
    name = (identity.name or identity.email or "").strip() or "No name"
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()] or [name]
    initials = words[0][0] if len(words) == 1 else words[0][0] + words[-1][0]
    return PersonView(
        name=name, initials=initials.upper(), email=identity.email, picture=safe_picture(identity.picture)
    )
