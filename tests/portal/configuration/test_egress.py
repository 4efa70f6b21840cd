"""The configuration of egress: what is a problem, when, and what ``portal check`` reports."""

from pathlib import Path

import pytest

from portal.cli.egress_report import format_egress
from portal.contract.egress import Egress
from portal.settings import Endpoints
from tests.builders import a_provider, settings_for
from tests.certificates import issue
from tests.portal.configuration.reading import ENVIRON, GOOD, loaded, problems

PROXY = "http://me:secret@proxy.example.com:3128"
LOOPBACK = (
    GOOD.replace("https://portal.example.com", "http://portal.demo.localhost:7800")
    .replace("https://{app}.apps.example.com", "http://{app}.demo.localhost:{port}")
    .replace("https://forecast.apps.example.com", "http://forecast.demo.localhost:7871")
    .replace("https://id.example.com", "http://id.demo.localhost:7999")
)
"""Nothing leaves this machine."""


def with_authorities(text: str) -> str:
    return GOOD.replace("[portal]", f'[portal]\nca_file = "{text}"')


def test_the_companys_authorities_are_found_beside_the_file_or_by_a_variable(tmp_path: Path) -> None:
    authority = issue(tmp_path, ["portal.example.com"]).authority

    assert loaded(tmp_path, with_authorities(authority.name)).egress.authorities == authority
    by_variable = loaded(tmp_path, with_authorities("other.pem"), {**ENVIRON, "PORTAL_CA_FILE": str(authority)})
    assert by_variable.egress.authorities == authority


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file or directory."), ("text", "has no certificate in PEM."), ("", "in PEM.")],
    ids=["missing", "no PEM", "empty"],
)
def test_authorities_that_cannot_be_read_are_a_problem(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)

    [of_file] = problems(tmp_path, with_authorities("ca.pem"))
    [of_variable] = problems(tmp_path, GOOD, {**ENVIRON, "PORTAL_CA_FILE": str(tmp_path / "ca.pem")})
    assert (of_file.key, of_variable.key) == ("portal.ca_file", "PORTAL_CA_FILE")
    assert of_file.what.endswith(said)
    assert [one.what for one in problems(tmp_path, with_authorities("."))] == ["names a folder."]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HTTPS_PROXY": "socks5://me:secret@proxy:1080"}, "is a SOCKS proxy, which is not supported."),
        ({"all_proxy": "http://me:secret@proxy:port"}, "is not an address."),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, "names a place that cannot be read: No such file or directory."),
        ({"REQUESTS_CA_BUNDLE": "/nowhere.pem"}, "names a place that cannot be read: No such file or directory."),
    ],
    ids=["socks", "no address", "no bundle", "no bundle of requests"],
)
def test_what_cannot_be_used_is_a_problem_where_it_is_needed(
    environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    [problem] = problems(tmp_path, GOOD, {**ENVIRON, **environ})

    assert (problem.key, problem.what) == (next(iter(environ)), said)
    assert "secret" not in str(problem)
    assert problems(tmp_path, LOOPBACK, {**ENVIRON, **environ}) == []
    if "SSL" not in problem.key and "CA" not in problem.key:
        assert problems(tmp_path, GOOD, {**ENVIRON, **environ, "NO_PROXY": ".example.com"}) == []


def test_the_summary_says_what_is_called_how(tmp_path: Path) -> None:
    authority = issue(tmp_path, ["portal.example.com"]).authority
    environ = {**ENVIRON, "https_proxy": PROXY, "NO_PROXY": ".apps.example.com", "SSL_CERT_FILE": str(authority)}
    environ["PORTAL_CA_FILE"] = str(authority)

    lines = list(format_egress(loaded(tmp_path, GOOD, environ)))
    assert lines == [
        f"trusted certificate authorities: 1 in {authority}, by SSL_CERT_FILE, and 1 in {authority}",
        "proxy proxy.example.com:3128, by https_proxy; it resolves host names",
        "company: through the proxy",
        "forecast: directly, by NO_PROXY",
    ]
    internal = GOOD.replace("[apps.forecast]", '[apps.forecast]\ninternal_url = "https://10.0.0.7"')
    assert list(format_egress(loaded(tmp_path, internal, environ)))[-1] == "forecast: directly, at its internal_url"


def test_hosts_with_another_route_have_their_own_line(tmp_path: Path) -> None:
    ends = Endpoints(
        authorize="https://id.example.com/a", token="https://id.example.com/t", userinfo="https://api.example.com/u"
    )
    spec = a_provider(provider_type="generic", endpoints=ends)

    def lines(*no_proxy: str) -> list[str]:
        egress = Egress(proxy=PROXY, no_proxy=no_proxy)
        return list(format_egress(settings_for(tmp_path, providers=(spec,), egress=egress)))

    assert f"{spec.id}: through the proxy" in lines()
    assert f"{spec.id}, id.example.com: through the proxy" in lines("api.example.com")
    assert f"{spec.id}, api.example.com: directly, by NO_PROXY" in lines("api.example.com")


def test_the_summary_without_any_setting(tmp_path: Path) -> None:
    assert list(format_egress(settings_for(tmp_path))) == [
        "trusted certificate authorities: the public authorities",
        "no proxy: all calls are direct",
    ]


def test_an_unusable_proxy_that_is_not_needed_is_not_a_problem(tmp_path: Path) -> None:
    egress = Egress(proxy="socks5://me:secret@proxy:1080", bundle=Path("/nowhere.pem"))

    lines = list(format_egress(settings_for(tmp_path, egress=egress)))
    assert (
        lines[0]
        == "trusted certificate authorities: /nowhere.pem (cannot be read: No such file or directory), by SSL_CERT_FILE"
    )
    assert lines[1] == "the proxy of HTTPS_PROXY is a SOCKS proxy, which is not supported; nothing uses it"
