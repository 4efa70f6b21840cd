"""Behind a company's proxy, with certificates of the company's own authority."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from portal.contract.egress import Egress, read_egress
from portal.errors import ProviderNotBelieved, ProviderUnavailable, ProxyUnavailable
from portal.http_client import client_settings_for
from portal.settings import Endpoints
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.ssrf_policy import SsrfPolicy, ssrf_policy_of
from portal.sign_in.providers.transport import Limits, Transport
from tests.builders import NOW, a_provider
from tests.certificates import Certificate, issue
from tests.portal.access.listening_app import nobody_listening
from tests.provider.browser import Browser, Portal, reference_in
from tests.provider.forward_proxy import PASSWORD, ForwardProxy, forward_proxy
from tests.provider.misbehaving import Answer, MisbehavingProvider, Request, misbehaving_provider

ISSUER = "https://id.corp.example"
SPEC = a_provider(issuer=ISSUER)
PATIENT = Limits(connect=60, read=60, total=60)
CALLBACK = "https://portal.example.com/auth/oauth/company/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A provider that only a proxy can connect to, and its certificate."""

    theirs: MisbehavingProvider
    proxy: ForwardProxy
    certificate: Certificate


def server_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    certificate = issue(tmp_path, ["id.corp.example", "keys.corp.example", "localhost"])
    with ExitStack() as stack:
        theirs = stack.enter_context(misbehaving_provider(issuer=ISSUER, tls=server_context(certificate)))
        proxy = stack.enter_context(forward_proxy())
        proxy.names["id.corp.example:443"] = theirs.port
        proxy.wants_password = True
        yield Company(theirs=theirs, proxy=proxy, certificate=certificate)


def ours(egress: Egress) -> CodeFlow:
    return CodeFlow(SPEC, limits=PATIENT, egress=egress)


def the_way(company: Company, **changes: str) -> Egress:
    return read_egress({"HTTPS_PROXY": company.proxy.url, **changes}, authorities=company.certificate.authority)


def test_a_sign_in_goes_through_the_proxy_and_nothing_of_it_can_be_read_there(company: Company) -> None:
    provider = ours(the_way(company))
    url, attempt = provider.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
    done = provider.complete(attempt, company.theirs.callback_of(url), now=NOW)

    assert done.identity.email == "ana@example.com"
    assert set(company.theirs.asked) >= {"/.well-known/openid-configuration", "/token", "/jwks", "/userinfo"}
    assert set(company.proxy.asked) == {"CONNECT id.corp.example:443"}


def test_the_proxy_may_speak_tls_itself(company: Company) -> None:
    with forward_proxy(tls=server_context(company.certificate)) as proxy:
        proxy.names["id.corp.example:443"] = company.theirs.port
        there = {"HTTPS_PROXY": f"https://localhost:{proxy.port}"}
        egress = read_egress(there, authorities=company.certificate.authority)

        assert ours(egress).diagnostics().problem is None
        with httpx.Client(**client_settings_for(ISSUER, egress, is_internal=False).keywords()) as client:
            assert client.get(f"{ISSUER}/jwks").status_code == 200
        said = ours(read_egress(there)).diagnostics().problem or ""
    assert f"through the proxy localhost:{proxy.port}: its certificate is not trusted" in said


def test_the_bundle_of_the_environment_does_as_well(company: Company) -> None:
    egress = read_egress({"ALL_PROXY": company.proxy.url, "REQUESTS_CA_BUNDLE": str(company.certificate.authority)})

    assert ours(egress).diagnostics().problem is None


def test_the_password_of_the_proxy_stays_with_the_proxy(company: Company) -> None:
    seen: list[dict[str, str]] = []

    def respond(request: Request) -> Answer:
        seen.append(request.headers)
        return Answer(b"{}")

    company.theirs.respond["/a"] = respond
    transport = Transport(PATIENT, ssrf_policy=ssrf_policy_of(SPEC), egress=the_way(company))
    transport.get_object(f"{ISSUER}/a", budget=transport.budget())

    assert [name for name in seen[0] if "auth" in name] == []
    assert PASSWORD not in repr(transport.egress)


