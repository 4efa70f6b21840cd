"""The tests of the OpenID certification of relying parties, as far as they are about the authorization code flow.

Profiles Basic RP and Config RP, by the names of the first suite (``rp-…``); the suite of today calls them
``oidcc-client-test-…``, and what only it has bears its name.  Each is a whole sign-in, portal and provider, at a
provider that does on purpose what the test is about.

The profiles RP-Initiated and Back-Channel Logout are by the names of the suite of today.

Left out, because the portal does not do it: implicit and hybrid flows (``rp-response_type-id_token`` and the like,
``rp-id_token-bad-c_hash``), dynamic registration and WebFinger, request objects, encrypted and signed userinfo,
``client_secret_jwt`` and ``private_key_jwt``, ``form_post``.  ``rp-id_token-sig-none`` may be refused, and is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from werkzeug.test import TestResponse

from portal.contract.logout_tokens import LOGOUT_EVENT
from portal.rules.identity import Identity
from portal.settings import Secret
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW, PORTAL, a_provider
from tests.provider.browser import Browser, Portal, link_to_provider, reference_in
from tests.provider.misbehaving import MisbehavingProvider, Request, misbehaving_provider
from tests.provider.mischief import METADATA, Prepare, claims, keys, metadata, signs, userinfo
from tests.provider.signing import ACCESS_TOKEN, EC, JWKS, OTHER_RSA, RSA, forged, signed, with_public_key_as_secret

SECRET = "a client secret of forty-eight characters, or more"
OCT = OctKey.import_key(SECRET)
OTHER_EC = ECKey.generate_key("P-256", {"kid": "ec"})
THIRD_RSA = RSAKey.generate_key(2048, {"kid": "third"})
HS256 = {"algorithms": ("HS256",), "client_secret": Secret(SECRET)}
PATIENT = Limits(read=60, total=60)


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in, as both sides saw it."""

    theirs: MisbehavingProvider
    url: str
    """Where the browser was sent."""
    identity: Identity
    """Who is signed in now."""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query)

    def request(self, path: str) -> Request:
        """Return the only request for *path*."""
        (one,) = [request for request in self.theirs.requests if request.path == path]
        return one


