"""The portal's services, for commands that do what a running portal does too."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from portal.cli.messages import print_warning
from portal.cli.opened_database import opened_database
from portal.clock import system_clock
from portal.settings import Settings
from portal.web.services import Services, build_services


class _Undelivered(logging.Handler):
    """Warns about notifications that failed: once for each reason, of however many sessions."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._reasons: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print what *record* says, unless it was printed before."""
        reason = record.getMessage()
        if reason not in self._reasons:
            self._reasons.add(reason)
            print_warning(f"{reason}. The portal notifies the app again while it runs.")


@contextmanager
def opened_services(settings: Settings) -> Iterator[Services]:
    """Yield the services, without providers and sign-in hook; what apps cannot be notified of is said.

    Raises:
        CommandFailed: the database cannot be used.
    """
    with opened_database(settings) as database:
        # Admission is not asked by commands, so the hook need not be loaded.
        changed = replace(settings.of_command, sign_in_hook=None)
        built = build_services(changed, clock=system_clock, providers={}, database=database)
        undelivered, log = _Undelivered(), logging.getLogger("portal.outbox")
        log.addHandler(undelivered)
        try:
            yield built
            built.audit.record_left_out(system_clock(), is_last=True)  # this process does not live until they are due
        finally:
            log.removeHandler(undelivered)
