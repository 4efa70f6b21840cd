"""Gradio's sessions and events belong to the first person who used them."""

import json
from urllib.parse import quote

import pytest

from gradio_apps.runtime.guard.asgi import Receive, Scope, Send
from gradio_apps.runtime.guard.bindings import Bindings, Owner
from gradio_apps.runtime.guard.gradio_calls import (
    NOTHING,
    GradioCall,
    Ids,
    NotThere,
    Unclear,
    call_of,
    event_of,
    leads_out,
    query_ids,
)
from gradio_apps.runtime.guard.gradio_ownership import FOREIGN
from gradio_apps.runtime.guard.gradio_routes import IdKind
from tests.asgi import connected, drive, websocket_scope
from tests.gradio_apps.guard.deployment import Deployment, a_deployment, a_person

ANA, BEN = Owner("ana", "acme"), Owner("ben", "acme")


class TestCallOf:
    @pytest.mark.parametrize(
        ("method", "path", "expected"),
        [
            ("GET", "/", NOTHING),
            ("GET", "/config", NOTHING),
            ("GET", "/gradio_api/queue/data", GradioCall(is_event_stream=True, answers_with="named")),
            ("GET", "/gradio_api/file=/tmp/x", GradioCall(files=("/tmp/x",))),
            ("HEAD", "/a/gradio_api/file=/tmp/x", GradioCall(files=("/tmp/x",))),
            ("GET", "/gradio_api/file/tmp/x", GradioCall(files=("tmp/x",))),
            (
                "GET",
                "/gradio_api/file=a/gradio_api/file=b",
                GradioCall(files=("a/gradio_api/file=b", "b")),
            ),
            ("GET", "/gradio_api/file=/tmp/gradio_api/x", GradioCall(files=("/tmp/gradio_api/x",))),
            ("GET", "/gradio_api/proxy=https://x.hf.space/file", NOTHING),
            ("POST", "/gradio_api/upload", GradioCall(answers_with="uploaded")),
            ("POST", "/gradio_api/mcp/", GradioCall(texts=True)),
            ("POST", "/gradio_api/mcp/messages/", GradioCall(texts=True)),
            ("GET", "/gradio_api/mcp/sse", GradioCall(texts=True, issues=IdKind.MCP)),
            ("GET", "/gradio_api/heartbeat/h", GradioCall(hashes=("h",), idle=True)),
            ("GET", "/gradio_api/heartbeat/h/", GradioCall(hashes=("h",), idle=True)),
            ("GET", "/mounted/gradio_api/heartbeat/h", GradioCall(hashes=("h",), idle=True)),
            ("GET", "/gradio_api/stream/h/1/2/playlist.m3u8", GradioCall(hashes=("h",))),
            ("HEAD", "/gradio_api/stream/h/1/2/0.ts", GradioCall(hashes=("h",))),
            (
                "GET",
                "/gradio_api/call/predict/e",
                GradioCall(events=("e",), is_event_stream=True, answers_with="named"),
            ),
            (
                "GET",
                "/gradio_api/call/v2/predict/e",
                GradioCall(events=("e",), is_event_stream=True, answers_with="named"),
            ),
            ("POST", "/gradio_api/call/predict", GradioCall(body_hash=True, issues=IdKind.EVENT)),
            ("POST", "/gradio_api/call/v2/predict/", GradioCall(issues=IdKind.EVENT)),
            ("POST", "/gradio_api/run/predict", GradioCall(body_hash=True, body_event=True, answers_with="named")),
            ("POST", "/gradio_api/api/predict/", GradioCall(body_hash=True, body_event=True, answers_with="named")),
            ("POST", "/gradio_api/queue/join", GradioCall(body_hash=True, body_event=True, issues=IdKind.EVENT)),
            ("POST", "/gradio_api/queue/join/", GradioCall(body_hash=True, body_event=True, issues=IdKind.EVENT)),
            ("PUT", "/gradio_api/queue/join", NOTHING),
            ("POST", "/gradio_api/cancel", GradioCall(body_hash=True, body_event=True)),
            ("POST", "/gradio_api/reset/", GradioCall(body_event=True)),
            (
                "POST",
                "/gradio_api/component_server",
                GradioCall(body_hash=True, form=True, texts=True, answers_with="named"),
            ),
            ("POST", "/gradio_api/stream/e", GradioCall(events=("e",), body_hash=True, body_event=True)),
            ("WEBSOCKET", "/gradio_api/stream/e", GradioCall(events=("e",), body_hash=True, body_event=True)),
            ("WEBSOCKET", "/socket", NOTHING),
            ("POST", "/gradio_api/stream/e/close", GradioCall(events=("e",))),
            (
                "GET",
                "/gradio_api/heartbeat/a/gradio_api/heartbeat/b",
                GradioCall(hashes=("b",), idle=True),
            ),
            ("GET", "/gradio_api/mounted/gradio_api/heartbeat/b", GradioCall(hashes=("b",), idle=True)),
        ],
    )
    def test_what_a_path_speaks_of(self, method: str, path: str, expected: GradioCall) -> None:
        assert expected == call_of(method, path)

    @pytest.mark.parametrize(
        "path",
        [
            "/gradio_api/heartbeat/" + "h" * 129,
            "/gradio_api/call/x/" + "e" * 200,
            "/gradio_api/queue/data\n",
            "/gradio_api/call/x/e\n",
            "/gradio_api/queue\x00/data",
        ],
    )
    def test_an_address_that_can_be_read_in_two_ways_or_names_an_id_that_is_too_long_is_refused(
        self, path: str
    ) -> None:
        """
        The pattern of a route matches a path with one line feed more, too.
        """
        with pytest.raises(Unclear):
            call_of("GET", path)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/gradio_api/"),
            ("POST", "/gradio_api/something/new"),
            ("POST", "/mounted/gradio_api/queue/join2"),
            ("POST", "/gradio_api//queue/join"),
            ("WEBSOCKET", "/gradio_api/socket"),
            ("GET", "/gradio_api/dev/reload"),
            ("POST", "/gradio_api/vibe-edit/"),
            ("POST", "/gradio_api/undo-vibe-edit"),
            ("GET", "/gradio_api/vibe-code"),
            ("GET", "/gradio_api/profiling/traces"),
        ],
    )
    def test_what_the_table_does_not_know_or_keeps_for_developers_is_not_there(self, method: str, path: str) -> None:
        with pytest.raises(NotThere):
            call_of(method, path)


