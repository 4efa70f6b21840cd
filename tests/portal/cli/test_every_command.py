"""What holds for every command: checked numbers, a closed output, an input that ends, no configuration."""

import argparse
import errno
import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from gradio_apps.serve import command_line as app_command_line
from portal.cli import main
from portal.cli.command_line import COMPLETION, PORTAL
from portal.cli.lazy_command import LazyCommand
from portal.cli.options import Number
from portal.contract.argument_types import PORT, WholeNumber
from portal.demo.provider import command_line as provider_command_line
from portal.machine.failure import ENDED, MISTAKEN, UNREAD
from tests.portal.cli.test_main import GOOD, SECRET
from tests.processes import PATIENCE

BARE: dict[str, tuple[str, ...]] = {
    "apps install": ("forecast",),
    "apps list": (),
    "apps logs": ("forecast",),
    "apps restart": ("forecast",),
    "apps secret": ("forecast",),
    "apps secrets": ("--into", "secrets"),
    "apps start": ("forecast",),
    "apps status": ("forecast",),
    "apps stop": ("forecast",),
    "audit": (),
    "backup": ("backup.tar",),
    "check": (),
    "completion": ("fish",),
    "config caddy": (),
    "config nginx": ("--certificate", "c.pem", "--key", "k.pem"),
    "config systemd": (),
    "demo": (),
    "doctor": (),
    "explain": ("--claims", "claims.json"),
    "init": (),
    "keys list": (),
    "keys revoke": ("unknown",),
    "keys rotate": (),
    "migrate": (),
    "providers": (),
    "providers test": ("company",),
    "reload": (),
    "restore": ("backup.tar",),
    "serve": (),
    "sign-ins list": (),
    "sign-ins revoke": ("--all",),
    "try": ("app.py",),
}
"""Every command, with the arguments it cannot be without."""
WITHOUT_CONFIGURATION = {"completion", "demo", "init", "try"}
"""Commands that need no portal.toml."""


