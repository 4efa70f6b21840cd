"""The guard's process carries no Flask, no Authlib, no Gradio, and of the portal the contract only."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("processes")

LIST = "import json, sys, gradio_apps.runtime.guard; print(json.dumps(sorted(sys.modules)))"


def test_importing_the_guard_loads_no_framework_and_no_portal_but_the_contract() -> None:
    done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(json.loads(done.stdout))

    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {"flask", "authlib", "gradio", "sqlalchemy", "werkzeug", "pydantic", "fastapi"}
    portal = {name for name in loaded if name.partition(".")[0] == "portal"}
    assert {"portal"} == {name for name in portal if not name.startswith("portal.contract")}
