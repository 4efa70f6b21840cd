import json
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT

pytestmark = pytest.mark.usefixtures("processes")


def loaded_by(statement: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter holds after *statement*."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_the_guard_carries_no_web_framework_and_nothing_of_the_portal_but_the_contract() -> None:
    loaded = loaded_by("import gradio_apps.runtime.guard")

    assert tops(loaded).isdisjoint({"flask", "werkzeug", "authlib", "sqlalchemy", "flask_session", "gradio"})
    assert {
        name
        for name in loaded
        if name.split(".")[0] == "portal" and name != "portal" and not name.startswith("portal.contract")
    } == set()


@pytest.mark.parametrize(
    "module",
    [
        "portal.rules.policy",
        "portal.rules.redirects",
        "portal.sign_in.claims.reading",
        "portal.sign_in.explanation",
        "portal.configuration",
        "portal.contract",
    ],
)
def test_what_decides_loads_nothing_that_talks(module: str) -> None:
    loaded = tops(loaded_by(f"import {module}"))

    assert loaded.isdisjoint({"flask", "werkzeug", "authlib", "sqlalchemy", "requests", "httpx", "gradio", "jinja2"})


def test_importing_the_portal_loads_no_gradio() -> None:
    assert tops(loaded_by("import portal.web.app")).isdisjoint(
        {"gradio", "gradio_apps", "uvicorn", "starlette", "pandas"}
    )