class TestQuery:
    def test_ids_are_found_in_any_spelling(self) -> None:
        assert query_ids(b"session_hash=h") == Ids(hashes=("h",))
        assert query_ids(b"a=1&%73ession_hash=h") == Ids(hashes=("h",))
        assert query_ids(b"upload_id=u&event_id=e") == Ids(uploads=("u",), events=("e",))
        assert query_ids(b"session_id=c") == Ids(clients=("c",))
        assert query_ids(b"a=1") == Ids()
        assert query_ids(b"a=%20") == Ids()

    @pytest.mark.parametrize(
        "query",
        [
            b"session_hash=a&session_hash=b",
            b"session_hash=",
            b"session_hash=" + b"x" * 200,
            b"upload_id=a&upload_id=a",
            b"session_id=a&%73ession_id=b",
        ],
    )
    def test_what_can_be_read_in_two_ways_is_not_read(self, query: bytes) -> None:
        with pytest.raises(Unclear):
            query_ids(query)

    @pytest.mark.parametrize(
        "query", [b"deep_link=../0a1b", b"a=1&deep%5Flink=x%2Fy", b"deep_link=a&deep_link=/tmp/x", b"deep_link=.."]
    )
    def test_a_link_to_a_state_stays_in_the_folder_of_states(self, query: bytes) -> None:
        assert leads_out(query)

    @pytest.mark.parametrize("query", [b"", b"deep_link=0a-1b_", b"deep_link=", b"link=/x", b"a=%2F"])
    def test_other_queries_lead_nowhere(self, query: bytes) -> None:
        assert not leads_out(query)


