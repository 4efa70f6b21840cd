"""Every route of the supported Gradio versions, and the ids in it that belong to one person.

Only this table decides.  ``tests/gradio_apps/guard/test_gradio_routes.py`` compares it with the installed Gradio: a
route, a body field, a query or a path parameter that is missing here fails that test, and the guard refuses a route
below Gradio's prefix that is missing here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

PREFIX: Final = "/gradio_api/"
"""Prefix of Gradio's own API, wherever the app is mounted."""


class IdKind(Enum):
    """What an id names.  The value is the parameter's name in paths, queries and bodies."""

    SESSION = "session_hash"
    """A page's session: chosen by the browser, owned by its first user."""
    EVENT = "event_id"
    """One run: made by the app."""
    UPLOAD = "upload_id"
    """One upload's progress, file names included: chosen by the browser."""
    MCP = "session_id"
    """A client of the app's MCP server: made by the app."""


IDS: Final = {kind.value: kind for kind in IdKind}

SHARED: Final = {
    "api_name": "an endpoint of the app",
    "fn_index": "an endpoint of the app",
    "trigger_id": "a component of the app",
    "component_id": "a component of the app; its state is the session's",
    "fn_name": "a function of a component",
    "data": "what the endpoint is given; files in it are held against their owners",
    "event_data": "what the endpoint is given",
    "simple_format": "how the answer is written",
    "batched": "how the data is written",
    "oauth_token": "the caller's own secret",
    "run": "a run within a session, which stands beside it",
    "segment_id": "a piece of a stream within a session",
    "ext": "a kind of file",
    "path": "a file, which is held against its owners if it is in Gradio's cache",
    "path_or_url": "the same",
    "url_path": "a Space that the app itself names",
    "id": "a class of components",
    "environment": "a kind of file",
    "type": "a kind of file",
    "file_name": "a file of a component's class",
    "page": "a page of the app",
    "deep_link": "a state that its owner has made a link to, for others; only checked for its form",
    "all_session": "whether all tokens of Gradio's own sign-in end; there are none",
    "size": "the size of an icon",
    "key": "a secret of the app's, which its log tells",
    "username": "Gradio's own sign-in, which is off",
    "password": "the same",
    "grant_type": "the same",
    "scope": "the same",
    "client_id": "the same",
    "client_secret": "the same",
    "bucket_id": "a bucket at Hugging Face, read with the caller's own token",
    "bucket": "the same",
    "limit": "a number",
    "endpoint": "an endpoint of the app",
    "record_id": "a record in the caller's own bucket",
    "asset_id": "the same",
    "prompt": "a developer's tool, which is refused",
    "code": "the same",
    "hash": "the same",
    "last_n": "the same",
}
"""Parameters that name nothing that belongs to one person, and what they are."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route, its path as Gradio writes it, without a trailing slash."""

    methods: str
    """Methods, separated by spaces."""
    path: str
    query: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    """Fields of the JSON object in its body."""
    by_hand: bool = False
    """Whether Gradio reads the body itself: FastAPI does not know its fields."""
    form: bool = False
    """Whether the body may be a form with the same fields instead."""
    issues: IdKind | None = None
    """The kind of new id in the answer."""
    is_event_stream: bool = False
    """Whether the answer streams the messages of a session's events, or of one event."""
    idle: bool = False
    """Whether the request only shows that a page is open, which does not count as use."""
    file: str | None = None
    """The parameter in its path that is the path of a file."""
    files: Literal["named", "uploaded"] | None = None
    """Whether its answer names files for the person: as results do, or as an upload does."""
    texts: bool = False
    """Whether any text in the body may be the path of a file."""
    developer: bool = False
    """A tool for the author of the app, on their own machine: the guard refuses it."""
    gradio: tuple[str, ...] = ("5.50", "6.31")
    """The minor versions that have it."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters in the path."""
        return tuple(_names(self.path))


_PREDICT: Final = (
    "session_hash",
    "event_id",
    "data",
    "oauth_token",
    "event_data",
    "fn_index",
    "trigger_id",
    "simple_format",
    "batched",
)
_STREAM: Final = "/gradio_api/stream/{session_hash}/{run}/{component_id}"
_SIX: Final = ("6.31",)

