"""Running a demo: the demo provider, the portal and the apps, without the user's environment."""

import os
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

from portal.configuration import load
from portal.demo.people import PEOPLE
from portal.demo.setup import SECRET_VARIABLE, Sample, write_down
from portal.errors import StoreUnavailable
from portal.machine import startup
from portal.machine.browser import show
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.ports import require_free
from portal.machine.processes import Processes
from portal.machine.programs import harmless, host_header, provider_program
from portal.machine.readiness import HealthCheck


def run(
    sample: Sample,
    *,
    command: str,
    browser: bool,
    environ: Mapping[str, str] = os.environ,
    hidden: Collection[str] | None = None,
    failed: Callable[[str], None] = lambda _log: None,
) -> int:
    """Run *sample* until a signal to stop; return the exit code.

    *hidden* are values to redact in an app's log; *failed* gets the end of the log of an app that could not be
    started, and may raise.

    Raises:
        CommandFailed: a port is taken, or the folder or the database cannot be used.
    """
    _require_ports(sample, command=command)
    try:
        key = write_down(sample)
    except OSError as error:
        problem = f"The folder {sample.folder} cannot be used: {error.strerror}. Choose another with --data-dir."
        raise CommandFailed(problem) from error
    common = harmless(environ)
    shared = {SECRET_VARIABLE: secrets.token_urlsafe(32)}
    portal_environ = {**common, **shared, "PORTAL_CONFIG": str(sample.config), "PORTAL_SECRET_KEY": key}
    settings = load(portal_environ)
    logs = sample.folder / "logs"
    launch = startup.Launch(
        settings=settings,
        port=sample.ports.portal,
        environ=portal_environ,
        app_environ=common,
        secrets_from={},
        cwd=sample.folder,  # not the current folder: its .env, wsgi.py or gunicorn.conf.py must have no effect
        logs=logs,
        workers=1,
        threads=16,
    )
    provider = provider_program(
        port=sample.ports.provider, environ={**common, **shared}, cwd=sample.folder, log=logs / "provider.log"
    )
    print(f"Starting {sample.name} …", flush=True)
    with Processes().until_stopped() as processes:
        processes.start(provider)
        try:
            startup.start(processes, launch)
        except StoreUnavailable as error:
            raise CommandFailed(f"The database in {sample.folder} cannot be used.", exit_code=ENDED) from error

        def announce() -> None:
            print(announcement(sample), flush=True)
            show(sample.portal_url, wanted=browser, environ=environ)

        checks = (startup.portal_health_check(launch), _provider_health_check(sample))
        monitor = startup.StartupMonitor(settings, checks=checks, announce=announce, hidden=hidden, failed=failed)
        code = startup.stay(processes, monitor.look)
        print("Ending …", flush=True)
    return code


def _require_ports(sample: Sample, *, command: str) -> None:
    ports = sample.ports
    purposes = {ports.portal: "the portal", ports.provider: "the demo provider"}
    purposes |= {port: f"the app {app.title}" for app, port in zip(sample.apps, ports.apps, strict=True)}
    other = ports.portal + 100
    require_free(
        purposes,
        fix=f"Choose others with --port, for example: {command} --port {other} (which uses {other}, {other + 1} and "
        f"from {other + 10} on).",
    )


def _provider_health_check(sample: Sample) -> HealthCheck:
    return HealthCheck(port=sample.ports.provider, host=host_header(sample.issuer), path="/healthz")


def announcement(sample: Sample) -> str:
    """Return what to print when the portal is ready."""
    widest = max(len(person.name) for person in PEOPLE)
    people = "\n".join(f"    {person.name:<{widest}}   {_memberships(person)}" for person in PEOPLE)
    safari = "" if sample.plain_names else "\n  If your browser does not find that address (Safari), use --plain-names."
    return (
        f"\n  Open  {sample.portal_url}\n\n"
        f"  Who can sign in, without a password:\n{people}\n\n"
        f"  Anyone can sign in as any of these people. The demo provider answers only this computer.\n"
        f"  Logs: {sample.folder / 'logs'}{safari}\n"
        f"  Ctrl-C ends everything.\n"
    )


def _memberships(person: Any) -> str:
    return "; ".join(f"{one.tenant_name}: {', '.join(one.roles)}" for one in person.memberships)
