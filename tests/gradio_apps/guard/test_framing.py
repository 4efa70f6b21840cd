"""What an app's own headers say of frames and scripts."""

import pytest

from gradio_apps.runtime.guard.framing import script_nonce, without_frame_ancestors
from gradio_apps.runtime.guard.injection import Injector


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (b"frame-ancestors 'none'", b""),
        (b"FRAME-ANCESTORS 'none';", b""),
        (b"  frame-ancestors\t'self' https://a.example ; ", b""),
        (b"default-src 'self'; frame-ancestors 'none'; base-uri 'self'", b"default-src 'self'; base-uri 'self'"),
        (b"frame-ancestors 'none', default-src 'self'", b"default-src 'self'"),
        (b"frame-ancestors 'none',frame-ancestors 'self'", b""),
        (b"script-src 'self', object-src 'none'; frame-ancestors", b"script-src 'self', object-src 'none'"),
        # nothing else is touched, however it looks
        (b"default-src 'self'", b"default-src 'self'"),
        (b"frame-src 'none'; report-uri /frame-ancestors", b"frame-src 'none'; report-uri /frame-ancestors"),
        (b"x-frame-ancestors 'none'", b"x-frame-ancestors 'none'"),
        (b"", b""),
        (b";;,", b";;,"),
    ],
)
def test_who_may_frame_an_app_is_not_the_apps_to_say_and_the_rest_is(policies: bytes, expected: bytes) -> None:
    assert without_frame_ancestors(policies) == expected


@pytest.mark.parametrize(
    ("policies", "nonce"),
    [
        (b"script-src 'nonce-abc123=='", b"abc123=="),
        (b"default-src 'none'; script-src 'strict-dynamic' 'NONCE-abc'", b"abc"),
        (b"default-src 'nonce-abc'", b"abc"),
        (b"script-src 'nonce-abc'; script-src-elem 'nonce-def'", b"def"),
        (b"img-src *, script-src 'nonce-abc'", b"abc"),
        (b"script-src 'self'; default-src 'nonce-abc'", None),
        (b"style-src 'nonce-abc'", None),
        (b"script-src nonce-abc", None),
        (b"", None),
        (b";,;", None),
    ],
)
def test_the_nonce_of_scripts_is_found(policies: bytes, nonce: bytes | None) -> None:
    assert script_nonce(policies) == nonce


@pytest.mark.parametrize(
    ("policy", "tag"),
    [
        (b"script-src 'nonce-aB3/_-=='", b'<script nonce="aB3/_-==" src="/x">'),
        (b"script-src 'nonce-\"><script>alert(1)</script>'", b'<script src="/x">'),
        (b"script-src 'nonce-'", b'<script src="/x">'),
        (b"script-src 'self'", b'<script src="/x">'),
    ],
)
def test_the_guards_script_is_let_in_by_the_apps_own_nonce_and_by_nothing_that_is_none(
    policy: bytes, tag: bytes
) -> None:
    injector = Injector(b'<script src="/x">')
    headers = injector.start(
        200, [(b"content-type", b"text/html"), (b"content-security-policy", policy), (b"content-length", b"6")]
    )

    body = injector.feed(b"<head>", more=False)
    assert body == b"<head>" + tag
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
