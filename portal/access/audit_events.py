"""The events of the audit: each with its fields, which ``docs/audit.md`` lists.

An event, a field and a word among its values never change their meaning; new ones may come.  A field without a value
is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, assert_never, get_args

from portal.contract.truncation import shorten
from portal.errors import NotAdmitted
from portal.rules.identity import Identity
from portal.rules.policy import Denied, RoleRule, names_read

MAX_TEXT: Final = 512
"""Longest text in a field, in characters."""
MAX_NAME: Final = 100
"""Longest of the names in a field, in characters."""
MAX_NAMES: Final = 50
"""Most names in a field."""

FieldKind: TypeAlias = Literal["text", "number", "names"]
EventKind: TypeAlias = Literal["access", "changes", "refusals"]
"""What an event is about: people who come and go, access that others changed, and what was refused."""
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)


class AuditEvent(StrEnum):
    """The events.  Their values are part of the log's contract; keep alphabetized."""

    API_USED = "api-used"
    APP_DENIED = "app-denied"
    APP_OPENED = "app-opened"
    COMMAND_RUN = "command-run"
    EVENTS_LEFT_OUT = "events-left-out"
    KEY_REVOKED = "key-revoked"
    KEY_ROTATED = "key-rotated"
    ROLES_CHANGED = "roles-changed"
    SIGN_IN_ENDED = "sign-in-ended"
    SIGN_IN_REFUSED = "sign-in-refused"
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    TENANT_SWITCHED = "tenant-switched"
    TICKET_REFUSED = "ticket-refused"
    TICKETS_LEFT_OUT = "tickets-left-out"


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of an event: its name, and what it says, in Markdown."""

    name: str
    kind: FieldKind
    meaning: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an event means, in Markdown, and its own fields."""

    kind: EventKind
    meaning: str
    fields: tuple[EventField, ...] = ()

    def checked(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return *fields* as they are stored: in the order of the declaration, cut, and without those that are empty.

        Raises:
            ValueError: one is not declared, or of another kind.
        """
        unknown = fields.keys() - {one.name for one in self.fields}
        if unknown:
            raise ValueError(f"not fields of this event: {sorted(unknown)}")
        stored = {one.name: _stored(fields[one.name], one) for one in self.fields if one.name in fields}
        return {name: value for name, value in stored.items() if value not in (None, "", [])}


_CLAIMS_READ: Final = EventField("claims_read", "names", "the claims that the rules of these roles read")
_CLAIMS_SENT: Final = EventField("claims_sent", "names", "the claims that came from the provider: names, no values")
_REFUSAL: Final = (
    EventField("rule", "text", "for `not-admitted`: the [condition](codes.md#admission) that was not met"),
    EventField("claims_sent", "names", "for `not-admitted`: the claims that came: names, no values"),
)
_PROVIDER: Final = EventField("provider", "text", "the provider's id")

DECLARATIONS: Final[Mapping[AuditEvent, Declaration]] = MappingProxyType(
    {
        AuditEvent.API_USED: Declaration(
            "access",
            "An app got a token for the portal's API, for this person.",
            (EventField("rights", "names", "what the token gives"),),
        ),
        AuditEvent.APP_DENIED: Declaration(
            "refusals",
            "A person requested an app that is not open to them, or lost access while it was open.",
            (
                EventField("denial", "text", "why: a [denial](codes.md#denials)"),
                EventField("roles", "names", "the roles that open the app, each of which is missing"),
                _CLAIMS_READ,
                _CLAIMS_SENT,
            ),
        ),
        AuditEvent.APP_OPENED: Declaration("access", "A person opened an app: its ticket was redeemed."),
        AuditEvent.COMMAND_RUN: Declaration(
            "changes",
            "An operator ran a command of the portal that changed the portal or an app, or gave out data or a secret. "
            "Ended sign-ins and changed keys have events of their own.",
            (
                EventField("command", "text", "the command, without `portal`"),
                EventField("made_at", "text", "for `restore`: when the backup was made"),
                EventField("by", "text", "who ran it"),
            ),
        ),
        AuditEvent.EVENTS_LEFT_OUT: Declaration(
            "refusals",
            "There were more events of one kind within ten minutes than the audit records.",
            (
                EventField("count", "number", "how many are missing"),
                EventField("of", "text", "which event"),
            ),
        ),
        AuditEvent.KEY_REVOKED: Declaration(
            "changes",
            "An operator [revoked](operate.md#the-signing-keys) a signing key.",
            (
                EventField("kid", "text", "the key"),
                EventField("signing", "text", "the key that signs instead"),
                EventField("by", "text", "who revoked it"),
            ),
        ),
        AuditEvent.KEY_ROTATED: Declaration(
            "changes",
            "The portal or an operator made a signing key, or had the announced one sign at once.",
            (
                EventField("kid", "text", "the key"),
                EventField("signs_from", "text", "when it begins to sign"),
                EventField("by", "text", "who did it: an operator, or the portal"),
            ),
        ),
        AuditEvent.ROLES_CHANGED: Declaration(
            "changes",
            "A refresh gave a person other roles in the tenant.",
            (
                EventField("added", "names", "the roles that are new"),
                EventField("removed", "names", "the roles that are gone"),
            ),
        ),
        AuditEvent.SIGN_IN_ENDED: Declaration(
            "changes",
            "A sign-in ended, but not by its person.",
            (
                EventField("cause", "text", "why: an [end](codes.md#ends)"),
                EventField("by", "text", "who ended it, if a person did: an admin and the app, or an operator"),
                *_REFUSAL,
                _PROVIDER,
            ),
        ),
        AuditEvent.SIGN_IN_REFUSED: Declaration(
            "refusals",
            "A sign-in failed, although its callback belonged to an attempt.",
            (
                _PROVIDER,
                EventField("code", "text", "the code of the [page](codes.md#pages-of-refusal)"),
                *_REFUSAL,
            ),
        ),
        AuditEvent.SIGNED_IN: Declaration(
            "access",
            "A person signed in.",
            (
                _PROVIDER,
                EventField("browser", "text", "its `User-Agent`"),
                EventField("hook_roles", "names", "roles that the [hook](sign-in.md#the-companys-own-rule) gave"),
                EventField("claims_read", "names", "if no rule gave them a role: the claims that the rules read"),
                EventField("claims_sent", "names", "if no rule gave them a role: the claims that came, no values"),
            ),
        ),
        AuditEvent.SIGNED_OUT: Declaration("access", "A person signed out.", (_PROVIDER,)),
        AuditEvent.TENANT_SWITCHED: Declaration(
            "access",
            "A person switched to another tenant, or a refresh moved them to one of those they still have.",
            (EventField("from", "text", "the previous tenant"),),
        ),
        AuditEvent.TICKET_REFUSED: Declaration(
            "refusals",
            "An app presented a ticket that opens nothing.",
            (EventField("reason", "text", "a [code](codes.md#redeeming-and-renewing) or an [end](codes.md#ends)"),),
        ),
        AuditEvent.TICKETS_LEFT_OUT: Declaration(
            "refusals",
            "An app presented more such tickets in a minute than the audit records.",
            (EventField("count", "number", "how many are missing"),),
        ),
    }
)
"""What each event means."""


def events_of(kind: EventKind) -> frozenset[str]:
    """Return the events of *kind*."""
    return frozenset(event.value for event, declaration in DECLARATIONS.items() if declaration.kind == kind)


def denial_fields(denied: Denied, *, rules: Iterable[RoleRule], identity: Identity) -> dict[str, object]:
    """Return the fields of ``app-denied``."""
    fields: dict[str, object] = {"denial": denied.denial.value}
    if denied.missing:
        fields |= {"roles": sorted(denied.missing), **claim_fields(rules, identity=identity, roles=denied.missing)}
    return fields


def claim_fields(
    rules: Iterable[RoleRule], *, identity: Identity, roles: frozenset[str] | None = None
) -> dict[str, object]:
    """Return which claims the rules of *roles* (default: all) read, and which came; empty if they read none."""
    read = names_read(rules, identity=identity, roles=roles)
    return {"claims_read": read, "claims_sent": identity.sent} if read else {}


def refusal_fields(refused: NotAdmitted) -> dict[str, object]:
    """Return which condition was not met, and which claims came."""
    return {"rule": str(refused), "claims_sent": refused.claims}


def _stored(value: object, field: EventField) -> object:
    match field.kind:
        case "text" if value is None or isinstance(value, str):
            return None if value is None else shorten(str(value), longest=MAX_TEXT)
        case "number" if type(value) is int:
            return value
        case "names" if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
            return [shorten(str(one), longest=MAX_NAME) for one in value[:MAX_NAMES]]
        case "text" | "number" | "names":
            raise ValueError(f"{field.name} must be of the kind {field.kind}")
        case _ as unreachable:
            assert_never(unreachable)