Holds = Callable[[SignIn], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One test: what the provider does, how the client is registered, and what comes of it."""

    prepare: Prepare = lambda _: None
    holds: Holds | None = None
    """What must hold of the sign-in; ``None``: there must be none."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: int = 400
    """Of the page, where there must be none."""


def accepted(_: SignIn) -> bool:
    return True


def together(*prepares: Prepare) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        for one in prepares:
            one(provider)

    return prepare


def keys_of(*keys: Any, **changes: Any) -> Prepare:
    """Publish the public half of *keys*, with *changes*; ``None`` removes a member."""

    def prepare(provider: MisbehavingProvider) -> None:
        members = [{**key.as_dict(private=False), **changes} for key in keys]
        provider.jwks = {"keys": [{name: text for name, text in one.items() if text is not None} for one in members]}

    return prepare


def knows(secret: str) -> Prepare:
    def prepare(provider: MisbehavingProvider) -> None:
        provider.client_secret = secret

    return prepare


def distributed(provider: MisbehavingProvider) -> None:
    provider.claims = {
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": f"{provider.issuer}/claims", "access_token": "x"}},
    }


BASIC: dict[str, Row] = {
    # the request
    "rp-response_type-code": Row(holds=lambda one: one.query["response_type"] == ["code"]),
    "rp-scope-openid": Row(holds=lambda one: one.query["scope"][0].split()[0] == "openid"),
    "rp-nonce-unless-code-flow": Row(holds=lambda one: len(one.query["nonce"][0]) >= 22),
    # the client at the token endpoint
    "rp-token_endpoint-client_secret_basic": Row(
        metadata(token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"]),
        lambda one: (
            one.request("/token").headers["authorization"].startswith("Basic ")
            and "client_secret" not in one.request("/token").form
        ),
    ),
    "rp-token_endpoint-client_secret_post": Row(
        metadata(token_endpoint_auth_methods_supported=["client_secret_post"]),
        lambda one: (
            "authorization" not in one.request("/token").headers and "client_secret" in one.request("/token").form
        ),
    ),
    # the ID token's claims
    "rp-id_token-issuer-mismatch": Row(claims(iss="https://other.example.com")),
    "rp-id_token-sub": Row(claims(sub=None)),
    "rp-id_token-aud": Row(claims(aud="another-client")),
    "oidcc-client-test-missing-aud": Row(claims(aud=None)),
    "rp-id_token-iat": Row(claims(iat=None)),
    "rp-nonce-invalid": Row(claims(nonce="another")),
    "rp-id_token-bad-at_hash": Row(claims(at_hash="bm90LXRoZS1oYXNoLWF0LWFsbA")),
    # its signature
    "rp-id_token-sig-rs256": Row(holds=accepted),
    "rp-id_token-bad-sig-rs256": Row(signs(lambda document: signed(document, key=OTHER_RSA, kid=RSA.kid))),
    "rp-id_token-sig-es256": Row(signs(lambda document: signed(document, key=EC, algorithm="ES256")), accepted),
    "rp-id_token-bad-sig-es256": Row(signs(lambda document: signed(document, key=OTHER_EC, algorithm="ES256"))),
    "rp-id_token-sig-hs256": Row(
        together(knows(SECRET), signs(lambda document: signed(document, key=OCT, algorithm="HS256"))),
        lambda one: "/jwks" not in one.theirs.asked,
        spec=HS256,
    ),
    "rp-id_token-bad-sig-hs256": Row(
        together(
            knows(SECRET),
            signs(lambda document: signed(document, key=OctKey.import_key(SECRET[::-1]), algorithm="HS256")),
        ),
        spec=HS256,
    ),
    "rp-id_token-sig-none": Row(signs(lambda document: forged({"alg": "none"}, document))),
    "rp-id_token-kid-absent-single-jwks": Row(
        together(keys_of(RSA, kid=None), signs(lambda document: signed(document, kid=None))), accepted
    ),
    "rp-id_token-kid-absent-multiple-jwks": Row(
        together(keys_of(RSA, THIRD_RSA), signs(lambda document: signed(document, kid=None)))
    ),
    # userinfo
    "rp-userinfo-bearer-header": Row(
        holds=lambda one: one.request("/userinfo").headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    ),
    "rp-userinfo-not-query": Row(holds=lambda one: one.request("/userinfo").query == ""),
    "rp-userinfo-bad-sub-claim": Row(userinfo(sub="somebody-else")),
    "rp-scope-userinfo-claims": Row(
        together(claims(name=None), userinfo(name="Ana of userinfo", email="ana@example.com", email_verified=True)),
        lambda one: (
            one.query["scope"] == ["openid profile email phone offline_access"]
            and (one.identity.name, one.identity.verified_email) == ("Ana of userinfo", "ana@example.com")
        ),
        spec={"scopes": ("openid", "profile", "email", "phone")},
    ),
}

CONFIG: dict[str, Row] = {
    "rp-discovery-openid-configuration": Row(
        holds=lambda one: one.theirs.asked[0] == METADATA and one.url.startswith(f"{one.theirs.issuer}/authorize?")
    ),
    "rp-discovery-jwks_uri-keys": Row(holds=lambda one: one.theirs.asked.count("/jwks") == 1),
    "rp-discovery-issuer-not-matching-config": Row(metadata(issuer="https://other.example.com"), status=500),
}

BEYOND: dict[str, Row] = {
    # What a provider promises changes nothing: the algorithms are those of the configuration.
    "none, as its metadata promises": Row(
        together(
            metadata(id_token_signing_alg_values_supported=["none", "RS256"]),
            signs(lambda document: forged({"alg": "none"}, document)),
        )
    ),
    "HS256 with the client secret, where public keys are registered": Row(
        together(
            knows(SECRET),
            metadata(id_token_signing_alg_values_supported=["HS256"]),
            signs(lambda document: signed(document, key=OCT, algorithm="HS256")),
        ),
        spec={"client_secret": Secret(SECRET)},
    ),
    "HS256 with the public key for a secret": Row(signs(with_public_key_as_secret)),
    "HS256 with the public key for a secret, where HS256 is registered": Row(
        together(knows(SECRET), signs(with_public_key_as_secret)), spec=HS256
    ),
    "RS256, where HS256 is registered": Row(knows(SECRET), spec=HS256),
    "HS512, where HS256 is registered": Row(
        together(knows(SECRET), signs(lambda document: signed(document, key=OCT, algorithm="HS512"))), spec=HS256
    ),
    "ES256, where RS256 is registered": Row(
        signs(lambda document: signed(document, key=EC, algorithm="ES256")), spec={"algorithms": ("RS256",)}
    ),
    "a secret among the published keys": Row(
        together(
            keys(*JWKS["keys"], {**OCT.as_dict(private=True), "kid": "oct"}),
            signs(lambda document: signed(document, key=OCT, algorithm="HS256", kid="oct")),
        )
    ),
    "no kid, and only one key of that kind": Row(signs(lambda document: signed(document, kid=None)), accepted),
    # OpenID Connect Core, section 5.6.2: nothing there is signed by the provider, and any host could be named.
    "distributed claims": Row(distributed, lambda one: "/claims" not in one.theirs.asked),
}

ALL = {**BASIC, **CONFIG, **BEYOND}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Portal:
    """One portal for every row; each has its own provider and browser."""
    return Portal(tmp_path_factory.mktemp("portal"))


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


def signed_in(portal: Portal, theirs: MisbehavingProvider, browser: Browser) -> SignIn | TestResponse:
    """Sign in at *theirs*; return the page instead if it does not redirect."""
    page = browser.get("/auth/oauth/company")
    if page.status_code == 303:
        url = page.headers["Location"]
        page = browser.get(theirs.authorize(url))
    if page.status_code != 303:
        return page
    found = portal.services.sign_ins.of_tenant("", issuer=theirs.issuer, now=NOW)
    return SignIn(theirs, url, found[0].identity)


@pytest.mark.parametrize("row", ALL.values(), ids=ALL)
def test_certification(portal: Portal, theirs: MisbehavingProvider, row: Row) -> None:
    browser = Browser(portal)
    portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer, **row.spec), limits=PATIENT)
    row.prepare(theirs)
    outcome = signed_in(portal, theirs, browser)

    if row.holds is not None:
        assert isinstance(outcome, SignIn)
        assert row.holds(outcome)
        assert browser.is_signed_in
    else:
        assert isinstance(outcome, TestResponse)
        assert outcome.status_code == row.status
        assert reference_in(outcome)
        assert not browser.is_signed_in
        assert not portal.services.sign_ins.of_tenant("", issuer=theirs.issuer, now=NOW)


