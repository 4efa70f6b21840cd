"""What holds for every command: checked numbers, a closed output, an input that ends, no configuration."""

import argparse
import errno
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradio_apps.serve import command_line as app_command_line
from portal.cli import command_line, main
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
    "backup": ("backup.tar",),
    "check": (),
    "config caddy": (),
    "config nginx": ("--certificate", "c.pem", "--key", "k.pem"),
    "config systemd": (),
    "demo": (),
    "doctor": (),
    "explain": ("--claims", "claims.json"),
    "init": (),
    "migrate": (),
    "providers": (),
    "providers test": ("company",),
    "reload": (),
    "restore": ("backup.tar",),
    "serve": (),
    "try": ("app.py",),
}
"""Every command, with the arguments it cannot be without."""
WITHOUT_CONFIGURATION = {"demo", "init", "try"}
"""Commands that need no portal.toml."""


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command below *parser* with its name, and those that only hold others without."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    yield name, parser
    for action in below:
        for word, one in action.choices.items():
            yield from parsers(one, f"{name} {word}".strip())


def numbers() -> list[tuple[str, argparse.Action]]:
    """Return every option of every command whose value becomes a number."""
    whole = [
        *parsers(command_line()),
        ("gradio_apps.serve", app_command_line()),
        ("portal.demo.provider", provider_command_line()),
    ]
    return [
        (name, action)
        for name, parser in whole
        for action in parser._actions
        if isinstance(action.type, WholeNumber) or action.type in {int, float} or type(action.default) in {int, float}
    ]


def test_the_table_holds_every_command() -> None:
    runnable = {name for name, parser in parsers(command_line()) if parser.get_default("run") is not None}
    assert runnable == BARE.keys()


def test_every_number_has_a_declared_type() -> None:
    found = numbers()
    assert len(found) >= 10
    assert [(name, action.dest) for name, action in found if not isinstance(action.type, WholeNumber)] == []


@pytest.mark.parametrize(("name", "action"), numbers(), ids=lambda one: one if isinstance(one, str) else one.dest)
@pytest.mark.parametrize("written", ["-1", "", "x", "1.5", "1e3", " 1", "+1", "1_0", "٣", "9" * 5000, "over", "under"])
def test_no_number_is_taken_that_is_none_or_out_of_bounds(
    name: str, action: argparse.Action, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = action.type
    assert isinstance(kind, WholeNumber)
    text = {"over": str(kind.highest + 1), "under": str(kind.lowest - 1)}.get(written, written)
    command = {"gradio_apps.serve": app_command_line, "portal.demo.provider": provider_command_line}.get(name)
    words = [f"{action.option_strings[-1]}={text}"]
    before = ["source"] if name == "gradio_apps.serve" else [*name.split(), *BARE.get(name, ())] if not command else []
    read = main if command is None else command().parse_args
    with pytest.raises(SystemExit) as ended:
        read([*before, *words])
    assert ended.value.code == 2
    assert f"is not {kind.what} from {kind.lowest} to {kind.highest}" in capsys.readouterr().err


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
    said = capsys.readouterr()
    assert said.err.startswith("portal: no portal.toml here; `portal init` makes one.")
    assert said.out == ""


def ended(
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
def configured(empty: Path) -> Path:
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


@pytest.mark.usefixtures("configured")
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


@pytest.mark.parametrize("name", sorted(BARE))
def test_an_input_that_ends_is_no_error_of_python(
    empty: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Closed())
    assert main(arguments_of(name)) in {ENDED, MISTAKEN}
    if name == "init":
        expected = "portal: the input ended before everything was answered. Nothing was written.\n"
        assert capsys.readouterr().err.endswith(expected)
        assert not (empty / "portal.toml").exists()


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("redirection", ["| true", ">&- 2>&-"])
def test_a_pipe_and_closed_outputs_as_a_shell_has_them(configured: Path, redirection: str) -> None:
    for name in ("check", "config systemd"):
        done = ended(configured, *name.split(), then=redirection)
        assert done.stderr == ""
        assert done.returncode in {0, UNREAD}


@pytest.mark.usefixtures("processes")
def test_what_cannot_be_written_is_said(configured: Path) -> None:
    """
    At once, or when what was kept back is written at the end.
    """
    done = ended(configured, "check", then="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == "portal: cannot write: No space left on device.\n"


@pytest.mark.usefixtures("processes")
def test_ctrl_d_ends_the_questions(empty: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"\x04")
    try:
        done = ended(empty, "init", stdin=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 1
    assert done.stderr.endswith("portal: the input ended before everything was answered. Nothing was written.\n")
