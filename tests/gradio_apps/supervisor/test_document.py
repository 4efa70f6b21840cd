"""The supervisor's document, held to its shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from gradio_apps.runtime.supervisor.document import DocumentError, read_plan
from tests.gradio_apps.supervisor.supervising import a_document, an_app


def test_a_plan_is_read_and_shows_no_secret(tmp_path: Path) -> None:
    plan = read_plan(a_document(an_app(tmp_path, cwd="/srv")))
    [app] = plan.apps

    assert (plan.portal_url, plan.portal_internal_url) == ("https://portal.example.com", "http://127.0.0.1:7800")
    assert ("forecast", "app.py", 0, Path("/srv")) == (app.slug, app.source, app.port, app.cwd)
    assert "the-secret-of" not in repr(plan)
    assert "own-key-of" not in repr(plan)


def test_what_may_be_left_out(tmp_path: Path) -> None:
    app = an_app(tmp_path)
    for name in ("title", "host", "cookies", "env", "cwd"):
        del app[name]
    plan = read_plan(json.dumps({"portal": {"url": "http://p.localhost"}, "apps": [app], "grace": 1}))

    [read] = plan.apps
    assert (read.title, read.host, read.cookies, read.env, read.cwd) == ("forecast", "127.0.0.1", "lax", {}, None)
    assert plan.portal_internal_url is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"slug": "../up"}, "slug"),
        ({"port": True}, "port"),
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"secret": None}, "secret"),
        ({"cookies": "all"}, "cookies"),
        ({"shared_files": "true"}, "shared_files"),
        ({"env": {"A": 1}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A": "x\0"}}, "env"),
        ({"env": {"PORTAL_URL": "http://evil.test"}}, "env"),
        ({"env": {"listen_fds": "9"}}, "env"),
        ({"env": []}, "env"),
        ({"log": 5}, "log"),
        ({"start_timeout": None}, "start_timeout"),
        ({"drain_timeout": 0}, "drain_timeout"),
        ({"title": 5}, "title"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(DocumentError, match=rf"apps\[0\]\.{named}: ") as caught:
        read_plan(a_document(an_app(tmp_path, **changes)))
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"portal": {}}', '{"portal": {"url": "x"}, "apps": [1]}', "null"])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        read_plan(text)


def test_one_slug_is_one_app(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="the same slug"):
        read_plan(a_document(an_app(tmp_path), an_app(tmp_path)))
