"""``python -m gradio_apps.runtime.supervisor``: read one JSON document, run the apps it names.

Exit codes: 0 asked to stop, 2 the document cannot be used, 3 a port is taken.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from gradio_apps.runtime.supervisor.cgroups import open_cgroups
from gradio_apps.runtime.supervisor.descendants import Descendants, adopt_orphans
from gradio_apps.runtime.supervisor.document import DocumentError, Plan, read_plan
from gradio_apps.runtime.supervisor.events import SupervisorEvent, reporter
from gradio_apps.runtime.supervisor.loop import supervise
from gradio_apps.runtime.supervisor.sockets import PortTaken, listen
from portal.contract.descriptors import raise_limit
from portal.contract.privileges import drop_privileges, own_missing_privileges

EXIT_DOCUMENT: Final = 2
EXIT_PORT: Final = 3


def main(stdin: TextIO, stderr: TextIO, environ: Mapping[str, str], *, command: tuple[str, ...] | None = None) -> int:
    """Supervise the apps of the document on *stdin* until asked to stop; return the exit code."""
    parent = os.getppid()
    raise_limit()
    report = reporter(stderr)
    cgroups = None
    try:
        plan = read_plan(stdin.read())
        _become(plan)
        # Processes that a killed supervisor left behind may still hold a port.
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
        report(SupervisorEvent.REFUSED, problem=str(error))
        return EXIT_DOCUMENT
    except PortTaken as error:
        report(
            SupervisorEvent.PORT_TAKEN,
            app=error.app.slug,
            host=error.app.host,
            port=error.app.port,
            problem=error.reason,
        )
        return EXIT_PORT
    finally:
        if cgroups is not None:
            cgroups.close()
    return 0


def _become(plan: Plan) -> None:
    """Act as the portal's user from here on, where the plan names one; single steps still use root.

    Raises:
        DocumentError: the plan needs the right to change user, which this process does not have.
    """
    if plan.owner is None:
        return
    if missing := own_missing_privileges():
        raise DocumentError(f"owner: changing user takes {', '.join(missing)}, which this process does not have.")
    drop_privileges(*plan.owner)


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stderr, os.environ))
