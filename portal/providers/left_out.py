"""Lists that were too long, or that nobody would tell, leave a line in the log: how much is missing, and no names."""

import logging
from typing import Final

from portal.identity import Identity
from portal.settings import ProviderSpec

_log: Final = logging.getLogger("portal.providers")


def note_left_out(identity: Identity, *, spec: ProviderSpec) -> None:
    """Log how many groups of *identity* the portal does not know, if it knows that there are such."""
    number = sum(one.groups_left_out for one in identity.affiliations)
    if number:
        _log.warning("groups left out", extra={"fields": {"provider": spec.id, "at_least": number}})
    if identity.unread:
        _log.warning("claims not read", extra={"fields": {"provider": spec.id, "claims": list(identity.unread)}})
