"""The owner of a Gradio session, event, upload or MCP client: the first person, in one tenant, who used it.

Gradio itself does not check owners: anyone who knows a ``session_hash`` can read its results.  Memory is limited per
person, so that nobody can push out the entries of others.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from gradio_apps.runtime.guard.gradio_calls import NO_IDS, Ids
from gradio_apps.runtime.guard.gradio_routes import IdKind
from portal.contract import Person

MAX_PER_OWNER: Final = 4096
"""Most ids of one person; then their oldest is forgotten."""


class Owner(NamedTuple):
    """A person within one tenant."""

    subject: str
    tenant: str | None


def owner_of(person: Person) -> Owner:
    """Return *person* as an owner."""
    return Owner(person.subject, person.tenant)


class Bindings:
    """The owners of ids in this process; the app's own memory does not last longer."""

    def __init__(self, *, limit: int = MAX_PER_OWNER) -> None:
        self._limit = limit
        self._owners: dict[tuple[IdKind, str], Owner] = {}
        self._held: dict[Owner, OrderedDict[tuple[IdKind, str], None]] = {}

    def allow(self, ids: Ids, owner: Owner) -> bool:
        """Say whether *owner* may use all *ids*; a session or an upload that is new becomes theirs.

        Events and MCP clients are made by the app, so an unknown one belongs to nobody.
        """
        if ids is NO_IDS:
            return True
        by_app = [(IdKind.EVENT, one) for one in ids.events] + [(IdKind.MCP, one) for one in ids.clients]
        if any(self._owners.get(one) != owner for one in by_app):
            return False
        by_browser = [(IdKind.SESSION, one) for one in ids.hashes] + [(IdKind.UPLOAD, one) for one in ids.uploads]
        if any(self._owners.get(one, owner) != owner for one in by_browser):
            return False
        for one in by_browser:
            self._keep(one, owner)
        return True

    def issued(self, kind: IdKind, one: str, owner: Owner) -> None:
        """Note that the app made *one* for *owner*, unless someone else owns it.

        An event without a session hash also counts as a session of that name.
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
