"""The files that an answer of Gradio names are found, wherever it is cut into pieces."""

import json

import pytest

from gradio_apps.runtime.guard.bodies import MAX_PATHS, NotReadable, TooComplex, check_shape, members_of
from gradio_apps.runtime.guard.gradio_calls import form_ids
from gradio_apps.runtime.guard.named_files import MAX_CARRIED, MAX_LIST, NamedFiles, PageFiles, UploadedFiles

NAMED = [
    (b'{"path":"/c/a.txt","url":null}', ["/c/a.txt"]),
    (b'{"path" : "/c/a.txt"}', ["/c/a.txt"]),
    (b'data: {"output":{"data":[{"path":"/c/a"},{"video":{"path":"/c/b"}}]}}\n\n', ["/c/a", "/c/b"]),
    (b'{"path":"/c/\\u00e9 \\"x\\".txt"}', ['/c/é "x".txt']),
    ('{"path":"/c/é.txt"}'.encode(), ["/c/é.txt"]),
    (b'[["replace",["path"],"/c/a"],["replace",["url"],"/u"]]', ["/c/a"]),
    (b'[["replace",[0,"value","path"],"/c/a"]]', ["/c/a"]),
    (b'["add",[0],{"path":"/c/a"}]', ["/c/a"]),
    (b'{"path":null,"x":{"path":7,"y":{"path":"/c/a"}}}', ["/c/a"]),
    (b'{"path":{"path":"/c/a"}}', ["/c/a"]),
    (b'"path" "path""path":"/c/a"', ["/c/a"]),
]
UNNAMED = [
    b"",
    b"[]",
    json.dumps(['{"path":"/c/a"}']).encode(),
    json.dumps(['["replace",["path"],"/c/a"]']).encode(),
    b'[["path"],"/c/a"]',
    b'{"a":["path"],"b":"/c/a"}',
    b'["add",["path"],"/c/a"]',
    b'["replace",["x"],["path"],"/c/a"]',
    b'{"path":',
    b'{"path":"/c/a',
    b'{"path":"/c/a\\',
    b'{"path":"/c/\\q"}',
    b'{"xpath":"/c/a"}',
    b'{"url":"/c/a"}',
]


@pytest.mark.parametrize(("answer", "paths"), [*NAMED, *((one, []) for one in UNNAMED)])
def test_a_path_is_found_however_the_answer_is_cut(answer: bytes, paths: list[str]) -> None:
    for cut in range(len(answer) + 1):
        found: list[str] = []
        read = NamedFiles(found.append)
        read(answer[:cut])
        read(answer[cut:])
        assert list(dict.fromkeys(found)) == paths, cut

    found = []
    read = NamedFiles(found.append)
    for at in range(len(answer)):
        read(answer[at : at + 1])
    assert list(dict.fromkeys(found)) == paths


def test_what_is_carried_is_bounded_and_what_follows_is_found() -> None:
    found: list[str] = []
    read = NamedFiles(found.append)
    read(b'{"path":"')
    for _ in range(100):
        read(b"x" * 1000)
        assert len(read._carried) <= MAX_CARRIED + 1000
    read(b'"},{"path":"/c/a"}')

    assert found == ["/c/a"]


@pytest.mark.parametrize(
    ("page", "paths"),
    [
        (b'<p>x</p><script>window.gradio_config = {"a":{"path":"/c/a"}};</script>', ["/c/a"]),
        (b'{"path":"/c/a"}', []),
        (b'window.gradio_config = {"path":"/c/a"}', []),
        (b'&lt;script>window.gradio_config = {"path":"/c/a"}', []),
        (b'{"path":"/c/b"}<script>window.gradio_config = {"path":"/c/a"}', ["/c/a"]),
    ],
)
def test_of_a_page_only_the_configuration_of_its_app_names_files(page: bytes, paths: list[str]) -> None:
    for cut in range(len(page) + 1):
        found: list[str] = []
        read = PageFiles(found.append)
        read(page[:cut])
        read(page[cut:])
        assert found == paths, cut


