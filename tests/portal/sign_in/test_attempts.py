import random
import string
import zlib
from dataclasses import replace
from typing import ClassVar

import pytest

from portal.contract import MAX_PATH
from portal.errors import AttemptExpired, AttemptUnknown
from portal.settings import Secret
from portal.sign_in.attempts import (
    ATTEMPT_LIFETIME,
    MAX_ATTEMPTS,
    MAX_COOKIES,
    Attempt,
    cookie_name,
    cookies_of,
    find_attempt,
    new_attempt,
    seal_attempt,
    surplus_cookies,
)
from portal.storage.sealing import Sealer
from tests.builders import NOW

SEALER = Sealer([Secret("k" * 43)], purpose="sign-in attempt")
CALLBACK = "https://portal.example.com/auth/oauth/company/callback"


def an_attempt(*, now: int = NOW, return_to: str = "/apps/forecast/") -> Attempt:
    return new_attempt(provider="company", redirect_uri=CALLBACK, return_to=return_to, now=now)


def jar(*attempts: Attempt, secure: bool = True) -> dict[str, str]:
    return {name: value for one in attempts for name, value in seal_attempt(one, secure=secure, seal=SEALER).items()}


def sealed(attempt: Attempt, *, seal: Sealer = SEALER) -> str:
    return "".join(seal_attempt(attempt, secure=True, seal=seal).values())


def noise(length: int) -> str:
    """Return a query that hardly compresses."""
    return "/apps/forecast/?" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=length - 16))


def found(cookies: dict[str, str], state: str, *, now: int = NOW) -> Attempt:
    return find_attempt(cookies, state=state, secure=True, seal=SEALER, now=now)


class TestNewAttempt:
    def test_every_secret_is_fresh_and_none_serves_twice(self) -> None:
        one, other = an_attempt(), an_attempt()
        secrets = [one.state, one.nonce, one.code_verifier, other.state, other.nonce, other.code_verifier]

        assert len(set(secrets)) == 6
        assert all(43 <= len(secret) <= 128 for secret in secrets)  # RFC 7636, section 4.1

    @pytest.mark.parametrize("return_to", [noise(MAX_PATH), "/?" + "%7C" * 1364, "/" + "a" * (MAX_PATH - 1)])
    def test_the_longest_page_to_return_to_finds_place_in_cookies_that_browsers_keep(self, return_to: str) -> None:
        attempt = an_attempt(return_to=return_to)
        cookies = jar(attempt)

        assert all(len(name) + len(value) <= 4096 for name, value in cookies.items())
        assert sum(map(len, cookies.values())) <= MAX_COOKIES
        assert found(cookies, attempt.state) == attempt
        assert cookies_of(attempt.state, [*cookies, "__Host-portal", *jar(an_attempt())], secure=True) == tuple(cookies)


