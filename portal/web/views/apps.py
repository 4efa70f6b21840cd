"""One app: its page with bar and frame, and the launch that fills the frame.

The page may be linked from anywhere; the launch, which hands out a ticket, only follows from
the portal's own page.
"""

import logging
from dataclasses import dataclass
from typing import ClassVar, Final, NoReturn
from urllib.parse import quote

from flask import Blueprint, abort, g, make_response, redirect, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.routing import PathConverter

from portal.access.audit import AuditEvent
from portal.access.sign_ins import SignIn
from portal.contract import MAX_PATH, PLACE_LOST, in_query, local_path
from portal.errors import PortalError
from portal.rules.catalogue import AppSpec
from portal.rules.policy import Allowed, Denial, Denied, Standing, may_open, reason_of, standing_in
from portal.rules.redirects import safe_next
from portal.web.browser_sessions import csrf_token
from portal.web.current_sign_in import current_sign_in, here, require_sign_in, sign_in_path, standing_of
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
from portal.web.request_origin import launch_refusal
from portal.web.services import services
from portal.web.views.catalogue import card_of

blueprint = Blueprint("apps", __name__)


class PathOfApp(PathConverter):
    """The rest of a path, as it is: ``path`` takes neither a slash at its beginning nor a line break."""

    regex = "(?s:.+?)"
    part_isolating = False


@blueprint.record
def _know_paths_of_apps(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["path_of_app"] = PathOfApp


_LOGGER: Final = logging.getLogger("portal.apps")


_ALONE: Final = "tab=1"
"""The field of a query that asks for the app without the portal around it."""


@dataclass(frozen=True, slots=True)
class AppLocation:
    """Where inside an app an address of its page leads."""

    path: str
    """Local path in the app."""
    alone: bool
    """Whether the app is to be shown without the portal around it."""
    lost: bool
    """Whether the address names a place that no path of ours can name, so that *path* is the app's start."""


class LaunchRefused(PortalError):
    """Something other than the portal's own page, or the person, asked for a ticket."""

    code: ClassVar[str] = "launch-refused"
    status: ClassVar[int] = 403


@blueprint.get("/apps/<slug>/", defaults={"rest": ""})
@blueprint.get("/apps/<slug>/<path_of_app:rest>")
def open_app(slug: str, rest: str) -> ResponseReturnValue:  # noqa: ARG001 - read undecoded by path_within
    """Show the app in its frame, or move on to it alone for ``?tab=1``."""
    place = place_within(slug, here())
    sign_in = require_sign_in(otherwise=start_of(slug, alone=place.alone))
    app, allowed = _decide(slug, sign_in)
    path = place.path
    launch_path = f"/apps/{quote(slug)}/.portal/launch?next={in_query(path)}"
    if place.alone and not place.lost:
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
            place_lost=place.lost,
            longest_address=MAX_PATH,
        )
    )


@blueprint.get("/apps/<slug>/.portal/launch")
def launch(slug: str) -> ResponseReturnValue:
    """Hand the person to the app: a form with a fresh ticket that posts itself."""
    # strict-origin: under stricter policies the POST would say "Origin: null", which guards never accept.
    widen(frame_ancestors="'self'", referrer="strict-origin")
    _refuse_foreign_launch()
    wanted = local_path(request.args.get("next"))
    sign_in = current_sign_in()
    if sign_in is None:
        return _signed_out(sign_in_path(f"/apps/{quote(slug)}{wanted}", otherwise=start_of(slug)))
    app, allowed = _decide(slug, sign_in)
    path = from_start(wanted, start=app.start)
    ticket = services().app_sessions.issue(
        allowed, sign_in=sign_in, next=with_theme(path, current_theme()), now=services().clock()
    )
    widen(form_action=(app.origin,))
    return render(LaunchPage(title=app.title, action=f"{app.url}/.portal/session", ticket=ticket))