def test_a_list_of_uploads_is_read_to_its_end() -> None:
    found: list[str] = []
    read = UploadedFiles(found.append)
    for piece in (b'["/c/a]', b'","/c/b"', b',7,{"path":"/c/c"}]'):
        read(piece)

    assert found == ["/c/a]", "/c/b"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"]", b'{"detail":"/c/a]"', b'"/c/a"', b"[" * 100_000 + b"]", b'["' + b"x" * MAX_LIST + b'"]'],
    ids=["empty", "half", "object", "text", "deep", "long"],
)
def test_what_is_no_list_of_uploads_names_nothing(answer: bytes) -> None:
    found: list[str] = []
    UploadedFiles(found.append)(answer)

    assert found == []


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"path": "/c/a"}', ("/c/a",)),
        (b'{"path": "a"}', ("a",)),
        (b'{"data": [{"x": [{"path": "/c/a", "url": "/u"}]}, {"path": "/c/b"}]}', ("/c/a", "/c/b")),
        (b'{"data": {"path": "/c/a", "path": "/c/b"}}', ("/c/a", "/c/b")),
        (b'{"p\\u0061th": "\\/c\\u002fa"}', ("/c/a",)),
        (b'{"data": ["replace", ["path"], "/c/a"]}', ("/c/a",)),
        (b'{"data": ["replace", [0, "pat\\u0068"], "/c/a"]}', ("/c/a",)),
        (b'{"data": {"url": "https://x.example/gradio_api/file=/c/a"}}', ("/c/a",)),
        (b'{"u\\u0072l": "/gradio_api\\/file=%2Fc%2fa?x=1", "x": {"url": "/c/a"}}', ("/c/a",)),
        (b'{"url": null, "x": "/gradio_api/file=/c/a"}', ()),
        (b'{"path": null, "x": "/c/a"}', ()),
        (b'{"path": ["/c/a"]}', ()),
        (b'{"x": "path", "y": "/c/a"}', ()),
        (b'{"x": "{\\"path\\": \\"/c/a\\"}"}', ()),
        (b'["path", "/c/a"]', ()),
        (b"", ()),
    ],
)
def test_the_paths_in_a_body_are_read_at_any_depth(body: bytes, paths: tuple[str, ...]) -> None:
    assert check_shape(body) == paths
    if body.startswith(b"{") and b'"path": "/c/a", "path"' not in body:
        assert members_of(body)[1] == paths


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b'{"params": {"arguments": {"file": "/c/a"}}}', ("/c/a",)),
        (b'["\\/c/a", "\\u002fc/b", "x/../c/d", "\\u002e./e", "..\\/f"]', ("/c/a", "/c/b", "x/../c/d", "../e", "../f")),
        (b'{"url": "/gradio_api/file=/c/a"}', ("/gradio_api/file=/c/a", "/c/a")),
        (b'["https://example.com/x", "a/b", "plain", "\\u0061"]', ()),
    ],
)
def test_for_an_mcp_server_any_text_may_be_a_path(body: bytes, paths: tuple[str, ...]) -> None:
    assert check_shape(body, texts=True) == paths


@pytest.mark.anyio
async def test_the_fields_of_a_form_count_together() -> None:
    def field(name: str, value: str) -> str:
        return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    paths = json.dumps([f"/c/{number}" for number in range(MAX_PATHS)])
    one = field("session_hash", "h") + field("data", paths)
    content_type = "multipart/form-data; boundary=b"
    ids = await form_ids(f"{one}--b--\r\n".encode(), content_type=content_type)
    assert len(ids.files) == MAX_PATHS
    with pytest.raises(TooComplex):
        await form_ids(f"{one}{field('more', '/c/x')}--b--\r\n".encode(), content_type=content_type)


def test_too_many_paths_are_too_complex() -> None:
    body = json.dumps([{"path": f"/c/{number}"} for number in range(MAX_PATHS + 1)]).encode()

    with pytest.raises(TooComplex):
        check_shape(body)
    with pytest.raises(NotReadable):
        check_shape(body[:-1])
