"""Turns posted tickets into app sessions, and logout tokens into their ends."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from gradio_apps.runtime.guard.keys import PortalKeys
from gradio_apps.runtime.guard.portal_client import PortalClient
from gradio_apps.runtime.guard.sessions import AppSession, Sessions
from portal.contract import Inactive, Rejected, verify_logout_token, verify_ticket

log = logging.getLogger("gradio_portal.guard")

MAX_FORM: Final = 16 * 1024
"""Longest form read, in bytes."""


@dataclass(frozen=True, slots=True)
class NotOpened:
    """The ticket was refused; *code* is the reason."""

    code: str


class Handover:
    """Redeems tickets and checks logout tokens."""

    def __init__(
        self,
        *,
        client: PortalClient,
        keys: PortalKeys,
        sessions: Sessions,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._keys = keys
        self._sessions = sessions
        self._clock = clock

    async def redeem(self, token: str) -> tuple[AppSession, str] | NotOpened:
        """Return the session of the ticket *token*, and the path to open.

        The ticket is verified offline first, so that a malformed, forged, foreign or expired one causes no call to
        the portal.

        Raises:
            PortalAway: ask again later.
        """
        try:
            ticket = await self._keys.verify_token(verify_ticket, token)
        except Rejected as error:
            log.info("ticket-refused code=%s", error.reason.value)
            return NotOpened(error.reason.value)
        if self._sessions.is_ended(ticket.session):
            log.info("ticket-refused code=session-ended")
            return NotOpened("session-ended")
        asked_at = self._clock()
        answer = await self._client.redeem(token)
        if isinstance(answer, Inactive):
            log.info("ticket-refused code=%s", answer.code)
            return NotOpened(answer.code)
        if (answer.session, answer.person.subject) != (ticket.session, ticket.subject):
            log.error("ticket-refused code=answer-mismatch")
            return NotOpened("answer-mismatch")
        session = self._sessions.opened(ticket.session, answer, asked_at=asked_at)
        if session is None:  # a logout notification came before the answer
            return NotOpened("session-ended")
        return session, ticket.next

    async def end(self, token: str) -> None:
        """End the session in the logout token *token*, known or not.

        Raises:
            Rejected: the token is not valid.
            PortalAway: there are no keys yet to verify it.
        """
        logout = await self._keys.verify_token(verify_logout_token, token)
        log.info("session-ended code=pushed")
        self._sessions.end(logout.session)


def single_field(body: bytes, name: str) -> str | None:
    """Return the field *name* of a form, or ``None`` if it is missing or repeated."""
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return None
    values = [value for field, value in fields if field == name]
    return values[0] if len(values) == 1 else None