def test_an_untrusted_certificate_is_named(company: Company) -> None:
    provider = ours(read_egress({"HTTPS_PROXY": company.proxy.url}))

    for _ in range(2):  # the second is answered from memory, and says the same
        with pytest.raises(ProviderNotBelieved) as caught:
            provider.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
        assert caught.value.code == "provider-not-believed"
    assert "its certificate is not trusted: self-signed certificate in certificate chain" in (
        ours(read_egress({"HTTPS_PROXY": company.proxy.url})).diagnostics().problem or ""
    )


def test_a_certificate_of_another_name_is_named(company: Company) -> None:
    company.proxy.names["other.corp.example:443"] = company.theirs.port
    transport = Transport(PATIENT, ssrf_policy=ssrf_policy_of(SPEC), egress=the_way(company))

    with pytest.raises(ProviderNotBelieved, match="Hostname mismatch"):
        transport.get_object("https://other.corp.example/", budget=transport.budget())


def test_a_proxy_that_is_down_refuses_or_knows_no_such_name_is_named_without_its_password(company: Company) -> None:
    def said(egress: Egress, url: str = ISSUER) -> str:
        transport = Transport(PATIENT, ssrf_policy=ssrf_policy_of(SPEC), egress=egress)
        with pytest.raises(ProxyUnavailable) as caught:
            transport.get_object(url, budget=transport.budget())
        assert PASSWORD not in str(caught.value)
        return str(caught.value)

    proxy = f"127.0.0.1:{company.proxy.port}"
    authorities = company.certificate.authority
    anonymous = read_egress({"HTTPS_PROXY": f"http://{proxy}"}, authorities=authorities)
    assert said(anonymous) == f"GET {ISSUER}: the proxy {proxy} refused with status 407"
    unknown = "https://unknown.corp.example/"
    assert said(the_way(company), unknown) == f"GET {unknown}: the proxy {proxy} refused with status 502"
    with nobody_listening() as port:
        down = read_egress({"HTTPS_PROXY": f"http://me:{PASSWORD}@127.0.0.1:{port}"}, authorities=authorities)
        assert said(down) == f"GET {ISSUER}: through the proxy 127.0.0.1:{port}: the connection was refused"
    assert "misconfigured" in said(Egress(proxy="socks5://127.0.0.1:1"))
    assert "misconfigured" in said(Egress(authorities=Path("/nowhere.pem")))


def test_a_redirect_is_no_more_followed_than_without_a_proxy(company: Company) -> None:
    company.theirs.respond["/a"] = lambda _: Answer(b"", 302, {"Location": "http://169.254.169.254/latest/"})
    transport = Transport(PATIENT, ssrf_policy=ssrf_policy_of(SPEC), egress=the_way(company))

    with pytest.raises(ProviderUnavailable, match="redirects"):
        transport.get_object(f"{ISSUER}/a", budget=transport.budget())
    assert company.proxy.asked == ["CONNECT id.corp.example:443"]


@pytest.mark.parametrize(
    "endpoint", ["http://10.0.0.7/token", "http://127.0.0.1:1/token", "http://id.corp.example/token"]
)
def test_metadata_cannot_lead_the_proxy_anywhere_in_plain_http(company: Company, endpoint: str) -> None:
    """
    The proxy is within the company: a provider must not make it call internal addresses for the portal.
    """
    company.theirs.metadata["token_endpoint"] = endpoint

    with pytest.raises(ProviderUnavailable, match="must be an https URL"):
        ours(the_way(company)).begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
    assert set(company.proxy.asked) == {"CONNECT id.corp.example:443"}


def test_where_a_name_leads_is_the_proxys_word(company: Company) -> None:
    """
    The proxy resolves host names, so the portal cannot check where they point.
    """
    company.proxy.names["keys.corp.example:443"] = company.theirs.port
    company.theirs.metadata["jwks_uri"] = "https://keys.corp.example/jwks"

    assert ours(the_way(company)).diagnostics().problem is None
    assert "CONNECT keys.corp.example:443" in company.proxy.asked


