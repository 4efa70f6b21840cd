"""``portal demo``: the sample apps behind a demo provider, on this computer."""

import argparse
from pathlib import Path
from typing import Any, Final

from portal.demo import running
from portal.demo.setup import Sample, SampleApp
from portal.machine.ports import DEFAULT, chosen_ports

APPS: Final = (
    SampleApp(
        slug="user-dashboard",
        title="Your sign-in",
        source="gradio_apps.user_dashboard",
        open_to=("everyone", "admin", "analyst"),  # an app learns the roles that its rule names, and shows them here
        description="Who you are, in which tenant, with which roles, and until when",
        icon="Me",
    ),
    SampleApp(
        slug="admin-dashboard",
        title="Who is signed in",
        source="gradio_apps.admin_dashboard",
        open_to=("admin",),
        description="The sign-ins of your tenant, and how to end one",
        icon="Ad",
        portal_api=("audit:read", "sign-ins:read", "sign-ins:end"),
    ),
    SampleApp(
        slug="showcase",
        title="Showcase",
        source="gradio_apps.showcase",
        open_to=("everyone",),
        description="An answer, a stream, an upload, a download and a plot",
        icon="Sh",
    ),
)


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("demo", help="start the sample apps behind a demo provider with four sample people")
    running.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo.

    Raises:
        CommandFailed: it cannot be started like that.
    """
    sample = Sample(
        name="the demo",
        folder=(options.data_dir or default_folder(options.port)).absolute(),
        ports=chosen_ports(options.port, apps=len(APPS)),
        apps=APPS,
        landing=("admin-dashboard", "user-dashboard"),
        plain_names=options.plain_names,
    )
    return running.run(sample, command="portal demo", browser=not options.no_browser)


def default_folder(port: int) -> Path:
    """Return where the demo on *port* keeps its things: two demos share nothing."""
    return Path(".portal") / ("demo" if port == DEFAULT else f"demo-{port or 'any'}")
