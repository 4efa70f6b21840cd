"""Who owns a Gradio session, event, upload or MCP client: the first person, within one tenant, who used it.

Gradio itself separates nobody: who knows a ``session_hash`` reads its results.  Memory is
bounded per person, so that one person's flood forgets only their own.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from gradio_apps.runtime.guard.gradio_calls import NO_IDS, Ids
from gradio_apps.runtime.guard.gradio_routes import IdKind
from portal.contract import Person

MAX_PER_OWNER: Final = 4096
"""How many ids one person may hold before their oldest is forgotten."""


class Owner(NamedTuple):
    """A person within one tenant."""

    subject: str
    tenant: str | None


def owner_of(person: Person) -> Owner:
    """Return who *person* is to the bindings."""
    return Owner(person.subject, person.tenant)


class Bindings:
    """Which ids belong to whom, in this process; the app's own memory lives no longer."""

    def __init__(self, *, limit: int = MAX_PER_OWNER) -> None:
        self._limit = limit
        self._owners: dict[tuple[IdKind, str], Owner] = {}
        self._held: dict[Owner, OrderedDict[tuple[IdKind, str], None]] = {}

    def allow(self, ids: Ids, owner: Owner) -> bool:
        """Say whether *owner* may speak of all *ids*; a session or an upload that was not used yet becomes theirs.

        Events and MCP clients are made by the app, so one that was never seen here belongs to no person.
        """
        if ids is NO_IDS:
            return True
        made = [(IdKind.EVENT, one) for one in ids.events] + [(IdKind.MCP, one) for one in ids.clients]
        if any(self._owners.get(one) != owner for one in made):
            return False
        chosen = [(IdKind.SESSION, one) for one in ids.hashes] + [(IdKind.UPLOAD, one) for one in ids.uploads]
        if any(self._owners.get(one, owner) != owner for one in chosen):
            return False
        for one in chosen:
            self._keep(one, owner)
        return True

    def issued(self, kind: IdKind, one: str, owner: Owner) -> None:
        """Note that the app made *one* for *owner*, unless it was another's already.

        An event without a hash of its own is a session of that name too.
        """
        self._claim((kind, one), owner)
        if kind is IdKind.EVENT:
            self._claim((IdKind.SESSION, one), owner)

    def _claim(self, one: tuple[IdKind, str], owner: Owner) -> None:
        if self._owners.get(one, owner) == owner:
            self._keep(one, owner)

    def _keep(self, one: tuple[IdKind, str], owner: Owner) -> None:
        self._owners[one] = owner
        held = self._held.setdefault(owner, OrderedDict())
        held[one] = None
        held.move_to_end(one)
        while len(held) > self._limit:
            oldest, _ = held.popitem(last=False)
            self._owners.pop(oldest, None)
