"""The portal's API for apps, which act for their user within the user's tenant.

App session, roles and rights are checked at each use of a token.  RFC 6750 defines how tokens are presented and
refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from portal.access.audit import AuditEntry
from portal.access.audit_events import EVENT_KINDS, AuditEvent, events_of
from portal.access.revocation import RevocationReason
from portal.access.sign_ins import MOST_LISTED, Selection, SignIn
from portal.clock import rfc3339
from portal.contract import Inactive
from portal.rules.identity import IDENTITY_ID
from portal.rules.policy import Standing, api_rights, standing_in
from portal.web.labels import provider_label
from portal.web.services import sealer, services

blueprint = Blueprint("api", __name__)

MOST_ENDED: Final = 100
"""Sign-ins that one call ends: about a second's work."""
_MOST_EVENTS: Final = 200
_CURSORS: Final = "portal API cursors"
"""Purpose for which cursors are sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An app that acts for one person."""

    app: str
    standing: Standing
    sign_in_id: str


@blueprint.get("/api/sign-ins")
def sign_ins() -> ResponseReturnValue:
    """List the sign-ins of the person's tenant: the latest first, one page at a time."""
    caller = caller_with("sign-ins:read")
    limit, cursor = _page(most=MOST_LISTED, default=MOST_LISTED)
    after = None
    if cursor is not None:
        at, _, last = cursor.partition(" ")
        after = (int(at), last)
    entries = services().sign_ins.of_tenant(
        caller.standing.tenant,
        issuer=caller.standing.identity.issuer,
        now=services().clock(),
        limit=limit + 1,
        after=after,
    )
    page = entries[:limit]
    more = _cursor(f"{page[-1].created_at} {page[-1].id}") if len(entries) > limit else None
    return jsonify(sign_ins=[_sign_in_json(sign_in, caller=caller) for sign_in in page], next=more)


@blueprint.get("/api/audit")
def audit() -> ResponseReturnValue:
    """List the events of the person's tenant, of one kind or of all: the latest first, one page at a time."""
    caller = caller_with("audit:read")
    limit, cursor = _page(most=_MOST_EVENTS, default=50)
    kind = next((one for one in EVENT_KINDS if one == request.args.get("kind")), None)
    if kind is None and "kind" in request.args:
        abort(_refusal(400, "invalid_request"))
    entries = services().audit.recent(
        issuer=caller.standing.identity.issuer,
        tenant=caller.standing.tenant,
        limit=limit + 1,
        before=None if cursor is None else int(cursor),
        only=None if kind is None else events_of(kind),
        without=frozenset(request.args.getlist("without")) & frozenset(AuditEvent),
    )
    page = entries[:limit]
    more = _cursor(str(page[-1].id)) if len(entries) > limit else None
    return jsonify(events=[_event_json(entry) for entry in page], next=more)


@blueprint.post("/api/sign-ins/<sign_in_id>/end")
def end_sign_in(sign_in_id: str) -> ResponseReturnValue:
    """End one sign-in of the person's tenant, with its app sessions."""
    caller = caller_with("sign-ins:end")
    if _end(caller, Selection(id=sign_in_id), limit=1) == 0:
        abort(_refusal(404, "not_found"))
    return "", 204


@blueprint.post("/api/sign-ins/end")
def end_sign_ins() -> ResponseReturnValue:
    """End the sign-ins of one person or of all people in the person's tenant, but not the one that asks.

    A call ends some of them, and answers whether there are more.
    """
    caller = caller_with("sign-ins:end")
    selection = selection_of(request.form.to_dict(flat=False), other_than=caller.sign_in_id)
    if selection is None:
        abort(_refusal(400, "invalid_request"))
    ended = _end(caller, selection, limit=MOST_ENDED)
    rest = services().sign_ins.selected(within_tenant(selection, standing=caller.standing), now=services().clock())
    return jsonify(ended=ended, more=next(rest, None) is not None)


def selection_of(form: Mapping[str, Sequence[str]], *, other_than: str) -> Selection | None:
    """Return what a form selects: ``person=ID`` or ``all=1`` and nothing else; ``None`` if it is anything else."""
    match dict(form):
        case {"all": ["1"], **rest} if not rest:
            return Selection(everyone=True, other_than=other_than)
        case {"person": [str(person)], **rest} if not rest and IDENTITY_ID.fullmatch(person):
            return Selection(person=person, other_than=other_than)
        case _:
            return None


