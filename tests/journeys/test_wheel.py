"""What a newcomer does first: install the wheel, and try the app they have."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.browser import PATIENCE
from tests.journeys.deployment import ROOT
from tests.processes import end_in_time

pytestmark = pytest.mark.usefixtures("journey")

APP = textwrap.dedent(
    """
    import gradio as gr

    def greet(word, request: gr.Request):
        return f"{word}, {request.username}"

    with gr.Blocks() as demo:
        word = gr.Textbox(label="Word")
        greeting = gr.Textbox(label="Greeting")
        gr.Button("Greet").click(greet, word, greeting)

    demo.launch()
    """
)


@pytest.fixture(scope="module")
def installed_portal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the built wheel, installed where nothing of the checkout can be found."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    python = folder / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True, timeout=120)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # pip takes minutes; it alone may know of an index that this machine has for itself.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    locked = ["--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements.txt")]
    if subprocess.run([*uv, *locked], check=False, timeout=600).returncode != 0:
        done = subprocess.run([*pip, *locked], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0 and os.environ.get("CI") != "true":
            pytest.skip("The wheel cannot be installed here; uv and pip need a package index.")
        assert done.returncode == 0, done.stderr
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, timeout=120)
    return python.parent / "portal"


def test_the_installed_wheel_tries_an_unmodified_app(installed_portal: Path, browser: Browser, tmp_path: Path) -> None:
    """
    Templates, static files, migrations and the guard's script are in the wheel, and the app needs no edit.
    """
    (tmp_path / "app.py").write_text(APP)
    command = [str(installed_portal), "try", "app.py", "--no-browser", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    environment["HOME"] = str(tmp_path)
    log = tmp_path / "try.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        address = _announced_address(process, log)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.get_by_role("link", name="Continue with").click()
        page.get_by_role("button", name="Uwe User").click()
        app = page.frame_locator("iframe")
        app.get_by_label("Word").fill("Hello")
        app.get_by_role("button", name="Greet").click()
        expect(app.get_by_label("Greeting")).to_have_value("Hello, uwe@acme.example", timeout=PATIENCE)
        page.close()
    finally:
        end_in_time(process)
    assert process.returncode in {0, -signal.SIGTERM, 128 + signal.SIGTERM}, log.read_text()


def _announced_address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 180
    while (announced := re.search(r"Open +(http://\S+)\n", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.3)
    return announced[1]