def place_within(slug: str, address: str) -> AppLocation:
    """Return the place that *address*, a path of the portal below the app's page, names inside the app.

    The query belongs to the app, but for what portal and guard put there: ``tab=1``, and that the place was lost.
    """
    path, _, query = address.removeprefix(f"/apps/{quote(slug)}").partition("?")
    fields = [field for field in query.split("&") if field]
    kept = [field for field in fields if field not in {_ALONE, PLACE_LOST}]
    inside = local_path(f"{path or '/'}{'?' if kept else ''}{'&'.join(kept)}", default="")
    return AppLocation(path=inside or "/", alone=_ALONE in fields, lost=not inside or PLACE_LOST in fields)


def start_of(slug: str, *, alone: bool = False) -> str:
    """Return the address of the app's page that says that a place inside the app was lost on the way there."""
    return f"/apps/{quote(slug)}/?{PLACE_LOST}{f'&{_ALONE}' if alone else ''}"


def from_start(path: str, *, start: str) -> str:
    """Return *path*, or where it is the app's first page, *start* with what follows there: a query, a fragment."""
    rest = path.removeprefix("/")
    if rest[:1] not in {"", "?", "#"}:
        return path
    if rest[:1] == "?" and "?" in start:
        rest = f"&{rest[1:]}"
    return local_path(start.partition("#")[0] + rest if rest else start)


def with_theme(path: str, theme: str | None) -> str:
    """Return *path* with Gradio's ``__theme`` for the *theme* somebody chose; one that is there stays."""
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
        purpose=headers.get("Sec-Purpose") or headers.get("Purpose") or headers.get("X-Moz"),
        origin=headers.get("Origin"),
        referer=headers.get("Referer"),
        own_origin=services().settings.origin,
    )
    if refusal is not None:
        raise LaunchRefused(refusal.value)


def _decide(slug: str, sign_in: SignIn) -> tuple[AppSpec, Allowed]:
    """Return the app and the permission to open it, or leave the view with the page that says why not."""
    standing = standing_of(sign_in)
    app = services().settings.catalogue.find(slug)
    decision = may_open(app, standing=standing)
    if isinstance(decision, Denied):
        _deny(app, decision, sign_in, standing)
    return decision.app, decision


def _deny(app: AppSpec | None, denied: Denied, sign_in: SignIn, standing: Standing) -> NoReturn:
    """Leave the view with the page that says which role is missing.

    An app that does not exist and one of another tenant's or provider's are the same 404: they must
    not learn which apps there are.
    """
    switches = () if app is None else tuple(_switches(app, standing))
    wrong_tenant = denied.denial is Denial.NOT_IN_TENANT
    is_hidden = app is None or denied.denial is Denial.OTHER_PROVIDER or (wrong_tenant and not switches)
    # The tenant's admins read the audit: there, too, an app of another tenant's does not exist.
    rules, identity = services().settings.roles, sign_in.identity
    reason = Denial.UNKNOWN_APP.value if is_hidden else reason_of(denied, rules=rules, identity=identity)
    services().audit.record(
        AuditEvent.APP_DENIED,
        now=services().clock(),
        identity=sign_in.identity,
        tenant=sign_in.tenant,
        app=None if app is None or is_hidden else app.slug,
        detail=reason,
        reference=g.get("reference", ""),
    )
    if app is None or is_hidden:
        if app is not None:  # the operator may know
            fields = {"app": app.slug, "denial": denied.denial.value}
            _LOGGER.info("hidden as if there were no such app", extra={"fields": fields})
        abort(404)
    services().metrics.refused(denied.denial.value)
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
    """Return the app's page at the place that was asked for, of the page or of its frame."""
    framed = request.endpoint == "apps.launch"
    page = f"/apps/{quote(slug)}{local_path(request.args.get('next'))}" if framed else here()
    return safe_next(page, default=start_of(slug))


def _switches(app: AppSpec, standing: Standing) -> list[TenantChoice]:
    """Return the other tenants of the same person in which *app* would open."""
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
