"""Apps that nobody modified, each really served in a process of its own."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import gradio
import httpx
import pytest

from gradio_apps.runtime.supervisor.restarts import FAILED_TO_LOAD
from tests.gradio_apps.host.hosting import ANA, SAMPLES, Hosted, hosted
from tests.processes import PATIENCE

BOB = "bob@example.com"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, processes: None) -> Iterator[Hosted]:
    with hosted(SAMPLES / "interface.py", tmp_path_factory.mktemp("interface")) as app:
        yield app


class TestInterface:
    """A file without a __main__ guard that asks for a port, a login, a tunnel and a Node process."""

    def test_the_page_is_there(self, app: Hosted) -> None:
        assert app.client.get("/").status_code == 200
        assert not app.status()["login_button"]

    @pytest.mark.parametrize("person", [ANA, BOB])
    def test_handlers_know_the_person(self, app: Hosted, person: str) -> None:
        assert [f"hello {person} {person.title()}"] == app.call("greet", "hello", person=person)
        assert [[f"hello {person} {person.title()}"]] == app.join("greet", "hello", person=person, session=person)

    def test_the_page_names_the_person(self, app: Hosted) -> None:
        assert app.client.get("/config").json()["username"] == ANA

    def test_nobody_is_let_in_without_a_person(self, app: Hosted) -> None:
        """
        The guard names everybody it lets through; the host refuses whoever has no name.
        """
        for path in ("/", "/config", "/gradio_api/info", "/theme.css"):
            assert httpx.get(f"{app.url}{path}").status_code == 401

    def test_addresses_follow_the_host_header(self, app: Hosted) -> None:
        config = app.client.get("/config", headers={"host": "app.demo.localhost:7871"}).json()

        assert config["root"] == "http://app.demo.localhost:7871"

    def test_launch_blocks_until_the_process_has_to_stop(self, app: Hosted) -> None:
        [surroundings] = app.call("surroundings")

        assert surroundings["folder_is_there"]
        assert str(SAMPLES) == surroundings["cwd"]
        assert "left to the portal" in app.log
        assert "tidied up" not in app.log

    def test_a_stop_ends_streams_and_lets_the_script_tidy_up(self, app: Hosted) -> None:
        with app.client.stream("GET", "/gradio_api/heartbeat/a-session") as heartbeat:
            assert heartbeat.status_code == 200
            assert app.end() == 0
        assert "launch() returned and the folder is tidied up" in app.log


@pytest.mark.usefixtures("processes")
def test_tabs_and_a_chat_that_streams_from_a_helper_thread(tmp_path: Path) -> None:
    with hosted(SAMPLES / "tabbed.py", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert app.call("reverse", "abc") == ["cba"]
        assert BOB in str(app.join("chat", "hi", None, person=BOB))
        assert app.end() == 0


@pytest.mark.usefixtures("processes")
def test_a_login_button_speaks_of_the_portals_person(tmp_path: Path) -> None:
    with hosted(SAMPLES / "oauth.py", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert app.status()["login_button"]
        assert [f"{ANA.title()} {ANA} None"] == app.call("hello")
        assert [[f"{BOB.title()} {BOB} None"]] == app.join("hello", person=BOB)
        # Classes of the app can be pickled: __main__ is a real module.
        assert [app.join("count", None)[-1][-1] for _ in range(2)][-1] == 2
        # Examples were cached before the app was said to run.
        assert app.call("cached") == [2]


@pytest.mark.usefixtures("processes")
def test_there_is_no_token_and_that_of_the_process_is_not_taken_for_the_persons(tmp_path: Path) -> None:
    """
    An empty token would have the hub's library send the app's own, or an empty header. /logout is not Gradio's.
    """
    with hosted(SAMPLES / "unmodified" / "hub_sign_in.py", tmp_path, HF_TOKEN="hf_of_the_app") as app:
        assert [f"{ANA.title()} None None"] == app.call("mine")
        assert [[f"{BOB.title()} None None"]] == app.join("mine", person=BOB)
        asked = app.client.post("/gradio_api/call/must", json={"data": []})
        text = app.client.get(f"/gradio_api/call/must/{asked.json()['event_id']}").text
        assert "event: error" in text
        assert "requires a logged in user" in app.log
        assert app.client.get("/logout").headers["location"] == "/.portal/sign-out"


@pytest.mark.usefixtures("processes")
def test_apps_with_a_sign_in_of_their_own_find_the_person_in_the_session(tmp_path: Path) -> None:
    """
    Each their own, call by call, whatever the app writes there; and /logout, Gradio's own, leads to the portal's.
    """
    with hosted(SAMPLES / "unmodified" / "session_user.py", tmp_path) as app:
        for person in (ANA, BOB, ANA):
            greeting = f"Hello, {person.title()} <None>: analyst"
            assert [greeting] == app.call("profile", person=person)
            assert [[greeting]] == app.join("profile", person=person, session=person)
        answer = app.client.get("/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/.portal/sign-out")


@pytest.mark.usefixtures("processes")
def test_a_script_goes_on_after_a_launch_that_does_not_block(tmp_path: Path) -> None:
    with hosted(SAMPLES / "looping.py", tmp_path) as app:
        until = time.monotonic() + PATIENCE
        while "A second app was launched" not in app.log and time.monotonic() < until:
            time.sleep(0.1)
        assert "itself: me" in app.log
        assert [f"you {ANA}"] == app.call("echo", "you")
        assert "A second app was launched" in app.log
        assert app.end() == 0
        assert "the loop has ended" in app.log


@pytest.mark.usefixtures("processes")
def test_a_thread_that_still_works_does_not_crash_the_process_at_its_end(tmp_path: Path) -> None:
    """
    The interpreter would kill the thread inside of pydantic's Rust code, and the process would end with a signal.
    """
    folder = tmp_path / "app"
    folder.mkdir()
    source = Path(shutil.copy(SAMPLES / "busy_thread.py", folder))
    with hosted(source, tmp_path) as app:
        assert app.end() == 0
    assert (folder / "record.txt").read_text() == "measured\nand ended\n"


@pytest.mark.usefixtures("processes")
def test_an_app_that_mounts_itself_and_runs_uvicorn(tmp_path: Path) -> None:
    with hosted("mounted.py", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert app.client.get("/custom").json() == {"color": "green", "visitor": ANA}
        assert [f"it is {ANA}"] == app.call("who", "it is")
        assert httpx.get(f"{app.url}/custom").status_code == 401
        assert app.end() == 0
        assert "custom shutdown" in app.log
        # An app's own uvicorn switches the access log on; query strings would be in it.
        assert "GET /" not in app.log


@pytest.mark.usefixtures("processes")
def test_an_app_that_serves_itself_in_its_own_event_loop(tmp_path: Path) -> None:
    with hosted(SAMPLES / "serving.py", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert [f"HELLO {ANA}"] == app.call("ask", "hello")
        assert [[f"HELLO {BOB}"]] == app.join("ask", "hello", person=BOB)
        assert app.end() == 0
        assert "serve() returned" in app.log


@pytest.mark.usefixtures("processes")
def test_a_space_that_never_launches_and_has_a_package_called_portal(tmp_path: Path) -> None:
    with hosted(SAMPLES / "space", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert app.call("whose") == [["the Space", "the Space", "__main__"]]


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(not hasattr(gradio, "Server"), reason="Gradio 5 has no gr.Server")
def test_a_server_with_routes_of_its_own(tmp_path: Path) -> None:
    with hosted(SAMPLES / "server_mode.py", tmp_path) as app:
        assert "home" in app.client.get("/").text
        assert app.client.get("/mine", headers={"x-test-person": BOB}).json() == {"visitor": BOB}
        assert [f"LOUD {BOB}"] == app.call("shout", "loud", person=BOB)
        assert [f"LOUD {BOB}"] == [tool_answer(app, person=BOB)]
        for path in ("/", "/mine", "/gradio_api/mcp/schema"):
            assert httpx.get(f"{app.url}{path}").status_code == 401


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(not hasattr(gradio, "Workflow"), reason="Gradio 5 has no gr.Workflow")
def test_a_workflow_opens_no_browser_and_no_token_is_in_the_log(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)
    with hosted(
        SAMPLES / "unmodified" / "workflow.py", tmp_path, BROWSER=str(browser), GRADIO_WORKFLOW_INBROWSER="true"
    ) as app:
        assert app.client.get("/").status_code == 200
        assert app.client.get("/monitoring/summary").status_code == 200
        assert app.end() == 0
        assert not opened.exists()
        for secret in ("write_token", "Monitoring URL", "monitoring/"):
            assert secret not in app.log


def tool_answer(app: Hosted, *, person: str) -> str:
    """What the tool ``shout`` says over MCP."""
    headers = {"accept": "application/json, text/event-stream", "x-test-person": person}
    params = {"name": "shout", "arguments": {"text": "loud"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = app.client.post("/gradio_api/mcp/", json=call, headers=headers)
    assert answer.status_code == 200, answer.text
    return httpx.Response(200, text=answer.text.partition("data: ")[2]).json()["result"]["content"][0]["text"]  # type: ignore[no-any-return]  # JSON


@pytest.mark.usefixtures("processes")
def test_a_module_with_relative_imports(tmp_path: Path) -> None:
    with hosted("package.app", tmp_path) as app:
        assert app.client.get("/").status_code == 200
        assert app.call("title", "hello you") == ["Hello You"]
        assert "argv: ['package.app']" in app.log


@pytest.mark.usefixtures("processes")
def test_code_that_does_not_come_up_is_said_to_have_failed(tmp_path: Path) -> None:
    with hosted(SAMPLES / "crashing.py", tmp_path, ready="failed", LINGER="2") as app:
        assert app.client.get("/").status_code == 503
        assert app.process.wait(PATIENCE) == FAILED_TO_LOAD
        assert 'raise RuntimeError("no such model")' in app.log


@pytest.mark.usefixtures("processes")
def test_code_that_crashes_later_ends_the_process(tmp_path: Path) -> None:
    with hosted(SAMPLES / "dying.py", tmp_path) as app:
        assert app.call("die") == ["dying"]
        assert app.process.wait(PATIENCE) == 1
        assert "RuntimeError: died later" in app.log


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import sys\nsys.exit('no key was given')", "no key was given\nThe app ended itself (exit code 1)."),
        ("print('done')", "ended without anything to serve"),
        ("import os\nos.environ['WEATHER_KEY']", "The app's code needs the variable WEATHER_KEY, which is not set."),
        (
            ("import os, sys\ntry:\n    os.environ['WEATHER_KEY']\nexcept KeyError:\n    sys.exit('no key')"),
            "The app's code needs the variable WEATHER_KEY, which is not set.",
        ),
        ("{}['WEATHER_KEY']", "The app's code ended in an error (KeyError)."),
        (
            (
                "import uvicorn\nfrom contextlib import asynccontextmanager\nfrom fastapi import FastAPI\n"
                "@asynccontextmanager\nasync def lifespan(app):\n    raise RuntimeError('no database')\n    yield\n"
                "uvicorn.run(FastAPI(lifespan=lifespan))"
            ),
            "no database",
        ),
    ],
    ids=["exits", "ends", "a variable", "a variable, and exits", "another key", "startup fails"],
)
def test_what_did_not_come_up_says_why(tmp_path: Path, code: str, text: str) -> None:
    (tmp_path / "failing.py").write_text(code)
    with hosted(tmp_path / "failing.py", tmp_path, ready="failed", LINGER="30") as app:
        assert text in app.log
        assert app.end() == FAILED_TO_LOAD
