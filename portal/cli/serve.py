"""``portal serve``: the portal and the apps of ``portal.toml``, on one machine."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from portal.cli import options
from portal.cli.listening_port import port_of
from portal.cli.messages import examples, print_warning
from portal.contract import is_loopback_url
from portal.contract.descriptors import raise_limit
from portal.contract.privileges import as_root
from portal.errors import StoreUnavailable
from portal.machine import startup
from portal.machine.browser import show
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.hook_trial import require_hook
from portal.machine.ports import require_free
from portal.machine.privilege_drop import become_user, environment_for, require_right, users_of
from portal.machine.problems import configured
from portal.machine.processes import Processes
from portal.machine.programs import APPS_PATIENT, PATIENT, harmless
from portal.machine.reloading import installed_version
from portal.machine.serving import Serving, require_first
from portal.machine.users import Account, Accounts
from portal.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFlags:
    """The options that stay the same across reloads."""

    config: Path | None
    port: int | None
    workers: int
    threads: int


@click.command(epilog=examples("portal serve", "portal serve --port 9000 --workers 4 --no-browser"))
@options.config
@options.port
@options.workers
@options.threads
@options.no_browser
def serve(*, config: Path | None, port: int | None, workers: int, threads: int, no_browser: bool) -> int:
    """Run the portal and the apps of portal.toml on this machine."""
    flags = ServeFlags(config=config, port=port, workers=workers, threads=threads)
    raise_limit()  # inherited by all processes
    launch = _first_launch(flags)
    settings = launch.settings
    purposes = {launch.port: "the portal"} | {
        app.port: f"the app {app.slug}" for app in settings.catalogue if app.source is not None and app.port
    }
    require_first(settings)
    require_free(purposes, fix="Choose others: --port for the portal, portal.apps_port or apps.<slug>.port for apps.")
    processes = Processes()
    serving = Serving(processes, launch, configure=lambda: _next_launch(flags))
    # On a terminal, SIGHUP means that it was closed: the end.
    hung_up = None if sys.stdin is not None and sys.stdin.isatty() else serving.request_reload
    with processes.until_stopped(on_hangup=hung_up):
        try:
            startup.start(processes, launch)
        except StoreUnavailable as error:
            raise CommandFailed(f"The database cannot be used: {error}", exit_code=ENDED) from error
        serving.open()

        def announce() -> None:
            click.echo(f"The portal runs at {settings.url}, listening on 127.0.0.1:{launch.port}.")
            show(settings.url, wanted=is_loopback_url(settings.url) and not no_browser)

        monitor = startup.StartupMonitor(settings, checks=(startup.portal_health_check(launch),), announce=announce)

        def step() -> None:
            monitor.look()
            serving.step()

        try:
            return startup.stay(processes, step, restart=serving.restart_supervisor)
        finally:
            serving.close()


def _first_launch(flags: ServeFlags) -> startup.Launch:
    """Return the first launch, and become the portal's user.

    Raises:
        CommandFailed: the configuration has problems.
    """
    settings, variables = configured(flags.config)
    accounts = users_of(settings, config=flags.config, variables=variables)
    require_right(settings, accounts)
    if accounts.portal is not None:
        become_user(accounts.portal, data_dir=settings.data_dir)
        settings, variables = _read_again(flags.config, accounts.portal)
    elif os.geteuid() == 0 and not is_loopback_url(settings.url):
        print_warning("the portal runs as root. Create a user for it, and set portal.user.")
    return _launch(flags, settings=settings, variables=variables, accounts=accounts)


def _next_launch(flags: ServeFlags) -> startup.Launch:
    """Return the launch of a reload, from the current configuration.

    Raises:
        CommandFailed: the configuration has problems.
    """
    settings, variables = configured(flags.config)
    with as_root():  # only root can see who owns which file
        accounts = users_of(settings, config=flags.config, variables=variables)
        require_right(settings, accounts)
    return _launch(flags, settings=settings, variables=variables, accounts=accounts)


def _launch(
    flags: ServeFlags, *, settings: Settings, variables: Mapping[str, str], accounts: Accounts
) -> startup.Launch:
    environ = dict(os.environ) if accounts.portal is None else environment_for(accounts.portal, os.environ)
    if flags.config is not None:
        environ["PORTAL_CONFIG"] = str(flags.config.absolute())
    require_hook(settings, account=accounts.portal)
    return startup.Launch(
        settings=settings,
        port=flags.port or port_of(settings),
        environ=environ,
        app_environ=harmless(environ),
        secrets_from=variables,
        cwd=Path.cwd(),
        logs=None,
        workers=flags.workers,
        threads=flags.threads,
        accounts=accounts,
        grace=PATIENT,
        apps_grace=APPS_PATIENT,
        version=installed_version(),
    )


def _read_again(config: Path | None, account: Account) -> tuple[Settings, dict[str, str]]:
    """Read the configuration as *account*, as the portal's processes will.

    Raises:
        CommandFailed: it cannot be read, or has problems.
    """
    try:
        return configured(config)
    except OSError as error:
        raise CommandFailed(
            f"{account}, the portal's user, cannot read {error.filename}: {error.strerror}. "
            "Make that user its owner, or let its group read it."
        ) from error
