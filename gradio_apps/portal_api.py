"""The portal's API for apps: who is signed in, what happened, and ending sign-ins.

An app may do what its ``portal_api`` in ``portal.toml`` lists and the person's own role
allows, within the person's tenant.  Each call requests a token that is valid for seconds; the app never sees the
portal's database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import quote, urlencode

import gradio as gr
import httpx

from gradio_apps.runtime.guard.api import NoApiToken
from gradio_apps.runtime.guard.http_client import PortalClientSettings

EventKind: TypeAlias = Literal["access", "changes", "refusals"]
_SCOPE_KEY: Final = "portal.api"
_MOST_PAGES: Final = 20
_MOST_ENDINGS: Final = 100
_TIMEOUT: Final = httpx.Timeout(5.0)
_ENDED: Final = "Your sign-in has ended. Sign in again."
_NO_RIGHT: Final = "You do not have the right to do this in this tenant."
_LATER: Final = "The portal cannot do this at the moment. Try again in a moment."
_SENTENCES: Final = {
    "access_denied": _NO_RIGHT,
    "invalid_grant": _ENDED,
    "invalid_request": _ENDED,
    "invalid_scope": _NO_RIGHT,
}
"""Sentences for the person when a token is refused; RFC 8693, 2.2.2: an ended session is ``invalid_request``."""


class PortalApiError(Exception):
    """The portal refused or failed.  ``str(error)`` is a sentence that may be shown to the person."""


class Access(Protocol):
    """The guard's object in ``scope["portal.api"]``."""

    @property
    def base_url(self) -> str:
        """Address of the portal for calls, without a trailing slash."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that each call must carry besides the token, such as ``Host``."""

    @property
    def client_settings(self) -> PortalClientSettings:
        """Proxy and certificates for calls to the portal."""

    def token(self, scopes: str) -> str:
        """Return an access token for *scopes*, separated by spaces (RFC 8693)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """One sign-in of the tenant.  Times are Unix seconds."""

    id: str
    person: str
    """The id of its person, the same for all their sign-ins."""
    name: str
    email: str
    email_verified: bool
    """Whether the provider verified the address."""
    roles: tuple[str, ...]
    provider: str
    since: int
    last_seen: int
    until: int
    current: bool
    """Whether it is the current person's own sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the tenant's audit.  :attr:`at` is in Unix seconds."""

    at: int
    event: str
    name: str
    email: str
    app: str
    detail: str
    fields: Mapping[str, object] = field(default_factory=dict)
    """The event's own fields, as the portal's documentation of the audit lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """A page of the tenant's audit."""

    events: tuple[Event, ...]
    next: str | None
    """Cursor of the next page, with older events; ``None`` at the end."""


