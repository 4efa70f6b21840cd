"""One app: its page with bar and frame, and the launch that fills the frame.

The page may be linked from anywhere.  The launch, which issues a ticket, must come from the portal's own page.
"""

import logging
from dataclasses import dataclass
from typing import ClassVar, Final, NoReturn
from urllib.parse import quote

from flask import Blueprint, abort, g, make_response, redirect, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.routing import PathConverter

from portal.access.audit_events import AuditEvent, denial_fields
from portal.access.sign_ins import SignIn
from portal.contract import MAX_PATH, PLACE_LOST, in_query, local_path
from portal.contract.guard_paths import RENEWED_PATH, SESSION_PATH
from portal.errors import PortalError
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, Denial, Denied, Standing, may_open, reason_of, standing_in
from portal.rules.redirects import safe_next
from portal.web.browser_sessions import csrf_token
from portal.web.current_sign_in import current_sign_in, request_target, require_sign_in, sign_in_path, standing_of
from portal.web.headers import widen
from portal.web.labels import provider_label, tenant_label
from portal.web.pages import (
    AppPage,
    DeniedPage,
    ForwardPage,
    FrameSignedOutPage,
    LaunchPage,
    TenantChoice,
    current_theme,
    render,
)
from portal.web.request_origin import PURPOSES, launch_refusal
from portal.web.services import services
from portal.web.views.catalogue import card_of

blueprint = Blueprint("apps", __name__)


class PathOfApp(PathConverter):
    """The rest of a path, unchanged: Werkzeug's ``path`` accepts no leading slash and no line break."""

    regex = "(?s:.+?)"
    part_isolating = False


@blueprint.record
def _add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["path_of_app"] = PathOfApp


_LOGGER: Final = logging.getLogger("portal.apps")
_ALONE: Final = "tab=1"
"""Query parameter that opens the app without the portal around it."""
_RENEWAL: Final = "portal-renewal=1"
"""Query parameter of the small window that begins a new session for pages of the app that are open."""


@dataclass(frozen=True, slots=True)
class AppLocation:
    """The location inside an app that its page's address names."""

    path: str
    """Local path inside the app."""
    alone: bool
    """Whether to show the app without the portal around it."""
    lost: bool
    """Whether the path cannot be used, so that *path* is the app's first page."""


class LaunchRefused(PortalError):
    """Something other than the portal's own page or the person requested a launch."""

    code: ClassVar[str] = "launch-refused"
    status: ClassVar[int] = 403


@blueprint.get("/apps/<slug>/", defaults={"rest": ""})
@blueprint.get("/apps/<slug>/<path_of_app:rest>")
def open_app(slug: str, rest: str) -> ResponseReturnValue:  # noqa: ARG001 - read undecoded from the request target
    """Show the app in its frame, or forward to the app alone for ``?tab=1``."""
    location = location_within(slug, request_target())
    sign_in = require_sign_in(otherwise=start_of(slug, alone=location.alone))
    app, allowed = _decide(slug, sign_in)
    path = location.path
    launch_path = f"/apps/{quote(slug)}/.portal/launch?next={in_query(path)}"
    if location.alone and not location.lost:
        return render(ForwardPage(heading=f"Opening {app.title}", link=f"Open {app.title}", href=launch_path))
    widen(frame_src=("'self'", app.origin), features=app.browser)
    return render(
        AppPage(
            card=card_of(app),
            tenant_name=tenant_label(allowed.standing),
            frame_src=launch_path,
            app_origin=app.origin,
            allow="; ".join(f"{feature} {app.origin}" for feature in app.browser),
            tab_href=f"/apps/{quote(slug)}{path}{'&' if '?' in path else '?'}{_ALONE}",
            path_lost=location.lost,
            longest_address=MAX_PATH,
        )
    )


@blueprint.get("/apps/<slug>/.portal/launch")
def launch(slug: str) -> ResponseReturnValue:
    """Answer with a form that posts a new ticket to the app."""
    # strict-origin: stricter policies send "Origin: null" with the POST, which guards never accept.
    widen(frame_ancestors="'self'", referrer="strict-origin")
    _refuse_foreign_launch()
    inside = local_path(request.args.get("next"))
    sign_in = current_sign_in()
    if sign_in is None:
        return _signed_out(sign_in_path(f"/apps/{quote(slug)}{inside}", otherwise=start_of(slug)))
    app, allowed = _decide(slug, sign_in)
    path = from_start(inside, start=app.start)
    ticket = services().app_sessions.issue(
        allowed, sign_in=sign_in, next=with_theme(path, current_theme()), now=services().clock()
    )
    widen(form_action=(app.origin,))
    return render(LaunchPage(title=app.title, action=f"{app.url}{SESSION_PATH}", ticket=ticket))


def location_within(slug: str, address: str) -> AppLocation:
    """Return the location inside the app that *address*, a path and query of the app's page, names.

    The query belongs to the app, except for the parameters of portal and guard: ``tab=1``,
    :data:`_RENEWAL` and :data:`PLACE_LOST`.
    """
    path, _, query = address.removeprefix(f"/apps/{quote(slug)}").partition("?")
    fields = [field for field in query.split("&") if field]
    if _RENEWAL in fields:
        return AppLocation(path=RENEWED_PATH, alone=True, lost=False)
    own_fields = [field for field in fields if field not in {_ALONE, PLACE_LOST}]
    inside = local_path(f"{path or '/'}{'?' if own_fields else ''}{'&'.join(own_fields)}", default="")
    return AppLocation(path=inside or "/", alone=_ALONE in fields, lost=not inside or PLACE_LOST in fields)


