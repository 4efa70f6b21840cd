"""``python -m gradio_apps.runtime.supervisor``: read one JSON document, keep what it names.

Exit codes: 0 told to stop, 2 the document cannot be used, 3 a port is taken.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from gradio_apps.runtime.supervisor.cgroups import open_cgroups
from gradio_apps.runtime.supervisor.descendants import Descendants, adopt_orphans
from gradio_apps.runtime.supervisor.document import DocumentError, Plan, read_plan
from gradio_apps.runtime.supervisor.events import Event, reporter
from gradio_apps.runtime.supervisor.loop import supervise
from gradio_apps.runtime.supervisor.sockets import PortTaken, listen
from portal.contract.descriptors import raise_limit
from portal.contract.privileges import lacking_here, put_aside

EXIT_DOCUMENT: Final = 2
EXIT_PORT: Final = 3


def main(stdin: TextIO, stderr: TextIO, environ: Mapping[str, str], *, command: tuple[str, ...] | None = None) -> int:
    """Supervise what *stdin* says until told to stop; return the exit code."""
    parent = os.getppid()
    raise_limit()
    report = reporter(stderr)
    cgroups = None
    try:
        plan = read_plan(stdin.read())
        _become(plan)
        # What a supervisor left that was killed may still hold a port.
        cgroups = None if plan.control is None else open_cgroups(plan.control)
        listening = listen(plan.apps)
        adopt_orphans()
        descendants = Descendants(cgroups)
        work = supervise(
            listening,
            plan=plan,
            outer=dict(environ),
            report=report,
            parent=parent,
            descendants=descendants,
            command=command,
        )
        asyncio.run(work)
    except DocumentError as error:
        report(Event.REFUSED, problem=str(error))
        return EXIT_DOCUMENT
    except PortTaken as error:
        report(Event.PORT_TAKEN, app=error.app.slug, host=error.app.host, port=error.app.port, problem=error.reason)
        return EXIT_PORT
    finally:
        if cgroups is not None:
            cgroups.close()
    return 0


def _become(plan: Plan) -> None:
    """Stand for the portal's user from here on, where the plan says so; root is taken up for single steps alone.

    Raises:
        DocumentError: the plan needs the right to change user, and this process has it not.
    """
    if plan.owner is None:
        return
    if missing := lacking_here():
        raise DocumentError(f"owner: changing user takes {', '.join(missing)}, which this process has not.")
    put_aside(*plan.owner)


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stderr, os.environ))
