"""An app that needs Gradio 5: ``portal apps install`` makes its environment, and there everything holds as with 6.

The environment is made once, from a package index.  What the tests of the host and the guard say about
Gradio's insides, routes and apps is then said again by these very tests, in that environment.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from portal.contract.interpreters import GRADIO
from tests.journeys import steps
from tests.journeys.deployment import ROOT, running_deployment

pytestmark = pytest.mark.usefixtures("journey")

APP = """
import gradio as gr

def greet(words, profile: gr.OAuthProfile | None, request: gr.Request):
    return f"{gr.__version__}: {profile and profile.name} ({request.username}) says {words}"

with gr.Blocks(theme=gr.themes.Soft()) as demo:
    gr.LoginButton(elem_id="who")
    words = gr.Textbox(elem_id="words")
    answer = gr.Textbox(elem_id="answer")
    gr.Button("Send", elem_id="send").click(greet, words, answer)

demo.launch(ssr_mode=True)
"""
FRAMES = """
() => new Promise(done => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/gradio_api/stream/somebody-elses");
  socket.onopen = () => done("open");
  socket.onclose = () => done("closed");
})
"""
PORTAL_TOML = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
trust_apps = true
[[providers]]
id = "company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_CLIENT_SECRET"
[apps.five]
source = "five"
"""
README = "---\nsdk: gradio\nsdk_version: 5.44.1\n---\n"
# Besides, what the tests themselves need there.
REQUIREMENTS = "jmespath\npytest\n"
SAID_AGAIN = (
    "tests/gradio_apps/host/test_gradio_internals.py",
    "tests/gradio_apps/host/test_route_walk.py",
    "tests/gradio_apps/guard/test_gradio_routes.py",
    "tests/gradio_apps/guard/test_two_people.py",
    "tests/gradio_apps/guard/test_files_of_two_people.py",
    "tests/gradio_apps/guard/test_caching.py::test_gradios_own_files",
    "tests/gradio_apps/serve/test_under_a_path.py",
    "tests/gradio_apps/serve/test_stopping.py",
    "tests/gradio_apps/host/test_samples.py::test_a_login_button_speaks_of_the_portals_person",
    "tests/gradio_apps/host/test_samples.py::test_apps_with_a_sign_in_of_their_own_find_the_person_in_the_session",
    "tests/gradio_apps/host/test_samples.py::test_there_is_no_token_and_that_of_the_process_is_not_taken_for_the_persons",
    "tests/gradio_apps/host/test_samples.py::test_an_app_that_serves_itself_in_its_own_event_loop",
    "tests/gradio_apps/host/test_samples.py::test_tabs_and_a_chat_that_streams_from_a_helper_thread",
    "tests/gradio_apps/host/test_samples.py::test_a_thread_that_still_works_does_not_crash_the_process_at_its_end",
)


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that was made."""

    python: Path
    said: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("five")
    (folder / "portal.toml").write_text(PORTAL_TOML)
    (folder / "five").mkdir()
    for name, text in {"README.md": README, "requirements.txt": REQUIREMENTS, "app.py": ""}.items():
        (folder / "five" / name).write_text(text)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")},
        "PORTAL_SECRET_KEY": "zB1-kept-from-everybody-0123456789abcdefgh",
        "COMPANY_CLIENT_SECRET": "client-secret-of-ours",
    }
    command = [sys.executable, "-m", "portal.cli", "apps", "install", "five"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip("No environment with Gradio 5 can be made here; uv needs a package index.")
    assert done.returncode == 0, done.stdout + done.stderr
    return Made(folder / "environments" / "five" / "bin" / "python", done.stdout)


def test_the_command_says_what_it_did(made: Made) -> None:
    assert f"README.md says sdk_version 5.44.1; Gradio {GRADIO[0]} is installed instead." in made.said
    assert f"installing requirements.txt, gradio[oauth,mcp]=={GRADIO[0]}.*, joserfc" in made.said
    assert f"Gradio {GRADIO[0]}." in made.said.splitlines()[4]
    assert 'python = "environments/five/bin/python"' in made.said


def test_nothing_of_the_portals_environment_is_in_it(made: Made) -> None:
    listing = "from importlib.metadata import distributions; print(*(one.name.lower() for one in distributions()))"
    there = subprocess.run([made.python, "-c", listing], capture_output=True, text=True, check=True, timeout=120)

    assert {"gradio", "joserfc", "pytest"} <= set(there.stdout.split())
    assert not {"flask", "sqlalchemy", "gradio-portal", "gunicorn"} & set(there.stdout.split())


def test_host_and_guard_hold_with_the_last_gradio_5(made: Made, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST", "PYTHON"))}
    command = [str(made.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *SAID_AGAIN]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'inner'}"],
        cwd=ROOT,
        env={**environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_a_person_uses_it_in_the_portals_frame(made: Made, browser: Browser, tmp_path: Path) -> None:
    """
    Queue, names, LoginButton, and light and dark, in a page of Gradio 5; and its sockets are held to their owners.
    """
    (tmp_path / "five.py").write_text(APP)
    five, python = {"five": tmp_path / "five.py"}, f'python = "{made.python}"\n'
    with running_deployment(tmp_path, own=(), more=five, lines=python) as deployment:
        context = browser.new_context(color_scheme="light", reduced_motion="reduce")
        page = steps.new_page(context)
        steps.sign_in(page, deployment, "Ana Analyst", path="/apps/five/")
        app = steps.frame_of(page)
        app.locator("#words textarea").fill("hello")
        app.locator("#send").click()
        expect(app.locator("#answer textarea")).to_have_value(
            re.compile(rf"^{re.escape(GRADIO[0])}\.\d+: Ana Analyst \(.+\) says hello$")
        )
        expect(app.locator("#who")).to_have_text(re.compile("Logout"))

        expect(app.locator("body")).not_to_have_class(re.compile(r"\bdark\b"))
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(app.locator("body")).to_have_class(re.compile(r"\bdark\b"))

        [frame] = [one for one in page.frames if one.url.startswith(deployment.apps["five"])]
        assert frame.evaluate(FRAMES) == "closed"
        steps.sign_out(page, deployment)
        context.close()