def within_tenant(selection: Selection, *, standing: Standing) -> Selection:
    """Return *selection* within the tenant of *standing*.

    For this person, sign-ins of other tenants do not exist, nor those of other issuers' tenants of the same name.
    """
    return replace(selection, issuer=standing.identity.issuer, tenant=standing.tenant)


def _end(caller: Caller, selection: Selection, *, limit: int) -> int:
    return services().sign_ins.revoke_selected(
        within_tenant(selection, standing=caller.standing),
        reason=RevocationReason.SIGN_IN_ENDED,
        now=services().clock(),
        by=f"{caller.standing.identity.username} in {caller.app}",
        limit=limit,
    )


def caller_with(right: str) -> Caller:
    """Return the caller if its token gives *right* now; else abort with 401 or 403."""
    credentials = request.authorization
    if credentials is None or credentials.type != "bearer" or not credentials.token:
        abort(_refusal(401, None))  # RFC 6750, section 3.1: no error code where no credentials came
    settings, now = services().settings, services().clock()
    grant = services().access_tokens.read(credentials.token, now=now)
    app = None if grant is None else settings.catalogue.find(grant.app)
    if grant is None or app is None:
        abort(_refusal(401, "invalid_token"))
    live = services().app_sessions.live(grant.session, app=app, now=now)
    if isinstance(live, Inactive):
        abort(_refusal(401, "invalid_token"))
    rights = api_rights(app, standing=live.standing, rights_of_roles=settings.rights_of_roles)
    if right not in rights & grant.scopes:
        abort(_refusal(403, "insufficient_scope", scope=right))
    return Caller(app=app.slug, standing=live.standing, sign_in_id=live.sign_in_id)


def _page(*, most: int, default: int) -> tuple[int, str | None]:
    """Return the number of entries and where the previous page ended; abort with 400 if they are not valid."""
    limit = request.args.get("limit", default=default, type=int)
    if not 1 <= limit <= most:
        abort(_refusal(400, "invalid_request"))
    presented = request.args.get("cursor")
    if presented is None:
        return limit, None
    opened = sealer(_CURSORS).open(presented) or b""
    name, _, position = opened.decode().partition(":")
    if name != request.endpoint:  # forged, or of another list
        abort(_refusal(400, "invalid_request"))
    return limit, position


def _cursor(position: str) -> str:
    """Return *position* sealed: ids reveal how many events other tenants have."""
    return sealer(_CURSORS).seal(f"{request.endpoint}:{position}".encode())


def _refusal(status: int, error: str | None, *, scope: str | None = None) -> Response:
    response = make_response(jsonify({} if error is None else {"error": error}), status)
    if status in {401, 403}:
        details = {"realm": "portal", "error": error, "scope": scope}
        stated = ", ".join(f'{name}="{value}"' for name, value in details.items() if value is not None)
        response.headers["WWW-Authenticate"] = f"Bearer {stated}"
    return response


def _sign_in_json(sign_in: SignIn, *, caller: Caller) -> dict[str, object]:
    standing = standing_in(sign_in.identity, tenant=sign_in.tenant, rules=services().settings.roles)
    return {
        "id": sign_in.id,
        "person": sign_in.identity.id,
        "name": sign_in.identity.name,
        "email": sign_in.identity.email,
        "email_verified": sign_in.identity.email_verified,
        "tenant": sign_in.tenant or None,
        "roles": sorted(standing.roles) if standing is not None else [],
        "provider": provider_label(sign_in.identity.provider),
        "since": rfc3339(sign_in.created_at),
        "last_seen": rfc3339(sign_in.last_seen_at),
        "until": rfc3339(sign_in.expires_at),
        "current": sign_in.id == caller.sign_in_id,
    }


def _event_json(entry: AuditEntry) -> dict[str, object]:
    return {
        "at": rfc3339(entry.at),
        "event": entry.event,
        "name": entry.name,
        "email": entry.email,
        "app": entry.app,
        "detail": entry.detail,
        "fields": entry.fields,
    }
