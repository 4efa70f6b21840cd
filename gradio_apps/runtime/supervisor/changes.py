"""What changes for each app between two plans.  Pure."""

from dataclasses import replace

from gradio_apps.runtime.supervisor.document import AppPlan, Plan
from portal.contract.supervisor_messages import Change


def changes_between(old: Plan, new: Plan, *, every_app: bool) -> dict[str, Change]:
    """Return the change of each app of either plan; with *every_app*, all of them get a new process."""
    before = {app.slug: app for app in old.apps}
    after = {app.slug: app for app in new.apps}
    everywhere = every_app or _for_all(old) != _for_all(new)
    changes: dict[str, Change] = {slug: "removed" for slug in before if slug not in after}
    for slug, app in after.items():
        changes[slug] = "added" if slug not in before else _change(before[slug], app, everywhere=everywhere)
    return changes


def _change(old: AppPlan, new: AppPlan, *, everywhere: bool) -> Change:
    if (old.host, old.port) != (new.host, new.port):
        return "moved"
    if everywhere or _for_its_process(old) != _for_its_process(new):
        return "replaced"
    return "kept" if old == new else "adjusted"


def _for_all(plan: Plan) -> Plan:
    """Return *plan* without what concerns only one app or only the supervisor."""
    return replace(plan, apps=(), control=None)


def _for_its_process(app: AppPlan) -> AppPlan:
    """Return *app* without what the supervisor can change while its process runs."""
    return replace(app, drain_timeout=0, memory=None, history=None)