class TestBindings:
    def test_the_first_to_use_a_session_owns_it(self) -> None:
        bindings = Bindings()

        assert bindings.allow(Ids(hashes=("h",)), ANA)
        assert bindings.allow(Ids(hashes=("h",)), ANA)
        assert not bindings.allow(Ids(hashes=("h",)), BEN)
        assert not bindings.allow(Ids(hashes=("mine", "h")), BEN)
        assert bindings.allow(Ids(hashes=("mine",)), ANA), "a refused request takes nothing"

    def test_the_same_person_in_another_tenant_is_somebody_else(self) -> None:
        bindings = Bindings()
        bindings.allow(Ids(hashes=("h",)), ANA)

        assert not bindings.allow(Ids(hashes=("h",)), Owner("ana", "beta"))

    def test_an_event_belongs_to_whom_it_was_issued(self) -> None:
        bindings = Bindings()
        bindings.issued(IdKind.EVENT, "e", ANA)

        assert bindings.allow(Ids(events=("e",), hashes=("e",)), ANA)
        assert not bindings.allow(Ids(events=("e",)), BEN)
        assert not bindings.allow(Ids(hashes=("e",)), BEN)
        assert not bindings.allow(Ids(events=("unheard-of",)), ANA)

    def test_one_persons_flood_forgets_only_their_own(self) -> None:
        bindings = Bindings(limit=10)
        bindings.allow(Ids(hashes=("anas",)), ANA)
        for number in range(100):
            bindings.allow(Ids(hashes=(f"bens-{number}",)), BEN)
            bindings.issued(IdKind.EVENT, f"event-{number}", BEN)

        assert not bindings.allow(Ids(hashes=("anas",)), BEN)
        assert sum(map(len, bindings._held.values())) == 11
        assert len(bindings._owners) == 11

    def test_an_upload_belongs_to_the_first_who_names_it(self) -> None:
        bindings = Bindings()

        assert bindings.allow(Ids(uploads=("u",)), ANA)
        assert not bindings.allow(Ids(uploads=("u",)), BEN)
        assert bindings.allow(Ids(hashes=("u",)), BEN), "a session of that name is another thing"

    def test_an_mcp_client_belongs_to_whom_it_was_issued(self) -> None:
        bindings = Bindings()
        bindings.issued(IdKind.MCP, "c", ANA)

        assert bindings.allow(Ids(clients=("c",)), ANA)
        assert not bindings.allow(Ids(clients=("c",)), BEN)
        assert not bindings.allow(Ids(clients=("unheard-of",)), ANA)

    def test_what_an_answer_names_a_second_time_changes_no_owner(self) -> None:
        bindings = Bindings()
        bindings.issued(IdKind.MCP, "c", ANA)
        bindings.issued(IdKind.MCP, "c", BEN)
        bindings.allow(Ids(hashes=("h",)), ANA)
        bindings.issued(IdKind.EVENT, "h", BEN)

        assert bindings.allow(Ids(clients=("c",), hashes=("h",)), ANA)
        assert not bindings.allow(Ids(clients=("c",)), BEN)
        assert not bindings.allow(Ids(hashes=("h",)), BEN)


def test_a_stopped_request_is_false_in_an_if() -> None:
    assert not FOREIGN


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"event_id": 7}', b'{"event_id": ""}', b"\xff", b"[" * 100_000])
def test_an_answer_without_an_event_names_none(body: bytes) -> None:
    assert event_of(body) is None


PART = b'--b\r\nContent-Disposition: form-data; name="session_hash"\r\n\r\nh\r\n'
TWICE = PART + PART + b"--b--\r\n"


