"""The sign-in hook with the real Chainlit beside the portal, in an environment of its own."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest

from tests.portal.sign_in.hook.company import EVERYBODY, ONE_GOOGLE_DOMAIN

CHAINLIT: Final = "chainlit==2.12.0"
ROOT: Final = Path(__file__).resolve().parents[2]
LATE: Final = """
def oauth_callback(provider_id, token, raw_user_data, default_user):
    import chainlit as cl
    return cl.User(identifier="x", metadata=default_user.metadata) if raw_user_data.get("hd") == "example.org" else None
"""
"""A hook that imports Chainlit only when it is asked."""
ASK: Final = dedent(
    """
    import json, os, sys
    from types import SimpleNamespace
    from portal.sign_in.admission import Arrival, admit
    from portal.errors import NotAdmitted
    from portal.sign_in.hook import hook_of, load_hook
    from portal.sign_in.hook.invocation import HookCaller
    from tests.builders import a_provider, an_identity

    spec = a_provider(id="google", provider_type="google", issuer="https://accounts.google.com")
    loaded = load_hook("rules:oauth_callback")
    patient = HookCaller(limit=120)  # Chainlit may take longer than ten seconds to load on a busy machine
    hook = hook_of(loaded, providers=lambda _: spec, roles=(), caller=patient)

    def admitted(**claims):
        person = an_identity(provider="google", issuer=spec.issuer)
        arrival = Arrival(identity=person, claims={"sub": "ana", **claims}, access_token="a", id_token=None)
        try:
            return admit(arrival, spec=spec, hook=hook) is not None
        except NotAdmitted as error:
            return str(error)

    answers = {"theirs": admitted(hd="example.org"), "others": admitted(hd="example.com")}
    answers["module"] = sys.modules["chainlit"].User.__module__
    answers["secret"] = "COMPANY_CLIENT_SECRET" in os.environ
    print(json.dumps(answers))
    """
)
PORTAL_TOML: Final = """
[portal]
url = "http://portal.demo.localhost:7800"
[[providers]]
id = "google"
type = "google"
client_id = "portal.apps.googleusercontent.com"
client_secret_env = "COMPANY_CLIENT_SECRET"
"""
DOTENV: Final = """
PORTAL_SECRET_KEY=zB1-kept-from-everybody-0123456789abcdefgh
COMPANY_CLIENT_SECRET=client-secret-of-ours
PORTAL_SIGN_IN_HOOK=rules:oauth_callback
"""

pytestmark = pytest.mark.usefixtures("journey")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Chainlit and what the portal needs."""
    folder = tmp_path_factory.mktemp("chainlit") / "environment"
    made = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    wanted = [*tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"], CHAINLIT]
    # Compiled, as pip does it: what starts there writes no bytecode, and would compile Chainlit each time.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(made)]
    pip = [str(made), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (uv, pip):  # pip takes minutes; it alone may know of an index that this machine has for itself
        done = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False, timeout=900)
        if done.returncode == 0:
            return made
    if os.environ.get("CI") != "true":
        pytest.skip("Chainlit cannot be installed here; uv and pip need a package index.")
    pytest.fail(done.stderr)


def run(python: Path, folder: Path, *arguments: str) -> str:
    """Return what *arguments* print there, without any variable of Chainlit's or of the portal's."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def written(folder: Path, source: str) -> set[str]:
    """Write a portal with a hook into *folder*; return the names of what is there."""
    (folder / "rules.py").write_text(source)
    (folder / "portal.toml").write_text(PORTAL_TOML)
    (folder / ".env").write_text(DOTENV)
    (folder / ".env").chmod(0o600)
    return {one.name for one in folder.iterdir()}


@pytest.mark.parametrize(
    ("source", "others"),
    [(EVERYBODY, True), (ONE_GOOGLE_DOMAIN, "refused-by-hook"), (LATE, "refused-by-hook")],
    ids=["everybody", "one Google domain", "imported when asked"],
)
def test_the_examples_of_chainlits_guide_admit_and_refuse_and_leave_nothing_behind(
    python: Path, tmp_path: Path, source: str, others: Any
) -> None:
    there = written(tmp_path, source)
    answers = json.loads(run(python, tmp_path, "-c", ASK).splitlines()[-1])

    assert answers == {"theirs": True, "others": others, "module": "chainlit.user", "secret": False}
    assert {one.name for one in tmp_path.iterdir()} == there


def test_check_loads_it_and_leaves_nothing_behind(python: Path, tmp_path: Path) -> None:
    there = written(tmp_path, ONE_GOOGLE_DOMAIN)

    assert "then rules:oauth_callback decides who may sign in" in run(python, tmp_path, "-m", "portal.cli", "check")
    assert {one.name for one in tmp_path.iterdir()} == there


def test_chainlits_own_folder_is_where_somebody_says(python: Path, tmp_path: Path) -> None:
    written(tmp_path, EVERYBODY)
    program = "import os; os.environ['CHAINLIT_APP_ROOT'] = 'own'; os.mkdir('own')\n"
    run(
        python, tmp_path, "-c", f"{program}from portal.sign_in.hook import load_hook\nload_hook('rules:oauth_callback')"
    )

    assert {".chainlit", ".files"} <= {one.name for one in (tmp_path / "own").iterdir()}
    assert not {".chainlit", ".files"} & {one.name for one in tmp_path.iterdir()}
