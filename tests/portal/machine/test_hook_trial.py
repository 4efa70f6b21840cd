"""The sign-in hook is loaded as a test by a separate process, as the portal's user."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.machine.failure import CommandFailed
from portal.machine.hook_trial import require_hook
from portal.machine.users import Account
from tests.builders import settings_for
from tests.journeys import strangers

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that everybody may enter, and nobody but its owner change."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        monkeypatch.chdir(made)
        yield made


def tried(folder: Path, source: str, *, account: Account | None = None, patience: float = 60) -> str | None:
    """Return what is said against the hook of *source*."""
    (folder / "company_rules.py").write_text(source)
    settings = settings_for(folder / "data", sign_in_hook="company_rules:hook")
    try:
        require_hook(settings, account=account, patience=patience)
    except CommandFailed as failure:
        return str(failure)
    return None


def test_without_a_hook_there_is_nothing_to_try(tmp_path: Path) -> None:
    require_hook(settings_for(tmp_path), account=None)


def test_a_valid_hook_may_print_and_changes_nothing_here(folder: Path) -> None:
    assert tried(folder, "print('{}', 'loaded')\ndef hook(provider_id): ...") is None
    assert "company_rules" not in sys.modules


def test_a_changed_hook_is_loaded_again(folder: Path) -> None:
    assert tried(folder, "def hook(provider_id): ...") is None
    assert "which is not in company_rules" in (tried(folder, "def renamed(provider_id): ...  # and longer") or "")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('secret')", "cannot be loaded: RuntimeError in"),
        ("import os\nos._exit(7)", "ended the process when it was loaded, with exit code 7"),
        ("import os\nos.write(1, b'{}')\nos._exit(0)", "ended the process when it was loaded, with exit code 0"),
    ],
    ids=["raises", "ends it all", "ends it all and seems sound"],
)
def test_a_hook_that_cannot_be_loaded_is_a_problem(folder: Path, source: str, said: str) -> None:
    text = tried(folder, source) or ""

    assert "environment: PORTAL_SIGN_IN_HOOK" in text
    assert said in text
    assert "secret" not in text


def test_a_hook_that_takes_too_long_is_a_problem(folder: Path) -> None:
    assert "was not loaded within" in (tried(folder, "import time\ntime.sleep(600)", patience=0.2) or "")


@pytest.mark.skipif(strangers.missing() is not None, reason=strangers.missing() or "")
def test_a_hook_does_not_run_as_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", strangers.python_for_all())
    account = Account(uid=strangers.STRANGER, gid=strangers.STRANGER)
    source = """
import os
ids = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
assert ids == {STRANGER}, ids
assert os.environ["HOME"] != "/root"
def hook(provider_id): ...
"""
    assert tried(folder, source.replace("STRANGER", str(strangers.STRANGER)), account=account) is None
    assert os.geteuid() == 0