def commands(group: click.Group = PORTAL, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command below *group* with its name."""
    for word, command in group.commands.items():
        whole = f"{name} {word}".strip()
        loaded = command.load() if isinstance(command, LazyCommand) else command
        if not isinstance(loaded, click.Group) or loaded.invoke_without_command:
            yield whole, loaded
        if isinstance(loaded, click.Group):
            yield from commands(loaded, whole)


COMMANDS = dict(commands())


def run_app(arguments: Sequence[str]) -> int:
    return parsed(app_command_line, ["source", *arguments])


def run_provider(arguments: Sequence[str]) -> int:
    return parsed(provider_command_line, arguments)


def parsed(command_line: Callable[[], argparse.ArgumentParser], arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line().parse_args(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def numbers() -> list[tuple[str, str, object]]:
    """Return every option whose value becomes a number: its command, its name and its type."""
    ours = [
        (name, option.opts[-1], option.type.bounds if isinstance(option.type, Number) else option.type)
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option.type, (Number, type(click.INT), type(click.FLOAT), click.IntRange))
    ]
    programs = {"gradio_apps.serve": app_command_line(), "portal.demo.provider": provider_command_line()}
    return ours + [
        (name, action.option_strings[-1], action.type)
        for name, parser in programs.items()
        for action in parser._actions
        if isinstance(action.type, WholeNumber) or action.type in {int, float} or type(action.default) in {int, float}
    ]


def test_the_table_holds_every_command() -> None:
    assert COMMANDS.keys() == BARE.keys()


def test_every_number_has_a_declared_type() -> None:
    assert len(numbers()) >= 10
    assert [(name, option) for name, option, bounds in numbers() if not isinstance(bounds, WholeNumber)] == []


@pytest.mark.parametrize(("name", "option", "bounds"), numbers())
@pytest.mark.parametrize("argument", ["-1", "", "x", "1.5", "1e3", " 1", "+1", "1_0", "٣", "9" * 5000, "over", "under"])
def test_no_number_is_taken_that_is_none_or_out_of_bounds(
    name: str, option: str, bounds: WholeNumber, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {"over": str(bounds.highest + 1), "under": str(bounds.lowest - 1)}.get(argument, argument)
    run = {"gradio_apps.serve": run_app, "portal.demo.provider": run_provider}.get(name, main)
    assert run([*(name.split() if run is main else ()), *BARE.get(name, ()), f"{option}={text}"]) == 2
    assert f"is not {bounds.what} from {bounds.lowest} to {bounds.highest}" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(BARE))
def test_a_summary_is_the_first_sentence_of_the_commands_own_help(name: str) -> None:
    *groups, word = name.split()
    group = PORTAL
    for one in groups:
        below = group.commands[one]
        group = below.load() if isinstance(below, LazyCommand) else below  # type: ignore[assignment]
    summary = group.commands[word].get_short_help_str(limit=200)
    assert summary == f"{COMMANDS[name].get_short_help_str(limit=200).rstrip('.')}."
    assert COMMANDS[name].epilog


_SERVER = {"alembic", "authlib", "flask", "sqlalchemy"}
_HEAVY = _SERVER | {"cryptography", "gradio", "httpx", "joserfc"}


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        ("--help", _HEAVY),
        ("--version", _HEAVY),
        ("completion bash", _HEAVY),
        ("config caddy --help", _SERVER),
        ("reload --help", _SERVER),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: str, heavy: set[str]) -> None:
    code = "import sys; from portal.cli import main; code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"
    command = [sys.executable, "-c", code, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert heavy.isdisjoint(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("group", ["", "apps", "config", "sign-ins"])
def test_a_group_alone_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(group.split()) == 0
    message = capsys.readouterr()
    assert message.out.startswith(f"Usage: {f'portal {group}'.strip()} [OPTIONS] COMMAND")
    assert message.err == ""


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"portal {version('gradio-portal')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "portal: No such command 'chekc'. Did you mean 'check'? Try 'portal --help'.\n"),
        (["apps", "lits"], "portal: No such command 'lits'. Did you mean 'list'? Try 'portal apps --help'.\n"),
        (
            ["serve", "--prot", "1"],
            "portal: No such option '--prot'. Did you mean '--port'? Try 'portal serve --help'.\n",
        ),
        (["explain"], "portal: Missing option '--claims'. Try 'portal explain --help'.\n"),
        (["try"], "portal: Missing argument 'APP'. Try 'portal try --help'.\n"),
        (["check", "all"], "portal: Got unexpected extra argument (all). Try 'portal check --help'.\n"),
        (["completion"], "portal: Missing argument 'SHELL'. Choose from: bash, fish, zsh. Try 'portal completion"),
        (["completion", "tcsh"], "portal: Invalid value for 'SHELL': 'tcsh' is not one of 'bash', 'fish', 'zsh'."),
    ],
)
def test_a_usage_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == MISTAKEN
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "completion"),
    [("portal che", "check"), ("portal apps re", "restart"), ("portal serve --wo", "--workers")],
)
def test_a_shell_completes(
    line: str, completion: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "fish"]) == 0
    assert f"{COMPLETION}=fish_complete" in capsys.readouterr().out
    monkeypatch.setenv(COMPLETION, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert main([]) == 0
    assert capsys.readouterr().out.split() == [f"plain,{completion}"]


class Terminal(io.StringIO):
    """A terminal that somebody reads."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_only_a_terminal_gets_colours(no_color: str, *, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stderr", error := Terminal())
    assert main(["check"]) == MISTAKEN
    assert ("\x1b[31mportal:\x1b[0m there is no portal.toml here" in error.getvalue()) == coloured
    assert ("\x1b" in error.getvalue()) == coloured


