"""Files of Gradio's cache belong to the people whose uploads and answers named them."""

import json
from pathlib import Path

import pytest

from gradio_apps.runtime.guard.asgi import Receive, Scope, Send
from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.cache_files import CacheFiles, cache_folder
from gradio_apps.runtime.guard.file_owners import FOLDER
from tests.asgi import connected, websocket_scope
from tests.gradio_apps.guard.deployment import a_deployment, a_person, guard_settings

PART, VALUE = '\r\n--b\r\nContent-Disposition: form-data; name="', '"\r\n\r\n'
ANA, BEN = Owner("ana", "acme"), Owner("ben", "acme")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "0a").mkdir(parents=True)
    (tmp_path / "cache" / "0a" / "plan.txt").write_text("hers")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    return tmp_path / "cache"


def files(cache: Path, *, shared: bool = False, limit: int = 10) -> CacheFiles:
    return CacheFiles(shared=shared, limit=limit, folder=lambda: str(cache))


def may(held: CacheFiles, paths: list[str], owner: Owner) -> bool:
    return held.allow(held.keys(paths), owner)


SPELLED = [
    "{cache}/0a/plan.txt",
    "/{cache}/0a/plan.txt",
    "///{cache}/0a/plan.txt",
    "{cache}//0a/./plan.txt",
    "{cache}/0a/plan.txt/",
    "{cache}/0a/../0a/plan.txt",
    "{cache}/../cache/0a/plan.txt",
    "{cache}/../link/0a/plan.txt",
    "/proc/self/root{cache}/0a/plan.txt",
    "/proc/self/cwd/../../../../../../../../..{cache}/0a/plan.txt",
]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_file_is_the_same_however_its_path_is_written(spelled: str, cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)
    path = spelled.format(cache=cache)

    assert not may(held, [path], BEN)
    assert may(held, [path], ANA)


@pytest.mark.parametrize("spelled", SPELLED)
def test_an_answer_gives_it_however_it_writes_the_path(spelled: str, cache: Path) -> None:
    held = files(cache)
    held.named(spelled.format(cache=cache), ANA)

    assert may(held, [f"{cache}/0a/plan.txt"], ANA)
    assert not may(held, [f"{cache}/0a/plan.txt"], BEN)


@pytest.mark.parametrize(
    "path",
    [
        "{cache}",
        "{cache}/",
        "{cache}/0a",
        "{cache}/0A/plan.txt",
        "{cache}/0a/PLAN.txt",
        "{cache}/0a/plan.txt\0",
        "{cache}/unheard-of.txt",
        "{cache}/.gradio-portal/owners.db",
        "{cache}/.Gradio-Portal/owners.db",
        "{cache}/0a/../.gradio-portal",
        "\ud800",
        "\0",
        "/a" * 100 + "{cache}/0a/plan.txt",
    ],
)
def test_what_is_not_known_or_cannot_be_a_path_is_refused(path: str, cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert not may(held, [path.format(cache=cache)], ANA)


@pytest.mark.parametrize("path", ["{cache}", "{cache}/.gradio-portal", "{cache}/.GRADIO-PORTAL/owners.db"])
def test_the_record_of_owners_is_never_served(path: str, cache: Path) -> None:
    held = files(cache, shared=True)
    path = path.format(cache=cache)
    held.named(path, ANA)

    assert not may(held, [path], ANA)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "plan.txt", "", "{cache}-of-others/x", "{cache}/../x", "https://example.com/x", "/" + "x" * 5000],
)
def test_what_is_outside_of_the_cache_is_not_held_against_anybody(path: str, cache: Path) -> None:
    held = files(cache)
    path = path.format(cache=cache)
    held.named(path, ANA)

    assert may(held, [path], BEN)
    assert not (cache / FOLDER).exists()


