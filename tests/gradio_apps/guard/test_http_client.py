"""The guard's calls to a portal behind a company's proxy and a company's authority."""

import json
import logging
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gradio_apps.portal_api import PortalApi
from gradio_apps.runtime.guard import GuardSettingsError, guard_settings_from
from gradio_apps.runtime.guard.http_client import client_settings
from gradio_apps.runtime.guard.portal_client import PortalAway, PortalClient
from gradio_apps.runtime.guard.settings import GuardSettings
from tests.certificates import issue
from tests.gradio_apps.requests import FakeAccess
from tests.portal.contract.forging import KEY, public_jwk
from tests.provider.forward_proxy import PASSWORD, ForwardProxy, forward_proxy
from tests.provider.misbehaving import Answer, MisbehavingProvider, misbehaving_provider

pytestmark = pytest.mark.anyio

PORTAL = "https://portal.corp.example"
APP = {
    "PORTAL_URL": PORTAL,
    "PORTAL_APP": "forecast",
    "PORTAL_APP_URL": "https://forecast.corp.example",
    "PORTAL_APP_SECRET": "a-client-secret-of-the-tests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A portal that only the proxy finds, and the authority of its certificate."""

    proxy: ForwardProxy
    portal: MisbehavingProvider
    authority: Path

    def settings(self, **changes: str) -> GuardSettings:
        """Return a guard's settings as its environment has them."""
        known = {"HTTPS_PROXY": self.proxy.url, "PORTAL_CA_FILE": str(self.authority)}
        return guard_settings_from({**APP, **known, **changes})


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    certificate = issue(tmp_path, ["portal.corp.example", "localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with ExitStack() as stack:
        portal = stack.enter_context(misbehaving_provider(issuer=PORTAL, tls=context))
        keys = json.dumps({"keys": [public_jwk(KEY)]}).encode()
        portal.respond["/.well-known/jwks.json"] = lambda _: Answer(keys)
        proxy = stack.enter_context(forward_proxy())
        proxy.names["portal.corp.example:443"] = portal.port
        proxy.wants_password = True
        yield Network(proxy=proxy, portal=portal, authority=certificate.authority)


async def keys_of(settings: GuardSettings) -> list[str | None]:
    client = PortalClient(settings)
    try:
        return [key.kid for key in (await client.keys()).keys]
    finally:
        await client.aclose()


async def test_the_portal_is_reached_through_the_proxy_with_the_companys_authority(network: Network) -> None:
    assert await keys_of(network.settings()) == [KEY.kid]
    assert network.proxy.asked == ["CONNECT portal.corp.example:443"]


async def test_an_internal_address_is_called_directly(network: Network) -> None:
    """
    The proxy is for the world outside; the secret goes no way it need not go.
    """
    here = f"https://localhost:{network.portal.port}"

    assert await keys_of(network.settings(PORTAL_INTERNAL_URL=here)) == [KEY.kid]
    assert client_settings(network.settings(PORTAL_INTERNAL_URL="https://portal.internal.example")).proxy is None
    assert network.proxy.asked == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PORTAL_CA_FILE": ""}, "its certificate is not trusted: self-signed certificate in certificate chain"),
        ({"HTTPS_PROXY": "http://portal:wrong@127.0.0.1:{port}"}, "the proxy 127.0.0.1:{port} refused with status 407"),
    ],
    ids=["no authority", "no password"],
)
async def test_what_is_in_the_way_is_named_and_no_password(
    network: Network, caplog: pytest.LogCaptureFixture, changes: dict[str, str], message: str
) -> None:
    port = network.proxy.port
    settings = network.settings(**{name: value.format(port=port) for name, value in changes.items()})
    with caplog.at_level(logging.WARNING, "gradio_portal.guard"), pytest.raises(PortalAway):
        await keys_of(settings)

    assert message.format(port=port) in caplog.text
    assert PASSWORD not in caplog.text
    assert "wrong" not in caplog.text
    assert PASSWORD not in repr(settings)


def test_an_apps_own_calls_to_the_portals_api_take_the_same_way(network: Network) -> None:
    network.portal.respond["/api/sign-ins"] = lambda _: Answer(b'{"sign_ins": []}')
    access = FakeAccess(base_url=PORTAL, headers={}, client_settings=client_settings(network.settings()))

    assert PortalApi(access).sign_ins() == ()
    assert network.proxy.asked == ["CONNECT portal.corp.example:443"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HTTPS_PROXY": "socks5://me:secret@proxy:1080"}, "HTTPS_PROXY: is a SOCKS proxy"),
        ({"all_proxy": "http://me:secret@", "HTTPS_PROXY": ""}, "all_proxy: is not just a host"),
        ({"PORTAL_CA_FILE": "/nowhere.pem"}, "PORTAL_CA_FILE: names what cannot be read"),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, "SSL_CERT_FILE: names what cannot be read"),
    ],
    ids=["socks", "no host", "no authorities", "no bundle"],
)
def test_a_way_that_cannot_be_gone_is_a_problem_at_the_start(changes: dict[str, str], named: str) -> None:
    with pytest.raises(GuardSettingsError) as caught:
        guard_settings_from({**APP, **changes})

    assert named in str(caught.value)
    assert "secret@" not in str(caught.value)
    # and none where it is not gone
    nearby = guard_settings_from({**APP, **changes, "PORTAL_INTERNAL_URL": "http://127.0.0.1:7800"})
    assert client_settings(nearby).keywords() == {"proxy": None, "trust_env": False, "verify": False}


def test_nothing_is_read_from_the_environment_at_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    settings = client_settings(guard_settings_from(APP))

    with httpx.Client(**settings.keywords()) as client:
        assert client.trust_env is False
    assert settings.proxy is None
