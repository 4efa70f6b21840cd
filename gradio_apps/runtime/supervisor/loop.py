"""Runs all apps until the supervisor is asked to stop."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Final

from gradio_apps.runtime.supervisor.control import Control, ControlError
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import Plan
from gradio_apps.runtime.supervisor.events import Report, SupervisorEvent
from gradio_apps.runtime.supervisor.registry import Registry
from gradio_apps.runtime.supervisor.sockets import Listening

_LOOK_AROUND: Final = 0.5
"""Seconds between two checks that the parent process still runs, and for orphans that ended."""


async def supervise(
    listening: tuple[Listening, ...],
    *,
    plan: Plan,
    outer: Mapping[str, str],
    report: Report,
    parent: int,
    descendants: Descendants,
    command: tuple[str, ...] | None = None,
) -> None:
    """Run every app of *plan* until SIGTERM, SIGINT or the end of process *parent*; then end them all."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)  # the handler only sets the event; the loop acts
    loop.add_signal_handler(signal.SIGCHLD, descendants.reap)
    registry = Registry(
        plan=plan, listening=listening, outer=outer, report=report, descendants=descendants, command=command
    )
    control = Control(registry)
    waiting = asyncio.create_task(_ending(ending, parent, descendants))
    try:
        if plan.control is not None:
            try:
                await control.open(plan.control)
            except ControlError as error:  # the apps matter more than the control socket
                report(SupervisorEvent.CONTROL_FAILED, problem=str(error))
        # If a manager fails, end everything: no app may run unmanaged.
        await asyncio.wait([waiting, registry.failed], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await control.close()
        waiting.cancel()
        await registry.close()
        report(SupervisorEvent.STOPPED)
    if registry.failed.done():
        registry.failed.result()


async def _ending(ending: asyncio.Event, parent: int, descendants: Descendants) -> None:
    while not ending.is_set() and os.getppid() == parent:
        try:
            async with asyncio.timeout(_LOOK_AROUND):
                await ending.wait()
        except TimeoutError:
            descendants.reap()
