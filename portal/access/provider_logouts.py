"""Ends sign-ins because their provider says so.

A logout token counts once: repeated later, it could end what its person has begun since.
"""

from contextlib import suppress
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from portal.access.revocation import RevocationReason
from portal.access.sign_ins import Selection, SignIns, provider_session_key
from portal.errors import LogoutTokenRejected
from portal.rules.identity import identity_id
from portal.sign_in.providers.logout_token import LONGEST_LIFE, LogoutProblem, ProviderLogout
from portal.storage import tables
from portal.storage.database import Database


class ProviderLogouts:
    """The logouts that providers have reported."""

    def __init__(self, database: Database, sign_ins: SignIns) -> None:
        self._database = database
        self._sign_ins = sign_ins

    def end(self, logout: ProviderLogout, *, provider: str, now: int) -> int:
        """End the sign-ins that *logout* of *provider* names, and return how many.

        Raises:
            LogoutTokenRejected: the token came before.
            StoreUnavailable: some may have ended; the same token ends the others.
        """
        selection = selection_of(
            provider=provider, issuer=logout.issuer, subject=logout.subject, session=logout.session
        )
        token = sha256(f"{len(provider)}:{provider}token:{logout.token_id}".encode()).hexdigest()
        table = tables.provider_logouts
        with self._database.read() as connection:
            if connection.execute(sa.select(table.c.id).where(table.c.id == token)).first() is not None:
                raise LogoutTokenRejected(LogoutProblem.REPEATED)
        if selection.provider_session is not None:
            # First: a sign-in that is just beginning must not outlive it.
            self._remember(selection.provider_session, now=now)
        count = self._end(selection, now=now)
        self._remember(token, now=now)
        return count

    def has_ended(self, sign_in_id: str) -> bool:
        """Return whether the provider has reported, in the last minutes, the end of the session of a sign-in."""
        signed, ended = tables.sign_ins, tables.provider_logouts
        query = sa.select(ended.c.id).join(signed, signed.c.provider_session == ended.c.id)
        with self._database.read() as connection:
            return connection.execute(query.where(signed.c.id == sign_in_id)).first() is not None

    def end_session(self, session: str, *, provider: str, issuer: str | None, now: int) -> int:
        """End the sign-ins of the *session* at *provider*, and return how many.

        It is not remembered, because strangers could fill the database.

        Raises:
            LogoutTokenRejected: *session* cannot be one.
            StoreUnavailable: some may have ended.
        """
        return self._end(selection_of(provider=provider, issuer=issuer, subject=None, session=session), now=now)

    def _end(self, selection: Selection, *, now: int) -> int:
        return self._sign_ins.revoke_selected(selection, reason=RevocationReason.PROVIDER_SIGNED_OUT, now=now)

    def _remember(self, key: str, *, now: int) -> None:
        table, until = tables.provider_logouts, now + LONGEST_LIFE
        # On PostgreSQL two reports at once may insert; one succeeds.
        with suppress(IntegrityError), self._database.write() as connection:
            known = connection.execute(sa.update(table).where(table.c.id == key).values(until=until)).rowcount
            if not known:
                connection.execute(sa.insert(table).values(id=key, until=until))


def selection_of(*, provider: str, issuer: str | None, subject: str | None, session: str | None) -> Selection:
    """Return the sign-ins that a logout of *provider* names: a person's, those of one session, or the former in it.

    Never wider than each that is given.

    Raises:
        LogoutTokenRejected: neither is given, or one is no name.
    """
    key = provider_session_key(provider, session)
    is_nameless = subject == "" or (subject is not None and issuer is None)
    if not (subject or key) or is_nameless or (session is not None and key is None):
        raise LogoutTokenRejected(LogoutProblem.ENDS_NOTHING)
    person = None if subject is None or issuer is None else identity_id(issuer=issuer, subject=subject)
    return Selection(person=person, provider=provider, issuer=issuer, provider_session=key)
