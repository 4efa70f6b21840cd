"""``portal completion``: the script with which a shell completes commands and options."""

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from portal.cli.command_line import COMPLETION, PORTAL
from portal.cli.messages import examples

_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog=examples(
        'eval "$(portal completion bash)"   # in ~/.bashrc',
        'eval "$(portal completion zsh)"    # in ~/.zshrc',
        "portal completion fish > ~/.config/fish/completions/portal.fish",
    )
)
@click.argument("shell", type=click.Choice(sorted(_SHELLS)), metavar="SHELL", help="bash, fish or zsh.")
def completion(shell: str) -> int:
    """Print a shell script that completes commands."""
    click.echo(_SHELLS[shell](PORTAL, {}, "portal", COMPLETION).source(), nl=False)
    return 0
