"""Every API call of every provider type, with the worst answers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from portal.errors import ProviderUnavailable
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.base import TRUNCATED, ApiCall
from portal.sign_in.providers.api_calls import with_answers
from portal.sign_in.providers.ssrf_policy import SsrfPolicy
from portal.sign_in.providers.transport import Budget, Limits, Transport
from tests.builders import a_provider
from tests.provider.misbehaving import Answer, MisbehavingProvider, Request, as_json, misbehaving_provider
from tests.provider.mischief import answers, slow, unwanted

CALLS: dict[str, ApiCall] = {
    f"{provider_type.id}: {call.name}": call
    for provider_type in PROVIDER_TYPES.values()
    for call in provider_type.calls
}
PATIENT = Limits(read=60, total=60)
HURRIED = Limits(read=0.5, total=2)
PATH = "/api"


class Clock:
    """A monotonic clock that the provider moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


@pytest.fixture
def theirs(server: MisbehavingProvider) -> MisbehavingProvider:
    server.respond.clear()
    server.requests.clear()
    return server


def asked(call: ApiCall, theirs: MisbehavingProvider, *, limits: Limits = PATIENT) -> dict[str, object]:
    """Make *call* at *theirs*, and return the claims with its answer."""
    here = replace(call, url=lambda _: f"{theirs.issuer}{PATH}", needed=lambda _: True)
    transport = Transport(limits, ssrf_policy=SsrfPolicy({"127.0.0.1"}))
    with transport.request() as budget:
        return with_answers(
            {call.name: "of the token"},
            calls=[here],
            spec=a_provider(),
            access_token="access-token",
            transport=transport,
            budget=budget,
        )


def page_of(call: ApiCall, *, following: str | None) -> Answer:
    """Return an answer of the kind that *call* expects, with a link to the next page."""
    if not call.pages:
        return as_json({})
    if call.is_odata:
        return as_json({"value": [], **({} if following is None else {"@odata.nextLink": following})})
    answer = as_json([])
    link = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return replace(answer, headers={**answer.headers, **link})


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
class TestEveryCall:
    def test_it_is_asked_with_the_token_in_the_header(self, theirs: MisbehavingProvider, call: ApiCall) -> None:
        theirs.respond[PATH] = lambda _: page_of(call, following=None)
        known = asked(call, theirs)
        (request,) = theirs.requests

        assert request.headers["authorization"] == "Bearer access-token"
        assert "access-token" not in request.query
        assert known[call.name] == ([] if call.pages else {})

    def test_no_bad_answer_passes_for_one(self, theirs: MisbehavingProvider, call: ApiCall) -> None:
        for name, prepare in unwanted(PATH).items():
            if name == "a list" and call.pages and not call.is_odata:
                continue
            prepare(theirs)
            with pytest.raises(ProviderUnavailable) as caught:
                asked(call, theirs)
            assert "access-token" not in str(caught.value), name

    def test_a_refusal_leaves_nothing_or_fails(self, theirs: MisbehavingProvider, call: ApiCall) -> None:
        """A claim of that name in a token is not used instead."""
        for status in (401, 403, 404):
            answers(PATH, as_json({}, status=status))(theirs)
            if status in call.refusals:
                assert call.name not in asked(call, theirs)
            else:
                with pytest.raises(ProviderUnavailable):
                    asked(call, theirs)

    def test_silence_is_given_up(self, theirs: MisbehavingProvider, call: ApiCall) -> None:
        slow(PATH)["silence"](theirs)

        with pytest.raises(ProviderUnavailable):
            asked(call, theirs, limits=HURRIED)

    @pytest.mark.parametrize("elsewhere", ["https://evil.test/api", "//evil.test/api", "http://127.0.0.1:1/api"])
    def test_the_token_stays_where_it_belongs(self, theirs: MisbehavingProvider, call: ApiCall, elsewhere: str) -> None:
        theirs.respond[PATH] = lambda _: page_of(call, following=elsewhere)
        if call.pages:
            with pytest.raises(ProviderUnavailable, match="another origin"):
                asked(call, theirs)
        else:
            assert asked(call, theirs)[call.name] == {}


@pytest.mark.parametrize("call", [call for call in CALLS.values() if call.pages], ids=lambda call: call.name)
def test_what_goes_on_beyond_the_last_page_is_reported(theirs: MisbehavingProvider, call: ApiCall) -> None:
    theirs.respond[PATH] = lambda _: page_of(call, following=f"{theirs.issuer}{PATH}")
    known = asked(call, theirs)

    assert len(theirs.requests) == call.pages
    assert known == {call.name: [], TRUNCATED: [call.name]}


def test_no_token_can_say_so(theirs: MisbehavingProvider) -> None:
    given: dict[str, Any] = {
        "spec": a_provider(),
        "access_token": "x",
        "transport": Transport(PATIENT, ssrf_policy=SsrfPolicy({})),
    }

    assert with_answers({TRUNCATED: ["memberships"], "sub": "s"}, calls=[], budget=Budget(10), **given) == {"sub": "s"}
    assert not theirs.requests


def test_all_pages_share_one_budget(theirs: MisbehavingProvider) -> None:
    """Each of them in time, and all of them too much."""
    call = next(call for call in CALLS.values() if call.pages and not call.is_odata)
    clock = Clock()

    def respond(_: Request) -> Answer:
        clock.seconds += 4
        return page_of(call, following=f"{theirs.issuer}{PATH}")

    theirs.respond[PATH] = respond
    here = replace(call, url=lambda _: f"{theirs.issuer}{PATH}", pages=10)
    transport = Transport(PATIENT, ssrf_policy=SsrfPolicy({"127.0.0.1"}))
    given: dict[str, Any] = {"spec": a_provider(), "access_token": "x", "transport": transport}
    with pytest.raises(ProviderUnavailable):
        with_answers({}, calls=[here], budget=Budget(10, monotonic=clock), **given)
    assert 1 <= len(theirs.requests) <= 3