def test_the_same_person_in_another_tenant_is_somebody_else(cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert not may(held, [f"{cache}/0a/plan.txt"], Owner("ana", "beta"))


def test_a_file_belongs_to_all_whom_it_was_named_to(cache: Path) -> None:
    """
    Two people who upload the same content get the same path.
    """
    held = files(cache)
    for owner in (ANA, BEN):
        held.named(f"{cache}/0a/plan.txt", owner)

    assert may(held, [f"{cache}/0a/plan.txt"], ANA)
    assert may(held, [f"{cache}/0a/plan.txt"], BEN)


def test_one_of_several_files_that_is_not_theirs_is_enough(cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/own.txt", BEN)

    assert not may(held, [f"{cache}/own.txt", f"{cache}/0a/plan.txt"], BEN)


def test_one_persons_flood_forgets_only_their_own(cache: Path) -> None:
    held = files(cache, limit=10)
    held.named(f"{cache}/anas", ANA)
    for number in range(100):
        held.named(f"{cache}/{number}", BEN)

    assert may(held, [f"{cache}/anas"], ANA)
    assert not may(held, [f"{cache}/0"], BEN)


def test_where_unknown_files_are_shared_another_persons_are_still_theirs(cache: Path) -> None:
    held = files(cache, shared=True)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert may(held, [f"{cache}/unknown.txt"], BEN)
    assert not may(held, [f"{cache}/0a/plan.txt"], BEN)
    assert not may(held, [f"{cache}/0a\0"], BEN)


def test_the_folder_is_the_one_that_gradio_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio.utils import get_upload_folder

    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "link"))
    assert cache_folder() == str(tmp_path / "there")
    assert Path(get_upload_folder()).resolve() == tmp_path / "there"

    monkeypatch.delenv("GRADIO_TEMP_DIR")
    assert Path(cache_folder()) == Path(get_upload_folder()).resolve()


async def an_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers an upload with the path in its query, and names it in any other answer, in two pieces."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            pass
        return
    path = scope["query_string"].decode()
    uploads = scope["path"].endswith("/upload")
    encoded = (b"accept-encoding", b"gzip") in scope["headers"]
    answer = json.dumps([path] if uploads else {"output": {"path": path}, "event_id": "e"}).encode()
    status = 500 if "failing" in scope["path"] else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    cut = 0 if scope["path"].endswith("/join") else 14
    await send({"type": "http.response.body", "body": b"?" if encoded else answer[:cut], "more_body": True})
    await send({"type": "http.response.body", "body": answer[cut:]})