def start_of(slug: str, *, alone: bool = False) -> str:
    """Return the address of the app's page that reports that a path inside the app could not be used."""
    return f"/apps/{quote(slug)}/?{PLACE_LOST}{f'&{_ALONE}' if alone else ''}"


def from_start(path: str, *, start: str) -> str:
    """Return *path*; for the app's first page, *start* with the query and fragment of *path*."""
    rest = path.removeprefix("/")
    if rest[:1] not in {"", "?", "#"}:
        return path
    if rest[:1] == "?" and "?" in start:
        rest = f"&{rest[1:]}"
    return local_path(start.partition("#")[0] + rest if rest else start)


def with_theme(path: str, theme: str | None) -> str:
    """Return *path* with Gradio's ``__theme`` for *theme*, unless it has one."""
    if theme is None or "__theme=" in path:
        return path
    before, mark, fragment = path.partition("#")
    return local_path(f"{before}{'&' if '?' in before else '?'}__theme={theme}{mark}{fragment}", default=path)


def _refuse_foreign_launch() -> None:
    headers = request.headers
    refusal = launch_refusal(
        site=headers.get("Sec-Fetch-Site"),
        mode=headers.get("Sec-Fetch-Mode"),
        dest=headers.get("Sec-Fetch-Dest"),
        purposes=map(headers.get, PURPOSES),
        origin=headers.get("Origin"),
        referer=headers.get("Referer"),
        own_origin=services().settings.origin,
    )
    if refusal is not None:
        raise LaunchRefused(refusal.value)


def _decide(slug: str, sign_in: SignIn) -> tuple[AppSpec, Allowed]:
    """Return the app and the permission to open it, or abort with the page that gives the reason."""
    standing = standing_of(sign_in)
    app = services().settings.catalogue.find(slug)
    decision = may_open(app, standing=standing)
    if isinstance(decision, Denied):
        _deny(app, decision, sign_in, standing)
    return decision.app, decision


def _deny(app: AppSpec | None, denied: Denied, sign_in: SignIn, standing: Standing) -> NoReturn:
    """Abort with the page that names the missing role.

    An app of another tenant or provider gets the same 404 as one that does not exist: people must not learn which apps
    there are.
    """
    switches = () if app is None else tuple(_switches(app, standing))
    wrong_tenant = denied.denial is Denial.NOT_IN_TENANT
    is_hidden = app is None or denied.denial is Denial.OTHER_PROVIDER or (wrong_tenant and not switches)
    # The tenant's admins read the audit: it must not reveal other tenants' apps either.
    rules, identity = services().settings.roles, sign_in.identity
    recorded = Denied(Denial.UNKNOWN_APP) if is_hidden else denied
    services().audit.record(
        AuditEvent.APP_DENIED,
        now=services().clock(),
        identity=sign_in.identity,
        tenant=sign_in.tenant,
        app=None if app is None or is_hidden else app.slug,
        detail=reason_of(recorded, rules=rules, identity=identity),
        fields=denial_fields(recorded, rules=rules, identity=identity),
        reference=g.get("reference", ""),
    )
    if app is None or is_hidden:
        if app is not None:  # the log may name it
            fields = {"app": app.slug, "denial": denied.denial.value}
            _LOGGER.info("app hidden from this person", extra={"fields": fields})
        abort(404)
    services().metrics.count_refusal(denied.denial.value)
    page = DeniedPage(
        app_title=app.title,
        missing=tuple(sorted(denied.missing)),
        groups_unknown=denied.denial is Denial.GROUPS_UNKNOWN,
        wrong_tenant=wrong_tenant,
        identity=sign_in.identity,
        provider_label=provider_label(sign_in.identity.provider),
        tenant_name=tenant_label(standing),
        switches=switches,
        csrf=csrf_token(),
        here=_page_to_return_to(app.slug),
        framed=request.endpoint == "apps.launch",
    )
    abort(make_response(render(page), 403))


def _page_to_return_to(slug: str) -> str:
    """Return the app's page with the requested path inside the app."""
    framed = request.endpoint == "apps.launch"
    page = f"/apps/{quote(slug)}{local_path(request.args.get('next'))}" if framed else request_target()
    return safe_next(page, default=start_of(slug))


def _switches(app: AppSpec, standing: Standing) -> list[TenantChoice]:
    """Return the person's other tenants in which they may open *app*."""
    rules = services().settings.roles
    others = (
        standing_in(standing.identity, tenant=tenant, rules=rules)
        for tenant in standing.identity.tenants
        if tenant != standing.tenant
    )
    return [
        TenantChoice(tenant=other.tenant, label=tenant_label(other) or other.tenant, current=False)
        for other in others
        if other is not None and may_open(app, standing=other)
    ]


def _signed_out(href: str) -> ResponseReturnValue:
    if request.headers.get("Sec-Fetch-Dest") == "iframe":
        return render(FrameSignedOutPage(href=href)), 403
    return redirect(href, 303)
