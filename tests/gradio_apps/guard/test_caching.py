"""What caches may do with an app's answers."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI

from gradio_apps.runtime.guard.asgi import Receive, Scope, Send
from gradio_apps.runtime.guard.caching import cache_control, is_hashed, same
from tests.asgi import drive
from tests.gradio_apps.guard.deployment import a_deployment

FRAME = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "sec-fetch-site": "same-site", "accept": "text/html"}
FILE = "/gradio_api/file=/tmp/gradio/0a1b/secret.png"
HASHED = "/assets/index-BQGtSjRc.js"
ASK = b"private, no-cache"


class TestCacheControl:
    @pytest.mark.parametrize(
        ("path", "own", "expected"),
        [
            # Nothing said.
            (FILE, [], ASK),
            ("/", [], ASK),
            ("/config", [], ASK),
            ("/static/img/logo.svg", [], ASK),
            ("/custom/report.pdf", [], ASK),
            (HASHED, [], b"private, max-age=86400"),
            ("/mounted/assets/index-BQGtSjRc.js", [], b"private, max-age=86400"),
            ("/ui/index-BQGtSjRc.js", [], ASK),
            # Something permissive, on what may be one person's.
            (FILE, [b"public, max-age=31536000, immutable"], ASK),
            (FILE, [b"max-age=60"], ASK),
            (FILE, [b"PUBLIC"], ASK),
            (FILE, [b"private, max-age=31536000, immutable"], ASK),
            (FILE, [b"s-maxage=600"], ASK),
            (FILE, [b"stale-while-revalidate=60", b"public"], ASK),
            (FILE, [b"max-age=0, must-revalidate"], ASK),
            (FILE, [b"no-transform, max-age=60"], ASK + b", no-transform"),
            (FILE, [b'private="set-cookie", max-age=60'], ASK),
            (FILE, [b'extension="no-store", max-age=60'], ASK),
            (FILE, [b"\xff\xfe"], ASK),
            ("/gradio_api/file=/srv/assets/index-BQGtSjRc.js", [b"max-age=60"], ASK),
            ("/assets/report.pdf", [b"public, max-age=60"], ASK),
            ("/assets/index-BQGtSjRc.js/private.html", [b"public, max-age=60"], ASK),
            # What is stricter stays.
            (FILE, [b"no-store"], b"no-store"),
            (FILE, [b"private, NO-STORE, max-age=60"], b"no-store"),
            (HASHED, [b"no-store"], b"no-store"),
            (HASHED, [b"no-cache"], ASK),
            # Program files named by their content: the person's own browser, as long as the app says.
            (HASHED, [b"public, max-age=31536000, immutable"], b"private, max-age=31536000, immutable"),
            ("/ui/app.4f9c2e1b.css", [b"max-age=600, s-maxage=900"], b"private, max-age=600"),
        ],
    )
    def test_an_app_may_only_make_it_stricter(self, path: str, own: list[bytes], expected: bytes) -> None:
        assert cache_control(own, path=path) == expected

    @pytest.mark.parametrize(
        "path",
        [HASHED, "/a/zh-TW-vib75kEM.js", "/a/ApiDocs-MshfCJX-.css", "/a/w_smXOmb-w_smXOmb.js", "/x.4f9c2e1b.css"],
    )
    def test_names_that_say_their_content(self, path: str) -> None:
        assert is_hashed(path)

    @pytest.mark.parametrize(
        "path",
        [
            "/assets/my-settings.js",
            "/assets/my-Settings.js",
            "/assets/report-20260101.js",
            "/assets/index-BQGtSjRc.json",
            "/assets/index-BQGtSjRc.png",
            "/assets/index-BQGtSjRc.js\n",
            "/assets/index.js",
            "/assets/",
        ],
    )
    def test_names_that_do_not(self, path: str) -> None:
        assert not is_hashed(path)


@pytest.mark.parametrize(
    ("etag", "sent", "expected"),
    [
        (b'"a"', b'"a"', True),
        (b'W/"a"', b'"a"', True),
        (b'"a"', b'W/"a"', True),
        (b'"a"', b'"b", "a"', True),
        (b'"a,b"', b'"a,b"', True),
        (b'"a"', b"*", True),
        (b'"a"', b'"b"', False),
        (b'"a"', b"a", False),
        (b"a", b"a", False),
        (b'"a"', None, False),
    ],
)
def test_what_the_browser_has(etag: bytes, sent: bytes | None, *, expected: bool) -> None:
    assert same([(b"etag", etag)], sent) is expected
    assert not same([], sent)


def tagged(status: int = 200) -> Any:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"etag", b'"a"'), (b"content-length", b"6"), (b"content-type", b"text/html"), (b"x-kept", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})

    return app


@pytest.mark.anyio
class TestThroughTheGuard:
    async def test_what_the_browser_has_is_not_sent_again(self) -> None:
        async with a_deployment(tagged()) as deployment:
            first = await deployment.get(FILE)
            again = await deployment.get(FILE, if_none_match='"a"')
            other = await deployment.get(FILE, if_none_match='"b"')

        assert (first.status, first.body) == (200, b"abcdef")
        assert (again.status, again.body, again.complete) == (304, b"", True)
        assert (again.header("etag"), again.header("x-kept")) == ('"a"', "1")
        assert again.header("cache-control") == "private, no-cache"
        assert again.header("content-length") is None
        assert again.header("content-type") is None
        assert (other.status, other.body) == (200, b"abcdef")

    async def test_only_what_was_read_whole_and_well_is_the_same(self) -> None:
        async with a_deployment(tagged(206)) as deployment:
            assert (await deployment.get(FILE, if_none_match='"a"')).status == 206
        async with a_deployment(tagged()) as deployment:
            assert (await deployment.post(FILE, b"", if_none_match='"a"')).status == 200
            head = await drive(deployment.guard, deployment.scope(FILE, method="HEAD", if_none_match='"a"'))
            assert head.status == 304
            page = await deployment.get("/", {**deployment.signed_in(), **FRAME, "if-none-match": '"a"'})
            assert page.status == 200, "a page carries the guard's script, and another tag than the app's"

    async def test_no_answer_of_the_app_is_without(self) -> None:
        async with a_deployment(tagged()) as deployment:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                answer = await drive(deployment.guard, deployment.scope("/anything", method=method))
                assert answer.header("cache-control") == "private, no-cache"


@pytest.mark.anyio
async def test_gradios_own_files(tmp_path: Path) -> None:
    """
    A person's file is asked for again each time, and quickly; Gradio's own program files are kept for a day.
    """
    secret = tmp_path / "secret.txt"
    secret.write_text("hers")
    with gr.Blocks() as demo:
        gr.File(str(secret))
    app = gr.mount_gradio_app(FastAPI(), demo, path="/", allowed_paths=[str(tmp_path)])
    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    script = next(one.name for one in sorted(assets.iterdir()) if one.suffix == ".js" and is_hashed(one.name))
    async with a_deployment(app) as deployment:
        path = f"/gradio_api/file={secret}"
        file, program = await deployment.get(path), await deployment.get(f"/assets/{script}")
        again = await deployment.get(path, if_none_match=str(file.header("etag")))
        others = [
            await deployment.get(one) for one in ("/config", "/theme.css", "/static/img/logo.svg", "/favicon.ico")
        ]

    assert (file.status, file.text, file.header("cache-control")) == (200, "hers", "private, no-cache")
    assert (again.status, again.body) == (304, b"")
    assert (program.status, program.header("cache-control")) == (200, "private, max-age=86400")
    assert {(200, "private, no-cache")} == {(one.status, one.header("cache-control")) for one in others}