@pytest.mark.anyio
class TestThroughTheGuard:
    @pytest.fixture(autouse=True)
    def folder(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(cache))
        return str(cache)

    @pytest.mark.parametrize(
        ("method", "path", "names"),
        [
            ("POST", "/gradio_api/upload", True),
            ("POST", "/mounted/gradio_api/upload", True),
            ("GET", "/gradio_api/queue/data", True),
            ("GET", "/gradio_api/info", False),
            ("GET", "/gradio_api/file=/x", False),
            ("POST", "/gradio_api/run/f", True),
            ("POST", "/gradio_api/api/f", True),
            ("POST", "/gradio_api/component_server", True),
            ("POST", "/gradio_api/run/failing", False),
            ("POST", "/gradio_api/queue/join", False),
            ("POST", "/gradio_api/mcp/", False),
            ("GET", "/config", True),
            ("GET", "/mounted/config", True),
            ("POST", "/own/config", False),
            ("GET", "/own/route", False),
        ],
    )
    async def test_which_answers_name_files(self, method: str, path: str, *, names: bool, folder: str) -> None:
        async with a_deployment(an_app) as deployment:
            ana = {**deployment.signed_in("ana"), "accept-encoding": "gzip" if names else "identity"}
            ben = deployment.signed_in("ben", a_person(subject="ben"))
            named = f"{path}?{folder}/0a/plan.txt"
            done = await (deployment.get(named, ana) if method == "GET" else deployment.post(named, b"", ana))
            assert done.status in {200, 500}

            wanted = f"/gradio_api/file={folder}/0a/plan.txt"
            assert (await deployment.get(wanted, ana)).status == (200 if names else 403)
            assert (await deployment.get(wanted, ben)).status == 403
            assert (await deployment.get(f"/mounted{wanted}", ben)).status == 403

    @pytest.mark.parametrize(
        ("content_type", "begins", "names"),
        [
            (b"text/html; charset=utf-8", b"<script>window.gradio_config = ", True),
            (b"text/html; charset=utf-8", b"<script>", False),
            (b"application/json", b"<script>window.gradio_config = ", False),
            (None, b"<script>window.gradio_config = ", False),
        ],
    )
    async def test_of_pages_only_gradios_name_files(
        self, content_type: bytes | None, begins: bytes, *, names: bool, folder: str
    ) -> None:
        async def a_page(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [] if content_type is None else [(b"content-type", content_type)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": begins + b'{"path":"%s/x"}' % folder.encode()})

        async with a_deployment(a_page) as deployment:
            ana = {**deployment.signed_in("ana"), "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
            assert (await deployment.get("/page", ana)).status == 200

            answer = await deployment.get(f"/gradio_api/file={folder}/x", deployment.signed_in("ana"))
            assert answer.status == (200 if names else 403)

    @pytest.mark.parametrize(
        ("path", "content_type", "body"),
        [
            ("queue/join", "application/json", '{"event_data": {"path": PATH}, "session_hash": "h"}'),
            ("call/f", "application/json", '{"data": [{"path": PATH}]}'),
            ("call/v2/f", "application/json", '{"image": {"path": PATH}}'),
            ("cancel", "application/json", '{"x": {"path": PATH}}'),
            ("component_server", "application/json", '{"session_hash": "h", "data": [PATH]}'),
            ("mcp", "application/json", '{"params": {"arguments": {"image": PATH}}}'),
            ("mcp/", "application/json", '{"params": {"arguments": {"image": {"path": PATH}}}}'),
            ("mcp/messages/", "application/json", '{"params": {"arguments": {"image": PATH}}}'),
            *(
                (
                    "component_server",
                    "multipart/form-data; boundary=b",
                    f"{PART}session_hash{VALUE}h{PART}data{VALUE}{value}\r\n--b--\r\n".lstrip(),
                )
                for value in ('{"path": PATH}', "[PATH]", "BARE")
            ),
        ],
    )
    async def test_a_body_with_anothers_file_reaches_nothing(
        self, path: str, content_type: str, body: str, folder: str
    ) -> None:
        async with a_deployment(an_app) as deployment:
            ana = deployment.signed_in("ana")
            ben = deployment.signed_in("ben", a_person(subject="ben"))
            file = f"{folder}/0a/plan.txt"
            await deployment.post(f"/gradio_api/upload?{file}", b"", ana)
            written = body.replace("PATH", json.dumps(file)).replace("BARE", file).encode()

            served = len(deployment.app.scopes)
            for who, status in ((ben, 403), (ana, 200)):
                answer = await deployment.post(f"/gradio_api/{path}", written, {**who, "content-type": content_type})
                assert answer.status == status
                assert len(deployment.app.scopes) == served + (status == 200)

    async def test_a_body_for_tools_that_is_not_declared_as_json_is_refused(self) -> None:
        async with a_deployment(an_app) as deployment:
            answer = await deployment.post("/gradio_api/mcp/messages/", b"{}", content_type="text/plain")

            assert answer.status == 400

    async def test_a_frame_with_anothers_file_ends_the_socket(self, folder: str) -> None:
        async with a_deployment(an_app) as deployment:
            await deployment.post(f"/gradio_api/upload?{folder}/0a/plan.txt", b"", deployment.signed_in("ana"))
            ben = deployment.signed_in("ben", a_person(subject="ben"))
            await deployment.post_json("/gradio_api/queue/join", "{}", ben)
            headers = {"host": deployment.host, "origin": deployment.settings.app_origin, "cookie": ben["cookie"]}
            async with connected(
                deployment.guard, websocket_scope("/gradio_api/stream/e", headers=headers)
            ) as connection:
                text = json.dumps({"session_hash": "h", "data": [{"path": f"{folder}/0a/plan.txt"}]})
                connection.give({"type": "websocket.receive", "text": text})
                outcome = await connection.finish()

        assert [one["type"] for one in outcome.messages] == ["websocket.accept", "websocket.close"]

    async def test_a_successor_serves_what_the_process_before_it_named(self, folder: str) -> None:
        wanted = f"{folder}/0a/plan.txt"
        async with a_deployment(an_app) as old, a_deployment(an_app) as new:
            await old.post(f"/gradio_api/run/f?{wanted}", b"", old.signed_in("ana"))

            assert (await new.get(f"/gradio_api/file={wanted}", new.signed_in("ana"))).status == 200
            ben = new.signed_in("ben", a_person(subject="ben"))
            assert (await new.get(f"/gradio_api/file={wanted}", ben)).status == 403

    @pytest.mark.parametrize("shared", [True, False])
    async def test_a_file_that_is_not_known_is_served_where_the_app_says_so(self, *, shared: bool, folder: str) -> None:
        async with a_deployment(an_app, settings=guard_settings(shared_files=shared)) as deployment:
            ben = deployment.signed_in("ben", a_person(subject="ben"))
            wanted = f"{folder}/0a/plan.txt"
            assert (await deployment.get(f"/gradio_api/file={wanted}", ben)).status == (200 if shared else 403)

            await deployment.post(f"/gradio_api/upload?{wanted}", b"", deployment.signed_in("ana"))
            assert (await deployment.get(f"/gradio_api/file={wanted}", ben)).status == 403
