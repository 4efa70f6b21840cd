"""Files of variables: what they may say, and to whom they may be open."""

import stat

import pytest

from portal.contract.env_files import LARGEST, EnvFileError, problem_of_mode, read_env_file


@pytest.mark.parametrize(
    ("content", "variables"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"A=1\nB = two \n", {"A": "1", "B": "two"}, id="space around goes"),
        pytest.param(b"\n# A=1\n   # B=2\nC=3", {"C": "3"}, id="comments and empty lines"),
        pytest.param(b'A=\'it is # fine\'\nB="q"\nC="', {"A": "it is # fine", "B": "q", "C": '"'}, id="quotes"),
        pytest.param(b"A=$HOME\\n${B}", {"A": "$HOME\\n${B}"}, id="nothing is interpreted"),
        pytest.param(b"A=x=y==", {"A": "x=y=="}, id="equals in a value"),
        pytest.param(b"A=\n", {"A": ""}, id="empty value"),
        pytest.param(b"A=1\r\nB=2\r\n", {"A": "1", "B": "2"}, id="line ends of Windows"),
        pytest.param(b"\xef\xbb\xbfA=1", {"A": "1"}, id="byte order mark"),
        pytest.param(b"A=1\nA=2", {"A": "2"}, id="the last one counts"),
        pytest.param("A=Grüße".encode(), {"A": "Grüße"}, id="UTF-8"),
    ],
)
def test_values_are_taken_as_they_are_written(content: bytes, variables: dict[str, str]) -> None:
    assert read_env_file(content) == variables


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"A=1\nsecret-without-name", "line 2 is not NAME=value", id="no name"),
        pytest.param(b"export A=hush", "line 1 is not NAME=value", id="of a shell"),
        pytest.param(b"1A=hush", "line 1 is not NAME=value", id="no such name"),
        pytest.param(b"=hush", "line 1 is not NAME=value", id="empty name"),
        pytest.param(b"PORTAL_URL=hush", "line 1 sets a variable that is reserved", id="the guard's"),
        pytest.param(b"portal_app_secret=hush", "line 1 sets a variable that is reserved", id="in small letters"),
        pytest.param(b"LISTEN_FDS=1", "line 1 sets a variable that is reserved", id="the socket's"),
        pytest.param(b"\nLD_PRELOAD=hush.so", "line 2 sets a variable that is reserved", id="the loader's"),
        pytest.param(b"A=hush\0", "it is not text", id="zero byte"),
        pytest.param(b"A=\xff\xfe", "it is not UTF-8 text", id="another encoding"),
        pytest.param(b"A=" + b"h" * LARGEST, "it is larger than 64 KiB", id="too large"),
    ],
)
def test_an_invalid_line_is_named_by_its_number_and_not_quoted(content: bytes, problem: str) -> None:
    with pytest.raises(EnvFileError) as caught:
        read_env_file(content)

    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("mode", "open_to_others"),
    [(0o600, False), (0o400, False), (0o640, False), (0o644, True), (0o660, True), (0o650, True), (0o602, True)],
    ids=lambda value: f"{value:o}" if type(value) is int else None,
)
def test_a_file_open_to_others_or_writable_by_its_group_is_refused(mode: int, *, open_to_others: bool) -> None:
    problem = problem_of_mode(stat.S_IFREG | mode)

    assert (problem is not None and "open to others" in problem) == open_to_others


@pytest.mark.parametrize("kind", [stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK], ids=["folder", "pipe", "socket"])
def test_only_a_regular_file_is_accepted(kind: int) -> None:
    assert problem_of_mode(kind | 0o600) == "it is not a regular file"
