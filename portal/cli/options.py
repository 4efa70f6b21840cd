"""Options and arguments that several commands share, and their types."""

import argparse
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from portal.contract.argument_types import PORT, PORT_OR_ANY, THREADS, WORKERS, WholeNumber
from portal.machine.ports import DEFAULT

_Decorated = TypeVar("_Decorated", bound=Any)

PATH: Final = click.Path(path_type=Path)


class Number(click.ParamType[int, Any]):
    """A whole number within *bounds*."""

    name = "number"

    def __init__(self, bounds: WholeNumber) -> None:
        self.bounds = bounds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number in *value*; a default is one already."""
        if isinstance(value, int):
            return value
        try:
            return self.bounds(value)
        except argparse.ArgumentTypeError as error:
            self.fail(f"{error}.", param, ctx)


class _Name(click.ParamType[str, Any]):
    """A text that is not empty: an unset variable of a shell must not select anything."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return *value* without spaces around it."""
        return str(value).strip() or self.fail("it is empty.", param, ctx)


NAME: Final = _Name()
config = click.option("--config", type=PATH, metavar="FILE", help="Read this file, not PORTAL_CONFIG or portal.toml.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
name = click.argument("name", metavar="NAME", help="The app's name in portal.toml.")
port = click.option(
    "--port", type=Number(PORT), metavar="N", help=f"Port on 127.0.0.1.  [default: as configured, else {DEFAULT}]"
)
workers = click.option("--workers", type=Number(WORKERS), default=2, metavar="N", help="Processes of the portal.")
threads = click.option("--threads", type=Number(THREADS), default=16, metavar="N", help="Threads of each process.")
no_browser = click.option("--no-browser", is_flag=True, help="Do not open a browser.")
_DEMO: Final = (
    click.option(
        "--port",
        type=Number(PORT_OR_ANY),
        default=DEFAULT,
        metavar="N",
        help="The portal's port; provider and apps use ports after it. 0 takes any free ports.",
    ),
    no_browser,
    click.option(
        "--plain-names",
        is_flag=True,
        help="Use 127.0.0.1, not names under .localhost, for Safari; portal and apps then share cookies.",
    ),
    click.option("--data-dir", type=PATH, metavar="FOLDER", help="Keep database, key and logs here."),
)


def demo(command: _Decorated) -> _Decorated:
    """Add the options of ``demo`` and ``try`` to *command*."""
    for option in reversed(_DEMO):
        command = option(command)
    return command
