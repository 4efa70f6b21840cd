"""Who owns a Gradio session or event: the first person, within one tenant, who used it.

Gradio itself separates nobody: who knows a ``session_hash`` reads its results.  Memory is
bounded per person, so that one person's flood forgets only their own.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from gradio_apps.runtime.guard.gradio_calls import Ids
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
        self._hashes: dict[str, Owner] = {}
        self._events: dict[str, Owner] = {}
        self._held: dict[Owner, OrderedDict[tuple[bool, str], None]] = {}

    def allow(self, ids: Ids, owner: Owner) -> bool:
        """Say whether *owner* may speak of all *ids*; a session hash nobody used becomes theirs.

        Events are made by the app, so one that was never seen here is nobody's.
        """
        if any(self._events.get(event) != owner for event in ids.events):
            return False
        if any(self._hashes.get(one, owner) != owner for one in ids.hashes):
            return False
        for one in ids.hashes:
            self._keep(one, owner, is_event=False)
        return True

    def issued(self, event: str, owner: Owner) -> None:
        """Note that the app made *event* for *owner*; without a hash of its own it is a session of that name too."""
        self._keep(event, owner, is_event=True)
        if event not in self._hashes:
            self._keep(event, owner, is_event=False)

    def _keep(self, one: str, owner: Owner, *, is_event: bool) -> None:
        (self._events if is_event else self._hashes)[one] = owner
        held = self._held.setdefault(owner, OrderedDict())
        held[is_event, one] = None
        held.move_to_end((is_event, one))
        while len(held) > self._limit:
            (was_event, oldest), _ = held.popitem(last=False)
            (self._events if was_event else self._hashes).pop(oldest, None)
