"""How often one client may ask."""

from pathlib import Path

import pytest

from portal.limits import Limits, client_address, limit_of_route
from tests.portal.views.house import NAVIGATION, TESS, House

FEW = Limits(sign_in="2 per minute", callback="2 per minute", launch="2 per minute")


@pytest.fixture
def busy(tmp_path: Path) -> House:
    return House(tmp_path, limits=FEW)


def statuses(house: House, path: str, times: int) -> list[int]:
    browser = house.browser()
    return [browser.get(path).status_code for _ in range(times)]


def test_beginning_and_finishing_sign_ins_is_limited(busy: House) -> None:
    assert statuses(busy, "/sign-in", 3) == [200, 200, 429]
    assert statuses(busy, "/auth/oauth/company", 3) == [303, 303, 429]
    assert statuses(busy, "/auth/oauth/company/callback", 3) == [400, 400, 429]
    assert statuses(busy, "/healthz", 5) == [200] * 5


def test_one_too_many_gets_a_page_that_says_when_to_come_back(busy: House) -> None:
    browser = busy.browser()
    answers = [browser.get("/sign-in") for _ in range(3)]
    assert "a lot at once" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_launches_are_counted_by_sign_in_so_an_office_behind_one_address_can_work(tmp_path: Path) -> None:
    house = House(tmp_path, limits=Limits(sign_in="99 per minute", callback="99 per minute", launch="2 per minute"))
    ana, tess = house.signed_in(), house.signed_in(TESS)
    launches = [ana.get("/apps/forecast/launch", headers=NAVIGATION) for _ in range(3)]
    assert [answer.status_code for answer in launches] == [200, 200, 429]
    assert "frame-ancestors 'self'" in launches[-1].headers["Content-Security-Policy"]
    assert tess.get("/apps/admin-dashboard/launch", headers=NAVIGATION).status_code == 200


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        ("/sign-in", FEW.sign_in),
        ("/auth/oauth/<provider>", FEW.sign_in),
        ("/auth/oauth/<provider>/callback", FEW.callback),
        ("/auth/callback", FEW.callback),
        ("/login/callback", FEW.callback),
        ("/apps/<slug>/launch", FEW.launch),
        ("/", None),
        ("/sign-out", None),
        ("/oauth/introspect", None),
    ],
)
def test_each_route_has_its_own(rule: str, limit: str | None) -> None:
    assert limit_of_route(rule, FEW) == limit


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        pytest.param("203.0.113.7", "10.0.0.1", "203.0.113.7", id="a stranger's header is not believed"),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "203.0.113.7", "203.0.113.7"),
        pytest.param("127.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7", id="only the last entry is the server's"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        pytest.param("", "203.0.113.7", "203.0.113.7", id="a Unix socket"),
        (None, None, "unknown"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::"),
        pytest.param("2001:db8:1:2:ffff::1", None, "2001:db8:1:2::", id="one customer, many addresses"),
        pytest.param("::ffff:203.0.113.7", None, "203.0.113.7", id="IPv4 at a socket for both"),
        pytest.param("::ffff:203.0.113.7", "10.0.0.1", "203.0.113.7", id="a stranger there is not believed either"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
    ],
)
def test_who_is_counted(peer: str | None, forwarded: str | None, client: str) -> None:
    assert client_address(peer, forwarded) == client