ROTATIONS: dict[str, tuple[Any, ...]] = {
    "rp-key-rotation-op-sign-key-native: the old key stays for a while": (THIRD_RSA, RSA),
    "oidcc-client-test-signing-key-rotation-just-before-signing: the old key is gone": (THIRD_RSA,),
}


@pytest.mark.parametrize("published", ROTATIONS.values(), ids=ROTATIONS)
def test_rotation(portal: Portal, theirs: MisbehavingProvider, published: tuple[Any, ...]) -> None:
    portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT)
    assert isinstance(signed_in(portal, theirs, Browser(portal)), SignIn)

    keys_of(*published)(theirs)
    theirs.sign = lambda document: signed(document, key=THIRD_RSA)
    theirs.subject = "ada"
    assert isinstance(signed_in(portal, theirs, Browser(portal)), SignIn)
    assert theirs.asked.count("/jwks") == 2

    theirs.sign = signed
    theirs.subject = "ana"
    # Who still signs with the old key is believed while it is published, and no longer.
    assert isinstance(signed_in(portal, theirs, Browser(portal)), SignIn) is (RSA in published)


Sign = Callable[[dict[str, Any]], str]


def with_claims(**changes: Any) -> Sign:
    """Return what signs a logout token with *changes*; ``None`` removes a claim."""
    return lambda claims: signed(
        {name: value for name, value in {**claims, **changes}.items() if value is not None}, typ="logout+jwt"
    )


BACK_CHANNEL: dict[str, tuple[Sign, int]] = {
    "oidcc-client-test-rp-backchannel-rpinitlogout": (with_claims(), 200),
    "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none": (lambda claims: forged({"alg": "none"}, claims), 400),
    "oidcc-client-test-rp-backchannel-rpinitlogout-no-event": (with_claims(events=None), 400),
    "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": (with_claims(nonce="any"), 400),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg": (
        lambda claims: signed(claims, key=OCT, algorithm="HS256", kid=RSA.kid),
        400,
    ),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud": (with_claims(aud="another-client"), 400),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": (with_claims(events={f"{LOGOUT_EVENT}/x": {}}), 400),
    "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": (with_claims(iss="https://other.example.com"), 400),
}


@pytest.mark.parametrize(("sign", "status"), BACK_CHANNEL.values(), ids=BACK_CHANNEL)
def test_back_channel_logout(portal: Portal, theirs: MisbehavingProvider, sign: Sign, status: int) -> None:
    """A person signs out here; the provider reports it for another browser of the same session too."""
    portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT)
    session = f"session at {theirs.issuer}"  # the portal is every row's
    theirs.claims = {"sid": session}
    leaving, staying = Browser(portal), Browser(portal)
    assert all(isinstance(signed_in(portal, theirs, one), SignIn) for one in (leaving, staying))
    leaving.sign_out()
    claims = {"iss": theirs.issuer, "aud": "portal", "iat": NOW, "exp": NOW + 120, "jti": theirs.issuer}
    token = sign({**claims, "sid": session, "events": {LOGOUT_EVENT: {}}})
    path = "/auth/oauth/company/backchannel-logout"
    answer = portal.app.test_client().post(path, base_url=PORTAL, data={"logout_token": token})

    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert staying.is_signed_in is (status == 400)


def test_rp_initiated_logout(portal: Portal, theirs: MisbehavingProvider) -> None:
    """``oidcc-client-test-rp-init-logout``, ``…-no-state`` and ``…-invalid-state``: each ends on the same page."""
    portal.providers["company"] = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT)
    browser = Browser(portal)
    signed_in(portal, theirs, browser)
    query = parse_qs(urlsplit(link_to_provider(browser.sign_out())).query)

    assert query["post_logout_redirect_uri"] == [f"{PORTAL}/signed-out"]
    assert {"id_token_hint", "state"} <= query.keys()
    for returned in ("", "?state=another", f"?state={query['state'][0]}"):
        assert "You are signed out" in browser.get(f"/signed-out{returned}").text
    assert not browser.is_signed_in