@pytest.mark.parametrize(
    "host", ["10.0.0.7", "169.254.169.254", "[fd00::7]", "[::ffff:10.0.0.7]", "167772167", "0xa.7"]
)
def test_metadata_cannot_lead_the_proxy_to_a_private_number(company: Company, host: str) -> None:
    company.theirs.metadata["jwks_uri"] = f"https://{host}/jwks"

    assert "its metadata leads to" in (ours(the_way(company)).diagnostics().problem or "")
    assert set(company.proxy.asked) == {"CONNECT id.corp.example:443"}


def test_a_number_that_the_configuration_names_may_be_asked_for_at_the_proxy(company: Company) -> None:
    transport = Transport(PATIENT, ssrf_policy=SsrfPolicy({"10.0.0.7"}), egress=the_way(company))

    with pytest.raises(ProxyUnavailable):  # it knows no such place
        transport.get_object("https://10.0.0.7/", budget=transport.budget())
    assert company.proxy.asked == ["CONNECT 10.0.0.7:443"]


def test_plain_oauth_goes_the_same_way(company: Company) -> None:
    ends = Endpoints(authorize=f"{ISSUER}/authorize", token=f"{ISSUER}/token", userinfo=f"{ISSUER}/userinfo")
    spec = a_provider(issuer=ISSUER, provider_type="generic", endpoints=ends)

    def client_problem(egress: Egress) -> str | None:
        return CodeFlow(spec, limits=PATIENT, egress=egress).diagnostics(redirect_uri=CALLBACK).client_problem

    assert client_problem(the_way(company)) is None
    assert set(company.proxy.asked) == {"CONNECT id.corp.example:443"}
    said = client_problem(read_egress({"HTTPS_PROXY": company.proxy.url})) or ""
    assert said.startswith(f"POST {ISSUER}/token: ")
    assert "its certificate is not trusted" in said


def test_an_exchange_keeps_its_code_of_what_is_wrong_on_the_way(company: Company) -> None:
    provider = ours(the_way(company))
    url, attempt = provider.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
    callback = company.theirs.callback_of(url)
    company.proxy.names.clear()

    with pytest.raises(ProxyUnavailable, match=r"^POST https://id\.corp\.example/token: "):
        provider.complete(attempt, callback, now=NOW)


def test_this_machine_is_never_asked_for_at_the_proxy(company: Company) -> None:
    with misbehaving_provider() as here:
        transport = Transport(PATIENT, ssrf_policy=SsrfPolicy({"127.0.0.1"}), egress=the_way(company))
        transport.get_object(f"{here.issuer}/jwks", budget=transport.budget())
    assert company.proxy.asked == []


def test_the_environment_of_the_moment_counts_for_nothing(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Settings are read once; the variables that requests reads at each call have no effect.
    """
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/nowhere")

    assert ours(the_way(company)).diagnostics().problem is None


@pytest.mark.parametrize(
    ("password", "code", "heading"),
    [
        (PASSWORD, "provider-not-believed", "The connection to your sign-in provider is not secure"),
        ("an-old-one", "proxy-unavailable", "Your sign-in provider cannot be reached"),
    ],
)
def test_a_person_reads_a_page_and_the_operator_the_reason(
    company: Company,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    password: str,
    code: str,
    heading: str,
) -> None:
    portal = Portal(tmp_path)
    proxy = company.proxy.url.replace(PASSWORD, password)
    portal.providers["company"] = ours(read_egress({"HTTPS_PROXY": proxy}))
    with caplog.at_level(logging.ERROR, "portal.errors"):
        answer = Browser(portal).get("/auth/oauth/company")

    assert answer.status_code == 502
    assert heading in answer.text
    assert reference_in(answer)
    assert "127.0.0.1" not in answer.text
    [line] = [record.getMessage() for record in caplog.records if record.name == "portal.errors"]
    assert line.startswith(f"{code}: GET {ISSUER}/.well-known/openid-configuration: ")
    assert password not in line
