"""A round of notifications: their address, their content, and how long an app may delay them."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from portal.access.audit import Audit
from portal.access.notifications import ALL, TOGETHER, Notifier, interleave, recipient_of
from portal.access.revocation import PendingNotification
from portal.access.signing_keys import SigningKeys
from portal.contract import verify_logout_token
from portal.contract.egress import Egress
from portal.contract.guard_paths import LOGOUT_PATH
from portal.http_client import client_settings_for
from portal.rules.catalogue import AppSpec, Catalogue
from portal.settings import Secret
from portal.storage.database import Database
from tests.builders import NOW, PORTAL, an_app
from tests.certificates import issue
from tests.portal.access.listening_app import ListeningApp, listening, nobody_listening
from tests.portal.store_deployment import a_sealer
from tests.provider.forward_proxy import forward_proxy
from tests.provider.misbehaving import Answer, misbehaving_provider


def a_notification(number: int = 1, *, app: str = "forecast") -> PendingNotification:
    return PendingNotification(id=f"notification-{number}", app=app, session=f"session-{number}")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    database = Database(Secret(f"sqlite:///{tmp_path / 'keys.db'}"))
    database.upgrade()
    return SigningKeys(database, a_sealer(), Audit(database))


def notify(keys: SigningKeys, app: AppSpec, *notifications: PendingNotification) -> frozenset[str]:
    notifier = Notifier(Catalogue((app,)), issuer=PORTAL)
    return notifier.notify(notifications or (a_notification(),), key=keys.signing_key(NOW), now=NOW)


def hold(released: threading.Event) -> None:
    released.wait(60)


def local(app: ListeningApp) -> AppSpec:
    return an_app(url=f"http://forecast.demo.localhost:{app.port}")


@pytest.mark.parametrize(
    ("url", "internal_url", "expected"),
    [
        ("https://f.example.com", None, ("https://f.example.com" + LOGOUT_PATH, "f.example.com", None, False)),
        ("https://f.example.com/f", None, ("https://f.example.com/f" + LOGOUT_PATH, "f.example.com", None, False)),
        (
            "https://f.example.com",
            "http://127.0.0.1:7871",
            ("http://127.0.0.1:7871" + LOGOUT_PATH, "f.example.com", None, True),
        ),
        (
            "https://f.example.com/f",
            "https://10.0.0.7:8443/f/",
            ("https://10.0.0.7:8443/f" + LOGOUT_PATH, "f.example.com", None, True),
        ),
        (
            "https://f.example.com/f",
            "http://127.0.0.1:7871",
            ("http://127.0.0.1:7871/f" + LOGOUT_PATH, "f.example.com", None, True),
        ),
        ("http://f.localhost:7871", None, ("http://127.0.0.1:7871" + LOGOUT_PATH, "f.localhost:7871", None, True)),
        ("http://localhost", None, ("http://127.0.0.1" + LOGOUT_PATH, "localhost", None, True)),
        ("https://f.localhost:1", None, ("https://127.0.0.1:1" + LOGOUT_PATH, "f.localhost:1", "f.localhost", True)),
        ("http://[::1]:7871", None, ("http://[::1]:7871" + LOGOUT_PATH, "[::1]:7871", None, True)),
        (
            "https://localhost.evil.test",
            None,
            ("https://localhost.evil.test" + LOGOUT_PATH, "localhost.evil.test", None, False),
        ),
    ],
)
def test_a_notification_goes_to_the_internal_address_under_the_public_name(
    url: str, internal_url: str | None, expected: tuple[str, str, str | None, bool]
) -> None:
    place = recipient_of(an_app(url=url, internal_url=internal_url))

    assert (place.url, place.host, place.server_name, place.is_internal) == expected


def test_the_app_receives_a_logout_token_for_its_session(keys: SigningKeys) -> None:
    with listening() as app:
        assert notify(keys, local(app)) == {"notification-1"}
        ((path, host, text),) = app.received

    token = verify_logout_token(text, keys=keys.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW, leeway=0)
    assert (path, host) == (LOGOUT_PATH, f"forecast.demo.localhost:{app.port}")
    assert token.session == "session-1"


def test_each_notification_has_its_own_token(keys: SigningKeys) -> None:
    with listening() as app:
        notify(keys, local(app), a_notification(1), a_notification(2))
        tokens = [
            verify_logout_token(text, keys=keys.key_set(NOW), issuer=PORTAL, audience="forecast", now=NOW)
            for text in app.tokens
        ]

    assert {token.session for token in tokens} == {"session-1", "session-2"}
    assert len({token.id for token in tokens}) == 2


@pytest.mark.parametrize(("status", "delivered"), [(200, True), (204, True), (302, False), (400, False), (503, False)])
def test_only_a_success_status_counts(keys: SigningKeys, status: int, delivered: bool) -> None:  # noqa: FBT001 - an expectation
    with listening() as app:
        app.status = status

        assert bool(notify(keys, local(app))) is delivered
        assert [path for path, _, _ in app.received] == [LOGOUT_PATH]


def test_an_app_that_is_down_is_to_be_tried_again(keys: SigningKeys) -> None:
    with nobody_listening() as port:
        assert notify(keys, an_app(url=f"http://127.0.0.1:{port}")) == frozenset()


@pytest.mark.parametrize("url", ["http://no-such-name.invalid", "http://127.0.0.1:1\x7f", "ftp://127.0.0.1"])
def test_an_address_that_leads_nowhere_fails_quietly(keys: SigningKeys, url: str) -> None:
    assert notify(keys, an_app(url=url)) == frozenset()


def test_an_app_that_left_the_catalogue_is_not_to_be_tried_again(keys: SigningKeys) -> None:
    assert notify(keys, an_app(), a_notification(app="gone")) == {"notification-1"}


def test_an_app_that_answers_byte_by_byte_delays_no_other(keys: SigningKeys) -> None:
    """
    Each byte comes before a time-out between bytes would; the time for the whole ends it, and the answer is an error.
    """
    released = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        while not released.wait(0.1):
            handler.wfile.write(b"H")

    with listening() as slow, listening() as quick:
        slow.before = drip
        apps = (
            an_app(slug="slow", url=f"http://slow.localhost:{slow.port}"),
            an_app(slug="quick", url=f"http://quick.localhost:{quick.port}"),
        )
        notifier = Notifier(Catalogue(apps), issuer=PORTAL)
        notifications = (*(a_notification(number, app="slow") for number in range(8)), a_notification(99, app="quick"))
        begun = time.monotonic()
        delivered = notifier.notify(notifications, key=keys.signing_key(NOW), now=NOW)
        took = time.monotonic() - begun
        released.set()

    assert delivered == {"notification-99"}
    assert took < 4 * ALL


def test_more_than_fit_into_one_round_are_left_for_the_next(keys: SigningKeys) -> None:
    released = threading.Event()
    with listening() as app:
        app.before = lambda _handler: hold(released)
        begun = time.monotonic()
        delivered = notify(keys, local(app), *(a_notification(number) for number in range(150)))
        took = time.monotonic() - begun
        released.set()

    assert delivered == frozenset()
    assert len(app.received) <= TOGETHER
    assert took < 4 * ALL


def test_a_proxy_of_the_environment_does_not_see_notifications_on_this_machine(
    keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nobody_listening() as port, listening() as app:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)

        assert notify(keys, local(app)) == {"notification-1"}


def test_a_notification_beyond_this_machine_uses_the_proxy_and_one_to_an_internal_address_does_not(
    keys: SigningKeys,
) -> None:
    far, near = "https://forecast.corp.example", "https://10.255.255.1:8443"
    with forward_proxy() as proxy:
        egress = Egress(proxy=proxy.url)
        for app in (an_app(url=far), an_app(url=far, internal_url=near)):
            way = client_settings_for(recipient_of(app).url, egress, is_internal=recipient_of(app).is_internal)
            assert (way.proxy is None) == (app.internal_url == near)
        notifier = Notifier(Catalogue((an_app(url=far),)), issuer=PORTAL, egress=egress)
        assert notifier.notify((a_notification(),), key=keys.signing_key(NOW), now=NOW) == frozenset()
    assert proxy.asked == ["CONNECT forecast.corp.example:443"]


def test_a_notification_is_delivered_only_with_a_certificate_of_the_company(
    keys: SigningKeys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = issue(tmp_path, ["forecast.demo.localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with misbehaving_provider(tls=context) as there:
        there.respond[LOGOUT_PATH] = lambda _: Answer(b"")
        app = an_app(url=f"https://forecast.demo.localhost:{there.port}")
        delivered = [
            Notifier(Catalogue((app,)), issuer=PORTAL, egress=egress).notify(
                (a_notification(),), key=keys.signing_key(NOW), now=NOW
            )
            for egress in (Egress(authorities=certificate.authority), Egress())
        ]

    assert delivered == [{"notification-1"}, frozenset()]
    assert "its certificate is not trusted: self-signed certificate in certificate chain" in caplog.text


def test_a_proxy_that_cannot_be_used_keeps_notifications_for_later(
    keys: SigningKeys, caplog: pytest.LogCaptureFixture
) -> None:
    egress = Egress(proxy="socks5://me:secret@proxy.example.com")
    notifier = Notifier(Catalogue((an_app(),)), issuer=PORTAL, egress=egress)

    assert notifier.notify((a_notification(),), key=keys.signing_key(NOW), now=NOW) == frozenset()
    assert "proxy or certificates are wrong: is a SOCKS proxy" in caplog.text
    assert "secret" not in caplog.text


def test_each_app_has_its_turn() -> None:
    notifications = [PendingNotification(id=f"{app}{at}", app=app, session="s") for app in "aab" for at in range(2)]
    assert [one.id for one in interleave([*notifications, *notifications[4:]])] == [
        "a0",
        "b0",
        "a1",
        "b1",
        "a0",
        "b0",
        "a1",
        "b1",
    ]
