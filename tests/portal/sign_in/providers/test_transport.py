import threading
from collections.abc import Iterator

import pytest

from portal.errors import ProviderUnavailable
from portal.sign_in.providers.ssrf_policy import SsrfPolicy
from portal.sign_in.providers.transport import Budget, Limits, Transport
from tests.provider.misbehaving import Answer, MisbehavingProvider, Request, as_json, misbehaving_provider

HERE = SsrfPolicy({"127.0.0.1"})


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


class TestGetObject:
    def test_an_object_comes_back(self, theirs: MisbehavingProvider) -> None:
        theirs.respond["/a"] = lambda _: as_json({"b": 1})
        transport = Transport(Limits(read=60, total=60), ssrf_policy=HERE)

        assert transport.get_object(f"{theirs.issuer}/a", budget=transport.budget()) == {"b": 1}

    @pytest.mark.parametrize(("length", "fits"), [(1000, True), (1001, False)])
    def test_an_answer_may_be_so_long_and_no_longer(
        self,
        theirs: MisbehavingProvider,
        length: int,
        fits: bool,  # noqa: FBT001 - one column of the table
    ) -> None:
        theirs.respond["/a"] = lambda _: Answer(b'{"a":"' + b"x" * (length - 8) + b'"}')
        transport = Transport(Limits(read=60, total=60, largest=1000), ssrf_policy=HERE)

        if fits:
            assert transport.get_object(f"{theirs.issuer}/a", budget=transport.budget())
        else:
            with pytest.raises(ProviderUnavailable, match="longer than 1000"):
                transport.get_object(f"{theirs.issuer}/a", budget=transport.budget())

    def test_credentials_of_the_machine_are_not_sent(self, theirs: MisbehavingProvider) -> None:
        """
        requests reads ~/.netrc by default.
        """
        seen: list[dict[str, str]] = []

        def respond(request: Request) -> Answer:
            seen.append(request.headers)
            return as_json({})

        theirs.respond["/a"] = respond
        transport = Transport(Limits(read=60, total=60), ssrf_policy=HERE)
        transport.get_object(f"{theirs.issuer}/a", budget=transport.budget())

        assert "authorization" not in seen[0]
        assert "cookie" not in seen[0]
        assert seen[0]["accept-encoding"] == "identity"

    def test_no_call_is_made_after_the_budget_is_used_up(self, theirs: MisbehavingProvider) -> None:
        transport = Transport(Limits(), ssrf_policy=HERE)

        with pytest.raises(ProviderUnavailable):
            transport.get_object(f"{theirs.issuer}/a", budget=Budget(-1))

    def test_a_call_that_was_given_up_stops_reading(self, theirs: MisbehavingProvider) -> None:
        """
        Else a body without end would keep its thread, and memory, until it is too long.
        """

        class OfTheOtherThread(Budget):
            def remaining(self) -> float:
                return -1 if threading.current_thread().name == "provider-call" else 60

        theirs.respond["/a"] = lambda _: as_json({})
        transport = Transport(Limits(read=60), ssrf_policy=HERE)

        with pytest.raises(ProviderUnavailable, match="in time"):
            transport.get_object(f"{theirs.issuer}/a", budget=OfTheOtherThread(60))


class TestWithin:
    def test_errors_come_back_as_they_were(self) -> None:
        transport = Transport(Limits(), ssrf_policy=HERE)

        def fail() -> None:
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            transport.within(Budget(60), fail)

    def test_calls_that_were_given_up_still_count(self) -> None:
        """
        A provider that never answers must not fill the process with threads.
        """
        transport = Transport(Limits(at_once=2), ssrf_policy=HERE)
        go_on = threading.Event()
        for _ in range(2):
            with pytest.raises(ProviderUnavailable, match="in time"):
                transport.within(Budget(0.01), go_on.wait)
        with pytest.raises(ProviderUnavailable, match="too many"):
            transport.within(Budget(60), go_on.wait)

        go_on.set()
        for _ in range(1000):  # until the two have ended
            try:
                assert transport.within(Budget(60), lambda: "place") == "place"
            except ProviderUnavailable:
                threading.Event().wait(0.01)
            else:
                return
        pytest.fail("no place came free")


class TestRequest:
    def test_only_so_many_requests_wait_and_the_next_fails(self) -> None:
        """
        A worker's threads serve everything; those that wait for one provider must not be all of them.
        """
        transport = Transport(Limits(waiting=2, queue=0.01), ssrf_policy=HERE)
        with transport.request(), transport.request():
            third = transport.request()
            with pytest.raises(ProviderUnavailable, match="2 requests"):
                third.__enter__()
        with transport.request() as budget:
            assert budget.remaining() > 0

    def test_a_request_that_fails_gives_its_place_back(self) -> None:
        transport = Transport(Limits(waiting=1, queue=0.01), ssrf_policy=HERE)
        for _ in range(3):
            with pytest.raises(LookupError), transport.request():
                raise LookupError

    def test_a_place_that_comes_free_in_time_serves(self) -> None:
        transport = Transport(Limits(waiting=1, queue=60), ssrf_policy=HERE)
        entered, leave = threading.Event(), threading.Event()

        def occupy() -> None:
            with transport.request():
                entered.set()
                leave.wait(60)

        other = threading.Thread(target=occupy)
        other.start()
        entered.wait(60)
        threading.Timer(0.05, leave.set).start()
        with transport.request():
            assert leave.is_set()
        other.join(60)