async def queue(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers like Gradio's queue: an event id, and what it was sent."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = json.dumps({"event_id": f"event-of-{scope['portal.visitor'].subject}", "got": len(body)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})


async def people(deployment: Deployment) -> tuple[dict[str, str], dict[str, str]]:
    return deployment.signed_in("ana"), deployment.signed_in("ben", a_person(subject="ben"))


@pytest.mark.anyio
class TestThroughTheGuard:
    async def test_another_persons_session_is_out_of_reach_everywhere(self) -> None:
        async with a_deployment(queue) as deployment:
            ana, ben = await people(deployment)
            join = await deployment.post_json("/gradio_api/queue/join", '{"session_hash": "h", "data": []}', ana)
            assert join.status == 200
            assert json.loads(join.body)["got"] == len('{"session_hash": "h", "data": []}')
            event = json.loads(join.body)["event_id"]
            forms = {"content-type": "multipart/form-data; boundary=b"}
            blob = b'--b\r\nContent-Disposition: form-data; name="session_hash"\r\n\r\nh\r\n--b--\r\n'

            async def attempts(headers: dict[str, str]) -> list[int]:
                outcomes = [
                    await deployment.get("/gradio_api/queue/data?session_hash=h", headers),
                    await deployment.get("/gradio_api/heartbeat/h", headers),
                    await deployment.get("/gradio_api/deep_link?session_hash=h", headers),
                    await deployment.get("/gradio_api/stream/h/1/2/playlist.m3u8", headers),
                    await deployment.get(f"/gradio_api/call/predict/{event}", headers),
                    await deployment.get(f"/gradio_api/queue/data?session_hash={quote(event)}", headers),
                    await deployment.post_json("/gradio_api/queue/join", '{"session_hash": "h"}', headers),
                    await deployment.post_json("/gradio_api/run/predict", '{"session_hash": "h"}', headers),
                    await deployment.post_json("/gradio_api/call/predict", '{"session_hash": "h"}', headers),
                    await deployment.post_json("/gradio_api/component_server", '{"session_hash": "h"}', headers),
                    await deployment.post("/gradio_api/component_server", blob, {**headers, **forms}),
                    await deployment.post_json(
                        "/gradio_api/cancel",
                        f'{{"session_hash": "own", "fn_index": 0, "event_id": "{event}"}}',
                        headers,
                    ),
                    await deployment.post_json("/gradio_api/reset", f'{{"event_id": "{event}"}}', headers),
                    await deployment.post_json(f"/gradio_api/stream/{event}", '{"data": []}', headers),
                    await deployment.post(f"/gradio_api/stream/{event}/close", b"", headers),
                ]
                return [outcome.status for outcome in outcomes]

            served = len(deployment.app.scopes)
            assert {403} == set(await attempts(ben))
            assert served == len(deployment.app.scopes), "nothing reached the app"
            assert {200} == set(await attempts(ana))

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"session_hash": "mine", "session_hash": "h"}'),
            ("application/json", '{"session_hash": "h"}'.encode("utf-16")),
            ("application/json", '\ufeff{"session_hash": "h"}'.encode()),
            ("application/json", b'{"session_hash": "h\xff"}'),
            ("application/json", b'{"session_hash": ["h"]}'),
            ("application/json", b'{"session_hash": 7}'),
            ("application/json", b'{"session_hash": ""}'),
            ("application/json", b'[{"session_hash": "h"}]'),
            ("application/json", b"{"),
            ("application/json", b"[" * 100_000),
            ("text/plain", b'{"session_hash": "h"}'),
            ("", b'{"session_hash": "h"}'),
            ("application/x-www-form-urlencoded", b"session_hash=h"),
            (
                "multipart/form-data; boundary=b",
                b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nh\r\n--b--\r\n',
            ),
        ],
    )
    async def test_a_body_that_two_parsers_could_read_differently_is_refused(
        self, content_type: str, body: bytes
    ) -> None:
        async with a_deployment(queue) as deployment:
            answer = await deployment.post("/gradio_api/queue/join", body, content_type=content_type)

            assert answer.status == 400
            assert b'"detail"' in answer.body
            assert deployment.app.scopes == []

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (
                "Multipart/form-data; boundary=b",
                b'--b\r\nContent-Disposition: form-data; name="session_hash"\r\n\r\nh\r\n',
            ),
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=b", b"nothing like a form"),
            ("multipart/form-data; boundary=b", b"--b--\r\n"),
            (
                "multipart/form-data; boundary=b",
                TWICE,
            ),
            (
                "multipart/form-data; boundary=b",
                b'--b\r\nContent-Disposition: form-data; name="session_hash"; filename="f"\r\n\r\nh\r\n--b--\r\n',
            ),
        ],
    )
    async def test_a_form_that_names_no_single_session_is_refused(self, content_type: str, body: bytes) -> None:
        async with a_deployment(queue) as deployment:
            answer = await deployment.post("/gradio_api/component_server", body, content_type=content_type)

            assert answer.status == 400
            assert deployment.app.scopes == []

    async def test_two_content_types_are_none(self) -> None:
        async with a_deployment(queue) as deployment:
            scope = deployment.scope("/gradio_api/queue/join", method="POST")
            scope["headers"] += [(b"content-type", b"application/json"), (b"content-type", b"text/plain")]

            assert (await drive(deployment.guard, scope, body=b'{"session_hash": "h"}')).status == 400

    async def test_a_body_in_pieces_reaches_the_app_whole(self) -> None:
        async with a_deployment(queue) as deployment:
            answer = await deployment.post(
                "/gradio_api/queue/join", [b'{"session_', b'hash": "h"', b"}"], content_type="application/vnd.x+json"
            )

            assert (answer.status, json.loads(answer.body)["got"]) == (200, 21)

    async def test_after_the_body_the_app_hears_the_browser_leave(self) -> None:
        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            heard = [(await receive())["type"], (await receive())["type"]]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": " ".join(heard).encode()})

        async with a_deployment(listening) as deployment:
            scope = deployment.scope("/gradio_api/queue/join", method="POST", content_type="application/json")
            async with connected(deployment.guard, scope, body=b'{"session_hash": "h"}') as connection:
                connection.disconnect()
                outcome = await connection.finish()

        assert outcome.body == b"http.request http.disconnect"

    async def test_a_body_without_limit_is_cut_off(self) -> None:
        async with a_deployment(queue) as deployment:
            answer = await deployment.post(
                "/gradio_api/queue/join", [b"x" * 2**20] * 33, content_type="application/json"
            )

            assert answer.status == 413

    async def test_a_browser_that_leaves_in_the_middle_reaches_nothing(self) -> None:
        async with a_deployment(queue) as deployment:
            scope = deployment.scope("/gradio_api/queue/join", method="POST", content_type="application/json")
            async with connected(deployment.guard, scope, body=[b"{", b""]) as connection:
                connection._incoming.get_nowait()
                connection.give({"type": "http.disconnect"})
                connection._incoming.get_nowait()
                outcome = await connection.finish()

            assert outcome.status == 0
            assert deployment.app.scopes == []

    async def test_unclear_addresses_are_refused(self) -> None:
        async with a_deployment(queue) as deployment:
            assert (await deployment.get("/gradio_api/queue/data?session_hash=a&session_hash=b")).status == 400

    async def test_a_failed_join_issues_nothing(self) -> None:
        async def failing(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b'{"event_id": "e"}'})

        async with a_deployment(failing) as deployment:
            await deployment.post_json("/gradio_api/queue/join", '{"session_hash": "h"}')

            assert (await deployment.get("/gradio_api/call/x/e")).status == 403

    async def test_a_join_without_a_body_or_with_an_odd_answer_passes(self) -> None:
        async with a_deployment() as deployment:  # answers "hello", which names no event
            assert (await deployment.post("/gradio_api/queue/join", b"")).status == 200


