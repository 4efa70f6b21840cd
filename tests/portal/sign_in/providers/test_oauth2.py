"""The flow without ID tokens, besides the sign-in at GitHub's emulation (``tests/provider/test_github.py``)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.errors import CallbackRejected, ClaimsTooLarge, PortalError, ProviderRefused, ProviderUnavailable
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.attempts import Attempt
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW
from tests.portal.sign_in.provider_types.reading import spec_at
from tests.provider.misbehaving import Answer, MisbehavingProvider, as_json, misbehaving_provider, trickle

CALLBACK = "https://portal.example.com/auth/oauth/company/callback"
PATIENT = Limits(read=60, total=60)
HURRIED = Limits(read=0.5, total=2)
BEARER = {"access_token": "token", "token_type": "bearer"}


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        provider.respond["/token"] = lambda _: as_json(BEARER)
        provider.respond["/me"] = lambda _: as_json({"id": 7, "name": "Ana", "email": "ana@example.com"})
        yield provider


def spec_of(theirs: MisbehavingProvider, **changes: Any) -> ProviderSpec:
    spec = spec_at(
        "generic",
        auth_url=f"{theirs.issuer}/authorize?policy=b2c",
        token_url=f"{theirs.issuer}/token",
        user_info_url=f"{theirs.issuer}/me",
    )
    return replace(spec, **changes)


def begin(ours: CodeFlow, **changes: Any) -> tuple[str, Attempt]:
    return ours.begin(**{"redirect_uri": CALLBACK, "return_to": "/", "now": NOW, **changes})


def complete(ours: CodeFlow, **callback: str) -> Any:
    _, attempt = begin(ours)
    return ours.complete(attempt, {"code": "code", "state": attempt.state, **callback}, now=NOW)


def test_the_request_carries_what_makes_it_safe(theirs: MisbehavingProvider) -> None:
    ours = CodeFlow(
        spec_of(theirs, scopes=("profile", "email"), authorize_params=(("state", "x"), ("prompt", "login")))
    )
    url, attempt = begin(ours, login_hint="ana@example.com")
    query = parse_qs(urlsplit(url).query)

    assert query["state"] == [attempt.state]
    assert query["code_challenge_method"] == ["S256"]
    assert attempt.code_verifier not in url
    assert (query["scope"], query["prompt"], query["policy"]) == (["profile email"], ["login"], ["b2c"])
    assert query["login_hint"] == ["ana@example.com"]
    assert "nonce" not in query
    assert "openid" not in url


def test_without_scopes_none_are_sent(theirs: MisbehavingProvider) -> None:
    url, _ = begin(CodeFlow(spec_of(theirs, scopes=())))

    assert "scope" not in parse_qs(urlsplit(url).query, keep_blank_values=True)


def test_a_person_signs_in_and_there_is_no_id_token(theirs: MisbehavingProvider) -> None:
    completed = complete(CodeFlow(spec_of(theirs), limits=PATIENT))

    assert (completed.identity.issuer, completed.identity.subject) == (f"{theirs.issuer}/me", "7")
    assert (completed.id_token, completed.access_token) == (None, "token")
    assert "token" not in repr(completed).replace("id_token=None", "")


def test_an_id_token_that_comes_along_proves_nothing_and_is_not_read(theirs: MisbehavingProvider) -> None:
    theirs.respond["/token"] = lambda _: as_json({**BEARER, "id_token": "x.y.z"})

    assert complete(CodeFlow(spec_of(theirs), limits=PATIENT)).id_token is None


@pytest.mark.parametrize(
    ("callback", "error"),
    [
        ({"state": "other"}, CallbackRejected),
        ({"code": ""}, CallbackRejected),
        ({"error": "access_denied"}, ProviderRefused),
        ({"error": "temporarily_unavailable"}, ProviderUnavailable),
    ],
)
def test_an_invalid_callback_is_refused(
    theirs: MisbehavingProvider, callback: dict[str, str], error: type[PortalError]
) -> None:
    with pytest.raises(error):
        complete(CodeFlow(spec_of(theirs), limits=PATIENT), **callback)
    assert theirs.asked == []


def test_an_attempt_at_another_provider_is_refused(theirs: MisbehavingProvider) -> None:
    _, attempt = begin(CodeFlow(spec_of(theirs, id="other")))

    with pytest.raises(CallbackRejected):
        CodeFlow(spec_of(theirs)).complete(attempt, {"code": "code", "state": attempt.state}, now=NOW)


def test_a_named_issuer_must_be_the_one_that_is_known(theirs: MisbehavingProvider) -> None:
    ours = CodeFlow(spec_of(theirs, issuer=theirs.issuer), limits=PATIENT)

    assert complete(ours, iss=theirs.issuer).identity.subject == "7"
    with pytest.raises(CallbackRejected):
        complete(ours, iss="https://evil.test")


@pytest.mark.parametrize("path", ["/token", "/me"])
def test_an_answer_that_never_ends_is_given_up(theirs: MisbehavingProvider, path: str) -> None:
    theirs.respond[path] = trickle(head=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", drop=b" ")

    with pytest.raises(ProviderUnavailable):
        complete(CodeFlow(spec_of(theirs), limits=HURRIED))


@pytest.mark.parametrize(
    "answer",
    [
        as_json({"message": "no"}, status=401),
        as_json({"message": "no"}, status=403),
        as_json([{"id": 7}]),
        Answer(b'{"id": 7, "id": 8}'),
        Answer(b"", 302, {"Location": "http://localhost:1/me"}),
    ],
    ids=["401", "403", "a list", "two ids", "a redirect"],
)
def test_without_a_usable_answer_of_the_api_no_one_is_signed_in(theirs: MisbehavingProvider, answer: Answer) -> None:
    theirs.respond["/me"] = lambda _: answer

    with pytest.raises(ProviderUnavailable):
        complete(CodeFlow(spec_of(theirs), limits=PATIENT))


def test_an_answer_that_is_too_long_is_not_an_outage(theirs: MisbehavingProvider) -> None:
    theirs.respond["/me"] = lambda _: Answer(b'{"a": "' + b"x" * 10_000_000 + b'"}')

    with pytest.raises(ClaimsTooLarge, match="is longer than 2097152 bytes"):
        complete(CodeFlow(spec_of(theirs), limits=PATIENT))


@pytest.mark.parametrize("name", ["authorize", "token", "userinfo"])
@pytest.mark.parametrize(
    "url", ["http://id.example.com/x", "http://localhost:80@evil.test/x", "file:///etc/passwd", ""]
)
def test_unsafe_addresses_are_not_used(theirs: MisbehavingProvider, name: str, url: str) -> None:
    spec = spec_of(theirs)
    assert spec.endpoints is not None
    ours = CodeFlow(replace(spec, endpoints=replace(spec.endpoints, **{name: url})))

    with pytest.raises(ProviderUnavailable):
        begin(ours)
    assert ours.diagnostics().problem is not None


def test_without_endpoints_it_cannot_be_used(theirs: MisbehavingProvider) -> None:
    assert CodeFlow(spec_of(theirs, endpoints=None)).diagnostics().problem == "it has no endpoints"
    assert CodeFlow(spec_of(theirs)).diagnostics().problem is None


def test_it_has_no_sign_out(theirs: MisbehavingProvider) -> None:
    spec = spec_of(theirs)
    ends = Endpoints(authorize="https://x.test", token="https://x.test", end_session="https://x.test/end")
    for one in (spec, replace(spec, endpoints=ends)):
        ours = CodeFlow(one)

        assert ours.end_session_url(id_token_hint=None, post_logout_redirect_uri=CALLBACK, state="s") is None


@pytest.mark.parametrize("more", [{"expires_in": "never"}, {"expires_in": {"a": 1}}, {"expires_at": []}, {"scope": 7}])
def test_unused_members_of_the_answer_keep_no_one_out(theirs: MisbehavingProvider, more: dict[str, Any]) -> None:
    theirs.respond["/token"] = lambda _: as_json({**BEARER, **more})

    assert complete(CodeFlow(spec_of(theirs))).identity.subject == "7"


def test_an_infinite_lifetime_keeps_no_one_out(theirs: MisbehavingProvider) -> None:
    body = b'{"access_token": "token", "token_type": "bearer", "expires_in": 1e999}'
    theirs.respond["/token"] = lambda _: Answer(body)

    assert complete(CodeFlow(spec_of(theirs))).identity.subject == "7"


def test_a_token_without_a_type_is_a_bearer_token(theirs: MisbehavingProvider) -> None:
    theirs.respond["/token"] = lambda _: as_json({"access_token": "token"})

    assert complete(CodeFlow(spec_of(theirs))).identity.subject == "7"
