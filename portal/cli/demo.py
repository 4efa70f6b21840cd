"""``portal demo``: the sample apps behind a demo provider, on this computer."""

from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.messages import examples
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


@click.command(epilog=examples("portal demo", "portal demo --port 0 --no-browser"))
@options.demo
def demo(*, port: int, no_browser: bool, plain_names: bool, data_dir: Path | None) -> int:
    """Start the sample apps behind a demo provider with four people."""
    sample = Sample(
        name="the demo",
        folder=(data_dir or default_folder(port)).absolute(),
        ports=chosen_ports(port, apps=len(APPS)),
        apps=APPS,
        landing=("admin-dashboard", "user-dashboard"),
        plain_names=plain_names,
    )
    return running.run(sample, command="portal demo", browser=not no_browser)


def default_folder(port: int) -> Path:
    """Return where the demo on *port* keeps its files; demos on other ports share none."""
    return Path(".portal") / ("demo" if port == DEFAULT else f"demo-{port or 'any'}")
