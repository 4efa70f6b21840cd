"""The ``portal`` command: try it, run it, check it, ask it why.

One module per subcommand.  Nothing here decides who may do what; ``demo``, ``try`` and
``serve`` start processes and end them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import cast

from portal.cli import (
    apps,
    backup,
    check,
    config,
    demo,
    doctor,
    explain,
    init,
    migrate,
    providers,
    reload,
    restore,
    serve,
    try_app,
)
from portal.cli.failure import ENDED, CommandFailed
from portal.cli.terminal import plain

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 something ended or failed, 2 wrongly asked or configured."""
    parser = argparse.ArgumentParser(prog="portal", description="Gradio apps behind your company's sign-in.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (
        demo,
        try_app,
        init,
        serve,
        reload,
        apps,
        check,
        doctor,
        providers,
        config,
        explain,
        migrate,
        backup,
        restore,
    ):
        module.add_to(commands)
    options = parser.parse_args(arguments)
    run = cast("Callable[[argparse.Namespace], int]", options.run)
    try:
        return run(options)
    except CommandFailed as failure:
        sys.stderr.write(f"portal: {plain(str(failure))}\n")
        return failure.exit_code
    except PermissionError as error:
        if error.filename is None:
            raise
        named = plain(str(error.filename))
        sys.stderr.write(f"portal: {named}: {error.strerror}. Use the command as a user who has access to it.\n")
        return ENDED
    except KeyboardInterrupt:  # before the processes are there to be ended
        return 130