class TestFindAttempt:
    def test_an_attempt_comes_back_as_it_went(self) -> None:
        attempt = an_attempt()

        assert found(jar(attempt), attempt.state) == attempt

    def test_parallel_attempts_do_not_disturb_each_other(self) -> None:
        first, second = an_attempt(), an_attempt()
        cookies = jar(first, second)

        assert found(cookies, first.state) == first
        assert found(cookies, second.state) == second

    @pytest.mark.parametrize("late", [0, 1, 3600])
    def test_an_attempt_expires_exactly_at_the_end_of_its_life(self, late: int) -> None:
        attempt = an_attempt()

        with pytest.raises(AttemptExpired):
            found(jar(attempt), attempt.state, now=NOW + ATTEMPT_LIFETIME + late)

    def test_one_second_earlier_it_is_good(self) -> None:
        attempt = an_attempt()

        assert found(jar(attempt), attempt.state, now=NOW + ATTEMPT_LIFETIME - 1) == attempt

    def test_an_attempt_of_the_future_is_unknown(self) -> None:
        attempt = an_attempt(now=NOW + 61)

        with pytest.raises(AttemptUnknown):
            found(jar(attempt), attempt.state)

    @pytest.mark.parametrize("state", ["other", "", "ö", "\ud800", "x" * 5000])
    def test_another_state_finds_nothing(self, state: str) -> None:
        with pytest.raises(AttemptUnknown):
            found(jar(an_attempt()), state)

    def test_a_cookie_moved_to_another_states_name_is_refused(self) -> None:
        """
        The name holds eight digits of a hash; a collision must not be enough.
        """
        attempt, other = an_attempt(), an_attempt()
        cookies = {cookie_name(other.state, secure=True): sealed(attempt)}

        with pytest.raises(AttemptUnknown):
            found(cookies, other.state)

    TAMPERED: ClassVar = {
        "empty": "",
        "not sealed": "not sealed",
        "not ASCII": "ö",
        "another key": sealed(an_attempt(), seal=Sealer([Secret("x" * 43)], purpose="sign-in attempt")),
        "another purpose": sealed(an_attempt(), seal=Sealer([Secret("k" * 43)], purpose="another purpose")),
        "not compressed": SEALER.seal(b"not json"),
        "not JSON": SEALER.seal(zlib.compress(b"not json")),
        "a list": SEALER.seal(zlib.compress(b"[1]")),
        "a part": SEALER.seal(zlib.compress(b'{"state": "only"}')),
    }

    @pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
    def test_a_cookie_that_was_not_sealed_for_this_is_not_an_attempt(self, tampered: str) -> None:
        attempt = an_attempt()

        with pytest.raises(AttemptUnknown):
            found({cookie_name(attempt.state, secure=True): tampered}, attempt.state)

    def test_one_changed_character_breaks_the_seal(self) -> None:
        attempt = an_attempt()
        name = cookie_name(attempt.state, secure=True)
        whole = sealed(attempt)
        changed = whole[:100] + ("A" if whole[100] != "A" else "B") + whole[101:]

        with pytest.raises(AttemptUnknown):
            found({name: changed}, attempt.state)


class TestCookieName:
    def test_a_secure_portal_pins_the_cookie_to_its_host(self) -> None:
        assert cookie_name("state", secure=True) == f"__Host-{cookie_name('state', secure=False)}"
        assert cookie_name("state", secure=False).startswith("portal-attempt-")

    def test_the_state_itself_does_not_stand_in_it(self) -> None:
        assert "state" not in cookie_name("state", secure=True)


class TestSurplusCookies:
    def surplus(self, cookies: dict[str, str], *, room_for: str = "x" * 400) -> tuple[str, ...]:
        return surplus_cookies(cookies, room_for={"new": room_for}, secure=True, seal=SEALER)

    def test_few_attempts_all_stay(self) -> None:
        assert self.surplus(jar(an_attempt(), an_attempt(now=NOW - 60))) == ()

    def test_the_oldest_give_way(self) -> None:
        attempts = [replace(an_attempt(now=NOW - age), return_to="/", redirect_uri="https://p") for age in range(9)]
        dropped = self.surplus(jar(*attempts), room_for="x")

        assert len(jar(*attempts)) - len(dropped) < MAX_ATTEMPTS
        oldest = [cookie_name(one.state, secure=True) for one in attempts[-len(dropped) :]]
        assert sorted(dropped) == sorted(oldest)

    def test_together_they_stay_shorter_than_a_header_may_be(self) -> None:
        attempts = [an_attempt(now=NOW - age, return_to=noise(1500)) for age in range(5)]
        cookies = jar(*attempts)
        kept = {name: value for name, value in cookies.items() if name not in self.surplus(cookies)}

        assert kept
        assert sum(map(len, kept.values())) + 400 <= MAX_COOKIES

    def test_what_is_in_two_cookies_stays_or_goes_as_a_whole(self) -> None:
        old, new = an_attempt(now=NOW - 60, return_to=noise(MAX_PATH)), an_attempt(return_to=noise(MAX_PATH))
        cookies = jar(old, new)

        assert len(cookies) == 4
        assert set(self.surplus(cookies)) == set(jar(old)) == set(cookies_of(old.state, cookies, secure=True))
        assert set(self.surplus(cookies, room_for="x" * 4000)) == set(cookies)

    def test_a_rest_without_its_beginning_goes(self) -> None:
        assert self.surplus({"__Host-portal-attempt-00000000-rest": "x"}) == ("__Host-portal-attempt-00000000-rest",)

    def test_unreadable_ones_go_and_foreign_cookies_stay(self) -> None:
        cookies = {"__Host-portal-attempt-00000000": "broken", "__Host-portal": "session", "theirs": "x"}

        assert self.surplus(cookies) == ("__Host-portal-attempt-00000000",)
