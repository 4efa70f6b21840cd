"""The loop over all apps, and the end of it."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Final

from gradio_apps.runtime.supervisor.control import Control, ControlError
from gradio_apps.runtime.supervisor.document import Plan
from gradio_apps.runtime.supervisor.events import Event, Report
from gradio_apps.runtime.supervisor.keeper import Keeper
from gradio_apps.runtime.supervisor.sockets import Listening

_LOOK_FOR_PARENT: Final = 0.5
"""Seconds between two looks whether whoever started us is still there."""


async def supervise(
    listening: tuple[Listening, ...],
    *,
    plan: Plan,
    outer: Mapping[str, str],
    report: Report,
    parent: int,
    command: tuple[str, ...] | None = None,
) -> None:
    """Keep every app of *plan* until SIGTERM, SIGINT, or the end of process *parent*; then end them all."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)  # handlers only say so; the loop acts
    kept = {one.app.slug: Keeper(one, plan=plan, outer=outer, report=report, command=command) for one in listening}
    keepers = [asyncio.create_task(keeper.run()) for keeper in kept.values()]
    control = Control(kept)
    waiting = asyncio.create_task(_ending(ending, parent))
    try:
        if plan.control is not None:
            try:
                await control.open(plan.control)
            except ControlError as error:  # the apps matter more than the way to ask about them
                report(Event.CONTROL_FAILED, problem=str(error))
        # A keeper never returns: one that is done has failed, and then nothing may be left running.
        done, _ = await asyncio.wait([waiting, *keepers], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await control.close()
        for task in (waiting, *keepers):
            task.cancel()
        await asyncio.gather(waiting, *keepers, return_exceptions=True)
        for one in listening:
            one.socket.close()
        report(Event.STOPPED)
    for task in done - {waiting}:
        task.result()


async def _ending(ending: asyncio.Event, parent: int) -> None:
    while not ending.is_set() and os.getppid() == parent:
        try:
            async with asyncio.timeout(_LOOK_FOR_PARENT):
                await ending.wait()
        except TimeoutError:
            continue
