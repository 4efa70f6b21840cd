"""The ``portal`` command: one module for each of its commands.

Nothing here decides who may do what; ``demo``, ``try`` and ``serve`` start processes and end them.
"""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Final

import click
from click.exceptions import Exit, NoArgsIsHelpError
from click.shell_completion import shell_complete

from portal.cli.command_line import COMPLETION, PORTAL
from portal.cli.messages import colours, print_error
from portal.cli.standard_streams import discard_output, open_descriptors
from portal.machine.failure import ENDED, INTERRUPTED, UNREAD, CommandFailed

__all__ = ["main"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of a full disk, a full quota and a file at its largest size."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 something failed, 2 wrong arguments or configuration.

    130 after Ctrl-C and 141 when nobody reads the output any more, as with other programs.
    """
    open_descriptors()
    try:
        if instruction := os.environ.get(COMPLETION):
            code: int = shell_complete(PORTAL, {}, "portal", COMPLETION, instruction)
        else:
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return UNREAD
    except OSError as error:
        if error.errno not in _FULL:
            raise
        discard_output()
        print_error(f"cannot write: {error.strerror}.")
        return ENDED
    return code


def _run(arguments: list[str]) -> int:
    # Not PORTAL.main(): that one has other exit codes for Ctrl-C, Ctrl-D and a closed pipe.
    try:
        with PORTAL.make_context("portal", arguments, color=colours()) as context:
            code: int = PORTAL.invoke(context)
            return code
    except Exit as done:
        return done.exit_code
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        command = "portal" if error.ctx is None else error.ctx.command_path
        message = " ".join(error.format_message().split())
        print_error(f"{message}{'' if message.endswith(('.', '?', '?)')) else '.'} Try '{command} --help'.")
        return error.exit_code
    except CommandFailed as failure:
        print_error(str(failure))
        return failure.exit_code
    except PermissionError as error:
        if error.filename is None:
            raise
        print_error(f"{error.filename}: {error.strerror}. Use the command as a user who has access to it.")
        return ENDED
    except click.Abort as abort:  # click.prompt hides the cause
        if isinstance(abort.__context__, KeyboardInterrupt):
            return INTERRUPTED
        click.echo(err=True)
        print_error("the input ended before everything was answered. Nothing was written.")
        return ENDED
    except KeyboardInterrupt:  # before there are processes to end
        return INTERRUPTED