ROUTES: Final = (
    # Runs.
    Route("POST", "/gradio_api/queue/join", body=_PREDICT, issues=IdKind.EVENT),
    Route("GET", "/gradio_api/queue/data", query=("session_hash",), is_event_stream=True, files="named"),
    Route("GET", "/gradio_api/queue/status"),
    Route("POST", "/gradio_api/call/{api_name}", body=("data", "session_hash", "oauth_token"), issues=IdKind.EVENT),
    Route("GET", "/gradio_api/call/{api_name}/{event_id}", is_event_stream=True, files="named"),
    # Its body holds the endpoint's own parameters, under any name.
    Route("POST", "/gradio_api/call/v2/{api_name}", by_hand=True, issues=IdKind.EVENT, gradio=_SIX),
    Route("GET", "/gradio_api/call/v2/{api_name}/{event_id}", is_event_stream=True, files="named", gradio=_SIX),
    # Gradio 5 goes on with the generator of an event that the body names.
    Route("POST", "/gradio_api/run/{api_name}", body=_PREDICT, files="named"),
    Route("POST", "/gradio_api/api/{api_name}", body=_PREDICT, files="named"),
    Route("POST", "/gradio_api/cancel", body=("session_hash", "fn_index", "event_id")),
    Route("POST", "/gradio_api/reset", body=("event_id",)),
    Route("POST", "/gradio_api/stream/{event_id}", body=_PREDICT),
    Route("WEBSOCKET", "/gradio_api/stream/{event_id}", body=_PREDICT, by_hand=True, gradio=("5.50",)),
    Route("POST", "/gradio_api/stream/{event_id}/close"),
    Route(
        "POST",
        "/gradio_api/component_server",
        body=("session_hash", "component_id", "fn_name", "data"),
        by_hand=True,
        form=True,
        texts=True,
        files="named",
    ),
    # Pages, and what they show.
    Route("GET", "/gradio_api/heartbeat/{session_hash}", idle=True),
    Route("GET", f"{_STREAM}/playlist.m3u8"),
    Route("GET", f"{_STREAM}/playlist-file"),
    Route("GET", f"{_STREAM}/{{segment_id}}.{{ext}}"),
    Route("GET", "/gradio_api/deep_link", query=("session_hash",)),
    # Files.
    Route("POST", "/gradio_api/upload", query=("upload_id",), by_hand=True, files="uploaded"),
    Route("GET", "/gradio_api/upload_progress", query=("upload_id",)),
    Route("GET HEAD", "/gradio_api/file={path_or_url:path}", file="path_or_url"),
    Route("GET", "/gradio_api/file/{path:path}", file="path"),
    Route("GET HEAD", "/gradio_api/proxy={url_path:path}"),
    Route("GET", "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}"),
    Route("GET", "/gradio_api/theme.css"),
    Route("POST", "/gradio_api/process_recording", by_hand=True),
    # What the app is.
    Route("GET", "/gradio_api/info", query=("page",)),
    Route("GET", "/gradio_api/openapi.json"),
    Route("GET", "/gradio_api/app_id"),
    Route("GET", "/gradio_api/startup-events"),
    Route("GET", "/gradio_api/user"),
    Route("GET", "/gradio_api/login_check"),
    Route("GET", "/gradio_api/token"),
    # Its streamable transport keeps no sessions in either minor; the header Mcp-Session-Id is bound all the same.
    Route("GET HEAD POST DELETE", "/gradio_api/mcp", by_hand=True, texts=True),
    Route("GET HEAD POST DELETE", "/gradio_api/mcp/{path:path}", by_hand=True, texts=True),
    Route("GET HEAD", "/gradio_api/mcp/schema"),
    Route("GET HEAD", "/gradio_api/mcp/sse", issues=IdKind.MCP),
    Route("POST", "/gradio_api/mcp/messages/{path:path}", query=("session_id",), by_hand=True, texts=True),
    # Runs that a person keeps at Hugging Face.
    Route("GET", "/gradio_api/runs", gradio=_SIX),
    Route("POST", "/gradio_api/run-history/connect", body=("bucket_id",), gradio=_SIX),
    Route("GET", "/gradio_api/run-history/buckets", gradio=_SIX),
    Route("GET", "/gradio_api/run-history/records", query=("limit", "bucket"), gradio=_SIX),
    Route(
        "GET",
        "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
        query=("bucket",),
        gradio=_SIX,
    ),
    # Tools for developers: they rewrite the app's code, or show everybody's sessions and times.
    Route("GET", "/gradio_api/dev/reload", developer=True),
    Route("POST", "/gradio_api/vibe-edit", body=("prompt",), developer=True),
    Route("POST", "/gradio_api/undo-vibe-edit", body=("hash",), developer=True),
    Route("GET", "/gradio_api/vibe-code", developer=True),
    Route("POST", "/gradio_api/vibe-code", body=("code",), developer=True),
    Route("POST", "/gradio_api/vibe-starter-queries", by_hand=True, developer=True),
    Route("GET", "/gradio_api/profiling/traces", query=("last_n",), developer=True, gradio=_SIX),
    Route("GET", "/gradio_api/profiling/summary", developer=True, gradio=_SIX),
    Route("POST", "/gradio_api/profiling/clear", by_hand=True, developer=True, gradio=_SIX),
    # Outside of its prefix.
    Route("GET HEAD", "/", query=("page", "deep_link")),
    Route("GET", "/{page}", query=("deep_link",)),
    Route("GET", "/config", query=("page", "deep_link")),
    Route("GET", "/svelte/{path:path}"),
    Route("GET", "/static/{path:path}"),
    Route("GET", "/assets/{path:path}"),
    Route("GET", "/favicon.ico"),
    Route("GET", "/theme.css"),
    Route("GET", "/robots.txt"),
    Route("GET", "/manifest.json"),
    Route("GET", "/pwa_icon", query=("size",)),
    Route("GET", "/pwa_icon/{size}"),
    Route("GET", "/monitoring"),
    Route("GET", "/monitoring/summary"),
    Route("GET", "/monitoring/{key}"),
    Route("POST", "/login", body=("username", "password", "grant_type", "scope", "client_id", "client_secret")),
    Route("GET", "/logout", query=("all_session",)),
    Route("GET HEAD", "/openapi.json"),  # FastAPI's own, which Gradio leaves on
)


def _names(path: str) -> Iterator[str]:
    for piece in path.split("{")[1:]:
        yield piece.partition("}")[0].partition(":")[0]