class PortalApi:
    """The portal's API with the rights of one request."""

    def __init__(self, access: Access, *, client: httpx.Client | None = None) -> None:
        self._access = access
        self._client = client or _client_of(access.client_settings)

    @classmethod
    def of(cls, request: gr.Request | None) -> "PortalApi":
        """Return the API with the rights of *request*.

        Raises:
            PortalApiError: the app runs without the portal.
        """
        scope = getattr(getattr(request, "request", None), "scope", None)
        access = scope.get(_SCOPE_KEY) if isinstance(scope, dict) else None
        if access is None:
            raise PortalApiError("This app runs without the portal.")
        return cls(access)

    def sign_ins(self) -> tuple[SignedIn, ...]:
        """Return who is signed in to the tenant now, the latest first, at most 10,000.  Needs ``sign-ins:read``."""
        sign_ins: list[SignedIn] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            query = "" if cursor is None else f"?{urlencode({'cursor': cursor})}"
            body = self._call("GET", f"/api/sign-ins{query}", scope="sign-ins:read")
            sign_ins += [_sign_in(one) for one in _objects(body, "sign_ins")]
            cursor = _next(body)
            if cursor is None:
                break
        return tuple(sign_ins)

    def audit(self, *, limit: int = 50) -> tuple[Event, ...]:
        """Return the tenant's latest events, newest first, at most 200.  Needs ``audit:read``."""
        return self.audit_page(limit=limit).events

    def audit_page(
        self,
        *,
        limit: int = 50,
        after: str | None = None,
        kind: EventKind | None = None,
        without: Sequence[str] = (),
    ) -> EventPage:
        """Return a page of the tenant's events, newest first.  Needs ``audit:read``.

        *after* is :attr:`EventPage.next` of the previous page; *kind*: who came and went, what others changed, or what
        was refused, so that many of one kind do not hide the others; *without* are events to leave out.
        """
        parameters = [("limit", str(limit)), *(("without", one) for one in without)]
        if kind is not None:
            parameters.append(("kind", kind))
        query = urlencode([*parameters, *([] if after is None else [("cursor", after)])])
        body = self._call("GET", f"/api/audit?{query}", scope="audit:read")
        return EventPage(events=tuple(_event(one) for one in _objects(body, "events")), next=_next(body))

    def end_sign_in(self, sign_in_id: str) -> None:
        """End the sign-in called *sign_in_id* everywhere.  Needs ``sign-ins:end``."""
        self._call("POST", f"/api/sign-ins/{quote(sign_in_id, safe='')}/end", scope="sign-ins:end")

    def end_sign_ins_of(self, person: str) -> int:
        """End all sign-ins of *person* to the tenant but the current one, and return how many.  Needs ``sign-ins:end``.

        *person* is :attr:`SignedIn.person`.  If this fails, some may have ended.
        """
        return self._end_all({"person": person})

    def end_all_sign_ins(self) -> int:
        """End all sign-ins to the tenant but the current one, and return how many.  Needs ``sign-ins:end``.

        If this fails, some may have ended.  It ends 10,000 at most.
        """
        return self._end_all({"all": "1"})

    def _end_all(self, form: Mapping[str, str]) -> int:
        """Repeat the call for as long as the portal says that there are more."""
        ended = 0
        for _ in range(_MOST_ENDINGS):
            body = self._call("POST", "/api/sign-ins/end", scope="sign-ins:end", form=form)
            if not isinstance(body, Mapping):
                raise _unreadable()
            ended += _number(body, "ended")
            if body.get("more") is not True:
                break
        return ended

    def _call(self, method: str, path: str, *, scope: str, form: Mapping[str, str] | None = None) -> object:
        try:
            token = self._access.token(scope)
            answer = self._client.request(
                method,
                self._access.base_url + path,
                headers={**self._access.headers, "Authorization": f"Bearer {token}"},
                data=form,
            )
        except NoApiToken as error:
            raise PortalApiError(_SENTENCES.get(error.code, _LATER)) from error
        except httpx.HTTPError as error:
            raise PortalApiError(_LATER) from error
        if not answer.is_success:
            raise PortalApiError(_sentence(answer.status_code))
        if not answer.content:
            return None
        try:
            body: object = answer.json()
        except (ValueError, RecursionError) as error:
            raise _unreadable() from error
        return body


@cache
def _client_of(settings: PortalClientSettings) -> httpx.Client:
    """Return a cached client: building one costs more than a call."""
    return httpx.Client(timeout=_TIMEOUT, follow_redirects=False, **settings.keywords())


def _sentence(status: int) -> str:
    match status:
        case 401:
            return _ENDED
        case 403:
            return _NO_RIGHT
        case 404:
            return "That sign-in has ended already."
        case 429:
            return "Too many requests to the portal. Try again in a minute."
        case _:
            return _LATER


def _unreadable() -> PortalApiError:
    return PortalApiError("The portal's answer could not be read.")


def _objects(body: object, name: str) -> Sequence[Mapping[str, object]]:
    members = body.get(name) if isinstance(body, Mapping) else None
    if not isinstance(members, list) or not all(isinstance(one, Mapping) for one in members):
        raise _unreadable()
    return members


def _next(body: object) -> str | None:
    value = body.get("next") if isinstance(body, Mapping) else None
    return value if isinstance(value, str) else None


def _text(member: Mapping[str, object], name: str) -> str:
    value = member.get(name)
    return value if isinstance(value, str) else ""


def _number(member: Mapping[str, object], name: str) -> int:
    value = member.get(name)
    return value if type(value) is int else 0


def _moment(member: Mapping[str, object], name: str) -> int:
    """Return the Unix time of a text like ``2030-01-02T03:04:05Z``; 0 if it is none."""
    try:
        return int(datetime.strptime(_text(member, name), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


def _sign_in(member: Mapping[str, object]) -> SignedIn:
    roles = member.get("roles")
    return SignedIn(
        id=_text(member, "id"),
        person=_text(member, "person"),
        name=_text(member, "name"),
        email=_text(member, "email"),
        email_verified=member.get("email_verified") is True,
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        provider=_text(member, "provider"),
        since=_moment(member, "since"),
        last_seen=_moment(member, "last_seen"),
        until=_moment(member, "until"),
        current=member.get("current") is True,
    )


def _event(member: Mapping[str, object]) -> Event:
    fields = member.get("fields")
    return Event(
        at=_moment(member, "at"),
        event=_text(member, "event"),
        name=_text(member, "name"),
        email=_text(member, "email"),
        app=_text(member, "app"),
        detail=_text(member, "detail"),
        fields=fields if isinstance(fields, Mapping) else {},
    )
