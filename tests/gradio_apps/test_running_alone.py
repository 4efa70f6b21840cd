"""The portal's own apps are ordinary: ``python app.py`` runs each, and it says that nobody is signed in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import gradio_apps
from tests.processes import PATIENCE

pytestmark = pytest.mark.usefixtures("journey")
FOLDER = Path(gradio_apps.__file__).parent


@pytest.mark.parametrize(
    ("app", "endpoint", "data", "expected"),
    [
        ("user_dashboard", "who-is-here", [], "Nobody is signed in, because this app runs without the portal"),
        ("admin_dashboard", "refresh", [], "Nobody is signed in, because this app runs without the portal"),
        ("showcase", "greet", ["two words"], "Hello stranger. You wrote 2 words"),
    ],
)
def test_alone_it_runs_and_knows_nobody(
    app: str, endpoint: str, data: list[str], expected: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    environ = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(tmp_path)}
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-u", FOLDER / f"{app}.py"], stdout=file, stderr=file, env=environ)
    try:
        deadline = time.monotonic() + PATIENCE
        while "local URL:" not in (text := log.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        url = text.partition("local URL:")[2].split()[0]
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            event = client.post(f"/gradio_api/call/{endpoint}", json={"data": data}).json()["event_id"]
            answer = client.get(f"/gradio_api/call/{endpoint}/{event}").text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)

    assert expected in answer
