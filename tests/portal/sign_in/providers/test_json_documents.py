import pytest

from portal.sign_in.providers.json_documents import MAX_DEPTH, read_list, read_object


def test_an_object_is_read() -> None:
    assert read_object(b'{"a": [1, {"b": "\xc3\xb6"}]}') == {"a": [1, {"b": "ö"}]}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_whatever_else_comes_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the one promise: nothing but this, whatever it says
        read_object(raw)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_object('\ufeff{"a": 1}'.encode()) == {"a": 1}


def test_what_providers_nest_is_read() -> None:
    assert read_object(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)


def test_a_list_is_read() -> None:
    assert read_list(b'[1, {"b": "x"}]') == [1, {"b": "x"}]


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"[", b'[{"a": 1, "a": 2}]', b"[NaN]", b"[" * 100_000])
def test_whatever_is_no_list_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the one promise: nothing but this, whatever it says
        read_list(raw)
