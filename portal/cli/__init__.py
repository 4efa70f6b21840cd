"""The ``portal`` command: one module for each of its commands.

One module per subcommand.  Nothing here decides who may do what; ``demo``, ``try`` and
``serve`` start processes and end them.
"""

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from typing import Final, cast

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
from portal.cli.standard_streams import discard_output, open_descriptors
from portal.machine.failure import ENDED, INTERRUPTED, UNREAD, CommandFailed
from portal.machine.terminal import plain

__all__ = ["main"]


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What keeps standard output, or a file, from taking more."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 something ended or failed, 2 wrongly asked or configured.

    130 where it was interrupted and 141 where the reader of its output has gone, as with other programs.
    """
    open_descriptors()
    try:
        try:
            code = _run(command_line().parse_args(arguments))
        except SystemExit:
            sys.stdout.flush()  # of --help: at the very end it could only fail without a word
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return UNREAD
    except OSError as error:
        if error.errno not in _FULL:
            raise
        discard_output()
        sys.stderr.write(f"portal: cannot write: {error.strerror}.\n")
        return ENDED
    return code


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
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
    return parser


def _run(options: argparse.Namespace) -> int:
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
    except EOFError:
        sys.stderr.write("\nportal: the input ended before everything was answered. Nothing was written.\n")
        return ENDED
    except KeyboardInterrupt:  # before the processes are there to be ended
        return INTERRUPTED