def test_the_bounds_themselves_are_taken() -> None:
    assert [PORT("1"), PORT("65535"), PORT("007800")] == [1, 65535, 7800]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("PORTAL_", "OAUTH_", "COMPANY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "claims.json").write_text("{}")
    return tmp_path


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("name", sorted(BARE.keys() - WITHOUT_CONFIGURATION))
def test_without_a_configuration_it_is_said_how_to_make_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), *BARE[name]]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("portal: there is no portal.toml here; `portal init` creates one.")
    assert printed.out == ""


def run_in_shell(
    folder: Path, *arguments: str, then: str = "", stdin: int = subprocess.DEVNULL
) -> "subprocess.CompletedProcess[str]":
    """Run ``portal`` in a shell, with *then* after it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "OAUTH_"))}
    command = ["/bin/bash", "-c", f'set -o pipefail; "$@" {then}', "bash", sys.executable, "-m", "portal.cli"]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environ,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def configured_folder(empty: Path) -> Path:
    (empty / "portal.toml").write_text(GOOD)
    (empty / ".env").write_text(f"PORTAL_SECRET_KEY={SECRET}\nCOMPANY_CLIENT_SECRET=client-secret-of-ours\n")
    (empty / "claims.json").write_text('{"iss": "https://id.example.com", "sub": "ana"}')
    (empty / "app.py").write_text("print()\n")
    return empty


class Unread(io.StringIO):
    """An output whose reader has gone, which shows when what was kept back is written."""

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Closed(io.StringIO):
    """A terminal at which Ctrl-D was pressed."""

    def isatty(self) -> bool:
        return True


def arguments_of(name: str) -> list[str]:
    """Return a command line that ends soon: those that would run get a port that leaves no room."""
    return [*name.split(), *BARE[name], *(("--port", "65535") if name in {"demo", "try"} else ())]


@pytest.mark.usefixtures("configured_folder")
@pytest.mark.parametrize("name", sorted(BARE.keys() - {"doctor", "providers", "providers test", "serve"}))
def test_an_output_without_a_reader_ends_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")  # no Caddy that would be asked for its version
    monkeypatch.setattr("sys.stdout", Unread())
    assert main(arguments_of(name)) == UNREAD
    assert "Broken" not in capsys.readouterr().err


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("name", ["", *sorted(BARE)])
def test_and_so_does_help(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Unread())
    assert main([*name.split(), "--help"]) == UNREAD


@pytest.mark.parametrize("name", sorted(BARE.keys() - {"completion"}))
def test_an_input_that_ends_is_no_error_of_python(
    empty: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Closed())
    assert main(arguments_of(name)) in {ENDED, MISTAKEN}
    if name == "init":
        expected = "portal: the input ended before everything was answered. Nothing was written.\n"
        assert capsys.readouterr().err.endswith(expected)
        assert not (empty / "portal.toml").exists()


def test_a_log_without_a_reader_ends_too(configured_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (configured_folder / ".portal" / "logs").mkdir(parents=True)
    (configured_folder / ".portal" / "logs" / "admin-dashboard.log").write_text("a line\n")
    monkeypatch.setattr("sys.stdout", Unread())
    assert main(["apps", "logs", "admin-dashboard"]) == UNREAD


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("redirection", ["| true", ">&- 2>&-"])
def test_a_pipe_and_closed_outputs_as_a_shell_has_them(configured_folder: Path, redirection: str) -> None:
    for name in ("check", "config systemd"):
        done = run_in_shell(configured_folder, *name.split(), then=redirection)
        assert done.stderr == ""
        assert done.returncode in {0, UNREAD}


@pytest.mark.usefixtures("processes")
def test_what_cannot_be_written_is_said(configured_folder: Path) -> None:
    """
    At once, or when what was kept back is written at the end.
    """
    done = run_in_shell(configured_folder, "check", then="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == "portal: cannot write: No space left on device.\n"


@pytest.mark.usefixtures("processes")
def test_ctrl_d_ends_the_questions(empty: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"\x04")
    try:
        done = run_in_shell(empty, "init", stdin=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 1
    assert done.stderr.endswith("portal: the input ended before everything was answered. Nothing was written.\n")
