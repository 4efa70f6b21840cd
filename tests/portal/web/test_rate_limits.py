"""Rate limits per client."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from portal.contract import TrustedProxies, read_network
from portal.web.rate_limits import RateLimits, key_of_address, limit_of_route, limits_of
from tests.builders import an_identity, settings_for
from tests.portal.web.deployment import NAVIGATION, OWN, TESS, Deployment, field_of

FEW = RateLimits(sign_in="2 per minute", callback="2 per minute", launch="2 per minute")


@pytest.fixture
def busy(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, limits=FEW)


def statuses(deployment: Deployment, path: str, times: int) -> list[int]:
    browser = deployment.browser()
    return [browser.get(path).status_code for _ in range(times)]


def test_beginning_and_finishing_sign_ins_is_limited(busy: Deployment) -> None:
    assert statuses(busy, "/sign-in", 3) == [200, 200, 429]
    assert statuses(busy, "/auth/oauth/company", 3) == [303, 303, 429]
    assert statuses(busy, "/auth/oauth/company/callback", 3) == [400, 400, 429]
    assert statuses(busy, "/healthz", 5) == [200] * 5


def test_a_request_over_the_limit_gets_a_page_and_retry_after(busy: Deployment) -> None:
    browser = busy.browser()
    answers = [browser.get("/sign-in") for _ in range(3)]
    assert "Too many requests" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_an_office_behind_one_address_signs_in(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits=limits_of(settings_for(tmp_path)))
    for number in range(130):
        deployment.signed_in(an_identity(subject=f"employee-{number}"))


def test_the_sign_in_limit_is_a_setting(tmp_path: Path) -> None:
    limits = limits_of(settings_for(tmp_path, sign_ins_per_minute=7))
    assert limits == RateLimits(sign_in="7 per minute", callback="7 per minute")


def test_workers_of_one_machine_count_together(tmp_path: Path) -> None:
    one, other = Deployment(tmp_path, limits=FEW), Deployment(tmp_path, limits=FEW)
    assert [deployment.browser().get("/sign-in").status_code for deployment in (one, other, one, other)] == [
        200,
        200,
        429,
        429,
    ]


def test_launches_are_counted_by_sign_in_so_an_office_behind_one_address_can_work(tmp_path: Path) -> None:
    deployment = Deployment(
        tmp_path, limits=RateLimits(sign_in="99 per minute", callback="99 per minute", launch="2 per minute")
    )
    ana, tess = deployment.signed_in(), deployment.signed_in(TESS)
    launches = [ana.get("/apps/forecast/.portal/launch", headers=NAVIGATION) for _ in range(3)]
    assert [answer.status_code for answer in launches] == [200, 200, 429]
    assert "frame-ancestors 'self'" in launches[-1].headers["Content-Security-Policy"]
    assert tess.get("/apps/admin-dashboard/.portal/launch", headers=NAVIGATION).status_code == 200


def test_no_page_or_form_of_a_person_can_be_asked_for_without_end(tmp_path: Path) -> None:
    """Each leaves something in the record."""
    deployment = Deployment(tmp_path, limits=RateLimits(page="2 per minute", change="2 per minute"))
    browser = deployment.signed_in(TESS)
    assert [browser.get(f"/apps/no-{at}/").status_code for at in range(3)] == [404, 404, 429]
    csrf = field_of(browser.get("/account"), "csrf")
    forms = [browser.post("/tenant", data={"csrf": csrf, "tenant": at}, headers=OWN) for at in ("acme", "beta", "acme")]
    assert [answer.status_code for answer in forms] == [303, 303, 429]


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        ("/sign-in", FEW.sign_in),
        ("/auth/oauth/<provider>", FEW.sign_in),
        ("/auth/oauth/<provider>/callback", FEW.callback),
        ("/auth/oauth/<provider>/backchannel-logout", FEW.logout),
        ("/auth/oauth/<provider>/frontchannel-logout", FEW.logout),
        ("/auth/callback", FEW.callback),
        ("/login/callback", FEW.callback),
        ("/apps/<slug>/.portal/launch", FEW.launch),
        ("/apps/<slug>/", FEW.page),
        ("/apps/<slug>/<path:rest>", FEW.page),
        ("/tenant", FEW.change),
        ("/account/sign-ins/<sign_in_id>/end", FEW.change),
        ("/sign-out", FEW.change),
        ("/", None),
        ("/oauth/introspect", None),
    ],
)
def test_each_route_has_its_own(rule: str, limit: str | None) -> None:
    assert limit_of_route(rule, FEW) == limit


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        (None, "unknown"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        pytest.param("2001:db8:1:2:ffff::1", "2001:db8:1:2::", id="one customer, many addresses"),
    ],
)
def test_rate_limit_keys(address: str | None, counted: str) -> None:
    assert key_of_address(None if address is None else ip_address(address)) == counted


def test_clients_behind_a_trusted_server_are_counted_one_by_one_and_what_they_write_themselves_is_not(
    tmp_path: Path,
) -> None:
    deployment = Deployment(tmp_path, limits=FEW, trusted_proxies=TrustedProxies((read_network("10.0.0.0/8"),)))
    browser = deployment.browser()

    def ask(peer: str, forwarded: str) -> int:
        answer = browser.get(
            "/sign-in", environ_overrides={"REMOTE_ADDR": peer}, headers={"X-Forwarded-For": forwarded}
        )
        return answer.status_code

    assert [ask("10.0.0.2", f"198.51.100.{number}, 203.0.113.7") for number in range(3)] == [200, 200, 429]
    assert ask("10.0.0.2", "203.0.113.8") == 200
    assert [ask("192.0.2.9", f"198.51.100.{number}") for number in range(3)] == [200, 200, 429]
