"""The process managers of all apps of this machine, and how they follow the configuration."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from gradio_apps.runtime.supervisor.changes import changes_between
from gradio_apps.runtime.supervisor.descendants import Descendants
from gradio_apps.runtime.supervisor.document import Plan
from gradio_apps.runtime.supervisor.events import Report, SupervisorEvent
from gradio_apps.runtime.supervisor.process_manager import ProcessManager
from gradio_apps.runtime.supervisor.sockets import Listening, listen
from portal.contract.supervisor_messages import Change


class OwnerChanged(Exception):
    """A running supervisor cannot change the user it acts for."""


class Registry:
    """The managers of one supervisor."""

    def __init__(
        self,
        *,
        plan: Plan,
        listening: Iterable[Listening],
        outer: Mapping[str, str],
        report: Report,
        descendants: Descendants,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._plan = plan
        self._outer = outer
        self._report = report
        self._descendants = descendants
        self._command = command
        self._tasks: dict[ProcessManager, asyncio.Task[None]] = {}
        self._going: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the error of a manager that failed; they never end by themselves."""
        self._managers = {one.app.slug: self._manage(one) for one in listening}

    def __iter__(self) -> Iterator[ProcessManager]:
        return iter(self._managers.values())

    def find(self, slug: str) -> ProcessManager | None:
        """Return the manager of the app *slug*, or ``None``."""
        return self._managers.get(slug)

    def change(self, plan: Plan, *, every_app: bool) -> dict[str, Change]:
        """Follow *plan* from now on; return what happens to each app, soon after.

        Raises:
            OwnerChanged: the plan is for a supervisor of another user.
            PortTaken: an app cannot listen on its address; nothing has changed then.
        """
        if plan.owner != self._plan.owner:
            raise OwnerChanged
        changes = changes_between(self._plan, plan, every_app=every_app)
        going = {slug: self._managers[slug] for slug, change in changes.items() if change in {"removed", "moved"}}
        # An address that passes from one app to another is not closed in between.
        freed = {(one.app.host, one.app.port): one for one in going.values() if one.app.port}
        added = [app for app in plan.apps if changes[app.slug] in {"added", "moved"}]
        opened = {one.app.slug: one for one in listen(app for app in added if (app.host, app.port) not in freed)}
        taken_over = {
            app.slug: Listening(app, freed[app.host, app.port].listening.socket.dup())
            for app in added
            if (app.host, app.port) in freed
        }
        self._plan = plan
        passed_on = [freed[app.host, app.port] for app in added if (app.host, app.port) in freed]
        ends = {manager: self._let_go(manager, passed_on=manager in passed_on) for manager in going.values()}
        managers: dict[str, ProcessManager] = {}
        for app in plan.apps:
            if app.slug in opened:
                managers[app.slug] = self._manage(opened[app.slug])
            elif app.slug in taken_over:
                managers[app.slug] = self._manage(taken_over[app.slug], after=ends[freed[app.host, app.port]])
            else:
                managers[app.slug] = self._managers[app.slug]
                managers[app.slug].adopt(app, plan=plan, replacing=changes[app.slug] == "replaced")
        self._managers = managers  # in the order of the plan
        self._report(SupervisorEvent.RELOADED, apps=changes)
        return changes

    async def close(self) -> None:
        """End all apps."""
        for manager in self._managers.values():
            self._let_go(manager)
        await asyncio.gather(*self._going)

    def _manage(self, listening: Listening, *, after: asyncio.Task[None] | None = None) -> ProcessManager:
        """Start to manage an app, *after* the app that had its address has ended."""
        manager = ProcessManager(
            listening,
            plan=self._plan,
            outer=self._outer,
            report=self._report,
            descendants=self._descendants,
            command=self._command,
        )

        async def run() -> None:
            if after is not None:
                await asyncio.shield(after)
            await manager.run(taking_over=after is not None)

        task = self._tasks[manager] = asyncio.get_running_loop().create_task(run())
        task.add_done_callback(self._done)
        return manager

    def _done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    def _let_go(self, manager: ProcessManager, *, passed_on: bool = False) -> asyncio.Task[None]:
        going = asyncio.get_running_loop().create_task(self._end(manager, passed_on=passed_on))
        self._going.add(going)
        going.add_done_callback(self._going.discard)
        return going

    async def _end(self, manager: ProcessManager, *, passed_on: bool) -> None:
        """End an app and close its socket; one that is *passed_on* is replaced by the next app."""
        task = self._tasks.pop(manager)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not passed_on:
            manager.listening.shut()
        manager.listening.socket.close()