async def a_streaming_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Hands out the event ``hers``; over a WebSocket it says what it was given, as Gradio 5 takes frames."""
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"event_id": "hers"}'})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def frames_of(deployment: Deployment, sid: str, event: str = "hers") -> Scope:
    headers = {"host": deployment.host, "origin": deployment.settings.app_origin, "cookie": deployment.cookie(sid)}
    return websocket_scope(f"/gradio_api/stream/{event}", headers=headers)


@pytest.mark.anyio
class TestFrames:
    """Gradio 5 takes frames of a running event over a WebSocket, and asks of nobody whose event it is."""

    async def test_the_owner_sends_frames_of_her_event(self) -> None:
        async with a_deployment(a_streaming_app) as deployment:
            await deployment.post_json(
                "/gradio_api/queue/join", '{"session_hash": "her-hash"}', deployment.signed_in("ana")
            )
            async with connected(deployment.guard, frames_of(deployment, "ana")) as connection:
                connection.give({"type": "websocket.receive", "text": '{"session_hash": "her-hash", "data": []}'})
                await connection.until(lambda outcome: len(outcome.messages) == 2)
                connection.give({"type": "websocket.disconnect"})
                outcome = await connection.finish()

        assert [message["type"] for message in outcome.messages] == ["websocket.accept", "websocket.send"]

    @pytest.mark.parametrize("event", ["hers", "unheard-of", "e" * 200])
    async def test_nobody_sends_frames_of_an_event_that_is_not_theirs(self, event: str) -> None:
        async with a_deployment(a_streaming_app) as deployment:
            await deployment.post_json(
                "/gradio_api/queue/join", '{"session_hash": "her-hash"}', deployment.signed_in("ana")
            )
            deployment.portal.person("ben", a_person(subject="ben"))
            outcome = await drive(deployment.guard, frames_of(deployment, "ben", event))

            assert outcome.messages == [{"type": "websocket.close", "code": 4403, "reason": ""}]
            assert len(deployment.app.scopes) == 1

    @pytest.mark.parametrize(
        "message",
        [
            {"text": '{"session_hash": "bens-hash"}'},
            {"text": '{"session_hash": "her-hash", "session_hash": "bens-hash"}'},
            {"text": '{"session_hash": "her-hash", "event_id": "bens"}'},
            {"text": '{"session_hash": 1}'},
            {"text": "[]"},
            {"text": ""},
            {"bytes": b'{"session_hash": "her-hash"}'},
        ],
        ids=["foreign", "twice", "event", "number", "list", "empty", "bytes"],
    )
    async def test_a_frame_with_somebody_elses_session_or_none_that_can_be_read_ends_the_socket(
        self, message: dict[str, object]
    ) -> None:
        async with a_deployment(a_streaming_app) as deployment:
            deployment.portal.person("ben", a_person(subject="ben"))
            await deployment.post_json(
                "/gradio_api/run/x", '{"session_hash": "bens-hash"}', deployment.signed_in("ben")
            )
            await deployment.post_json(
                "/gradio_api/queue/join", '{"session_hash": "her-hash"}', deployment.signed_in("ana")
            )
            async with connected(deployment.guard, frames_of(deployment, "ana")) as connection:
                connection.give({"type": "websocket.receive", **message})
                outcome = await connection.finish()

        assert [one["type"] for one in outcome.messages] == ["websocket.accept", "websocket.close"]
        assert outcome.messages[-1]["code"] == 4403
