from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.errors import CallbackRejected, LogoutTokenRejected, ProviderMisconfigured, ProviderUnavailable
from portal.settings import Endpoints, Secret
from portal.sign_in.providers.base import ProviderDiagnostics
from portal.sign_in.providers.document_cache import EARLY_PAUSE, FAILURE_PAUSE, FRESH, STALE
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.transport import Limits
from tests.builders import NOW, a_provider
from tests.provider.misbehaving import CLIENT_SECRET, Answer, MisbehavingProvider, as_json, misbehaving_provider
from tests.provider.mischief import METADATA, MISCHIEF, Mischief
from tests.provider.signing import JWKS, OTHER_RSA, RSA, claims_of, signed

CALLBACK = "https://portal.example.com/auth/oauth/company/callback"
PATIENT = Limits(read=60, total=60)
"""Enough on a loaded machine."""
HINT = signed(claims_of())
HURRIED = Limits(read=0.5, total=2)
"""For answers that never come."""


class Elapsed:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        yield provider


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def ours(theirs: MisbehavingProvider, elapsed: Elapsed) -> CodeFlow:
    return provider_at(theirs, elapsed)


def provider_at(
    theirs: MisbehavingProvider, elapsed: Callable[[], float], *, limits: Limits = PATIENT, **changes: Any
) -> CodeFlow:
    return CodeFlow(a_provider(issuer=theirs.issuer, **changes), limits=limits, monotonic=elapsed)


def begin(provider: CodeFlow, **changes: Any) -> tuple[str, Any]:
    return provider.begin(**{"redirect_uri": CALLBACK, "return_to": "/", "now": NOW, **changes})


def sign_in(ours: CodeFlow, theirs: MisbehavingProvider) -> Any:
    url, attempt = begin(ours)
    return ours.complete(attempt, theirs.callback_of(url), now=NOW).identity


class TestBegin:
    def query(self, provider: CodeFlow, **changes: Any) -> dict[str, list[str]]:
        url, _ = begin(provider, **changes)
        return parse_qs(urlsplit(url).query)

    def test_the_request_carries_what_makes_it_safe(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        url, attempt = begin(ours)
        query = parse_qs(urlsplit(url).query)

        assert url.startswith(f"{theirs.issuer}/authorize?")
        assert query["response_type"] == ["code"]
        assert query["client_id"] == ["portal"]
        assert query["redirect_uri"] == [CALLBACK]
        assert query["scope"] == ["openid profile email offline_access"]
        assert query["state"] == [attempt.state]
        assert query["nonce"] == [attempt.nonce]
        assert query["code_challenge_method"] == ["S256"]
        assert len(query["code_challenge"][0]) == 43
        assert attempt.code_verifier not in url

    def test_configured_parameters_are_added_and_ours_cannot_be_replaced(
        self, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        extra = {
            "audience": "https://api.example.com",
            "state": "x",
            "nonce": "x",
            "code_challenge": "x",
            "code_challenge_method": "plain",
            "response_type": "token",
            "redirect_uri": "https://evil.test",
            "scope": "x",
            "client_id": "x",
            "response_mode": "fragment",
        }
        query = self.query(provider_at(theirs, elapsed, authorize_params=tuple(extra.items())))

        assert query["audience"] == ["https://api.example.com"]
        assert "x" not in [value for values in query.values() for value in values]
        assert query["response_type"] == ["code"]
        assert query["redirect_uri"] == [CALLBACK]
        assert query["code_challenge_method"] == ["S256"]
        assert "response_mode" not in query

    def test_openid_is_always_asked_for(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        assert self.query(provider_at(theirs, elapsed, scopes=("email",), refresh=False))["scope"] == ["openid email"]

    def test_a_refresh_token_is_asked_for_where_the_provider_may_give_one(
        self, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        def scopes(provider: CodeFlow, **changes: Any) -> list[str]:
            return self.query(provider, **changes)["scope"][0].split()

        assert "offline_access" in scopes(provider_at(theirs, elapsed))
        assert "offline_access" not in scopes(provider_at(theirs, elapsed), asks_refresh=False)
        assert "offline_access" not in scopes(provider_at(theirs, elapsed, refresh=False))
        theirs.metadata["scopes_supported"] = ["openid", "email"]
        assert "offline_access" not in scopes(provider_at(theirs, elapsed))

    def test_a_login_hint_is_passed_on(self, ours: CodeFlow) -> None:
        assert self.query(ours, login_hint="ana@example.com")["login_hint"] == ["ana@example.com"]
        assert "login_hint" not in self.query(ours)

    def test_an_authorization_endpoint_keeps_its_own_query(self, theirs: MisbehavingProvider, ours: CodeFlow) -> None:
        theirs.metadata["authorization_endpoint"] += "?policy=b2c"

        assert self.query(ours)["policy"] == ["b2c"]

    def test_a_provider_that_is_down_is_unavailable(self, elapsed: Elapsed) -> None:
        with misbehaving_provider() as theirs:
            ours = provider_at(theirs, elapsed)

        with pytest.raises(ProviderUnavailable):
            begin(ours)


class TestComplete:
    def test_a_person_signs_in(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        identity = sign_in(ours, theirs)

        assert (identity.issuer, identity.subject) == (theirs.issuer, "ana")
        assert identity.name == "Ana Analyst"
        assert identity.verified_email == "ana@example.com"
        assert identity.provider == "company"

    def test_the_id_token_comes_along_for_the_sign_out(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        url, attempt = begin(ours)

        id_token = ours.complete(attempt, theirs.callback_of(url), now=NOW).id_token

        assert id_token is not None
        assert id_token.count(".") == 2

    def test_the_id_token_wins_over_userinfo(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.userinfo = {"name": "Somebody Else", "email": "ana@example.com", "email_verified": True}

        assert sign_in(ours, theirs).name == "Ana Analyst"

    @pytest.mark.parametrize(
        ("id_token", "userinfo", "verified"),
        [
            ({"email": "a@example.com"}, {"email": "a@example.com", "email_verified": True}, "a@example.com"),
            ({"email": "ceo@example.com"}, {"email": "a@example.com", "email_verified": True}, None),
            ({"email": "ceo@example.com"}, {"email_verified": True}, None),
            ({"email_verified": True}, {"email": "ceo@example.com"}, None),
            ({"email_verified": True}, {"email": "ceo@example.com", "email_verified": False}, None),
            (
                {"email": "a@example.com", "email_verified": False},
                {"email": "a@example.com", "email_verified": True},
                None,
            ),
            ({"email": "a@example.com", "email_verified": True}, {"email": "ceo@example.com"}, "a@example.com"),
            ({}, {"email": "a@example.com", "email_verified": True}, "a@example.com"),
        ],
    )
    def test_verification_of_one_address_does_not_count_for_another(
        self,
        ours: CodeFlow,
        theirs: MisbehavingProvider,
        id_token: dict[str, object],
        userinfo: dict[str, object],
        verified: str | None,
    ) -> None:
        theirs.claims = id_token
        theirs.userinfo = {"sub": "ana", **userinfo}

        assert sign_in(ours, theirs).verified_email == verified

    def test_a_provider_without_userinfo_serves(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        del theirs.metadata["userinfo_endpoint"]

        assert sign_in(ours, theirs).email is None

    def test_a_provider_that_promises_no_iss_may_leave_it_out(
        self, ours: CodeFlow, theirs: MisbehavingProvider
    ) -> None:
        theirs.metadata["authorization_response_iss_parameter_supported"] = False
        theirs.callback = {"iss": None}

        assert sign_in(ours, theirs).subject == "ana"

    @pytest.mark.parametrize("changes", [{"state": "other"}, {"state": None}])
    def test_a_callback_of_another_state_is_rejected(
        self, ours: CodeFlow, theirs: MisbehavingProvider, changes: dict[str, str | None]
    ) -> None:
        theirs.callback = changes

        with pytest.raises(CallbackRejected):
            sign_in(ours, theirs)
        assert "/token" not in theirs.asked

    def test_an_attempt_at_another_provider_is_rejected(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        url, attempt = begin(provider_at(theirs, elapsed, id="other"))

        with pytest.raises(CallbackRejected):
            ours.complete(attempt, theirs.callback_of(url), now=NOW)

    def test_the_code_of_one_attempt_does_not_serve_another(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        """
        A code stolen from another person's attempt fails at PKCE, whatever else was forged around it.
        """
        stolen = theirs.callback_of(begin(ours)[0])
        _, mine = begin(ours)

        with pytest.raises(CallbackRejected):
            ours.complete(mine, {**stolen, "state": mine.state}, now=NOW)


class TestWhatIsInTheWild:
    """Codes, tokens, key ids and subjects are the provider's to choose; none is refused for its characters."""

    @pytest.mark.parametrize(
        "code",
        [
            "4/0AbC+d==&x=y",
            "0.AXQA~a%20b|{}[]^`",
            "\u7d20\u6750 and spaces ",
            "a;b,c'd\"e\\f<g>#h?i",
            "x" * 10_000,
        ],
    )
    def test_the_token_endpoint_gets_the_code_unchanged(
        self, ours: CodeFlow, theirs: MisbehavingProvider, code: str
    ) -> None:
        theirs.code = code

        assert sign_in(ours, theirs).subject == "ana"

    @pytest.mark.parametrize("kid", ["https://id.example.com/keys#1", "a+b/c==", "\u7d20 \u6750", "k" * 300, ""])
    def test_a_key_goes_by_any_name(self, ours: CodeFlow, theirs: MisbehavingProvider, kid: str) -> None:
        theirs.jwks = {"keys": [{**RSA.as_dict(private=False), "kid": kid}]}
        theirs.sign = lambda claims: signed(claims, kid=kid)

        assert sign_in(ours, theirs).subject == "ana"

    @pytest.mark.parametrize(
        "subject", ["auth0|653a1f0c9e", "f:1f3c:ana@example.com", "uid=ana,ou=people", "\u7d20\u6750", "a" * 255]
    )
    def test_any_subject_identifies_a_person(self, ours: CodeFlow, theirs: MisbehavingProvider, subject: str) -> None:
        theirs.subject = subject

        assert sign_in(ours, theirs).subject == subject

    @pytest.mark.parametrize("query", ["p=B2C_1A_sign-in", "a=%7B%7D&b", "x=1&x=2", "q=a%20b%2Bc"])
    def test_an_authorization_endpoint_has_any_query(
        self, ours: CodeFlow, theirs: MisbehavingProvider, query: str
    ) -> None:
        theirs.metadata["authorization_endpoint"] += f"?{query}"
        url, _ = begin(ours)

        expected = parse_qs(query, keep_blank_values=True)
        found = parse_qs(urlsplit(url).query, keep_blank_values=True)
        assert {name: found[name] for name in expected} == expected


class TestAddressesWithoutEmailVerified:
    """LemonLDAP::NG and Canaille send no ``email_verified``."""

    def identity(self, theirs: MisbehavingProvider, elapsed: Elapsed, **changes: Any) -> Any:
        return sign_in(provider_at(theirs, elapsed, **changes), theirs)

    def test_they_are_not_verified_unless_that_is_assumed(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        theirs.userinfo = {"email": "ana@example.com"}

        assert self.identity(theirs, elapsed).verified_email is None
        assert self.identity(theirs, elapsed, assumes_email=True).verified_email == "ana@example.com"

    @pytest.mark.parametrize(
        ("claims", "userinfo"),
        [
            ({}, {"email": "ana@example.com", "email_verified": False}),
            ({}, {"email": "ana@example.com", "email_verified": "false"}),
            ({"email": "ana@example.com", "email_verified": False}, {}),
            ({"email": "ana@example.com", "email_verified": False}, {"email_verified": True}),
            # Two addresses, and a no about one of them: which of them is the person's, nobody knows.
            ({"email": "ana@example.com"}, {"email": "bea@example.com", "email_verified": False}),
        ],
    )
    def test_what_is_said_still_counts(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, claims: dict[str, Any], userinfo: dict[str, Any]
    ) -> None:
        theirs.claims, theirs.userinfo = claims, userinfo

        assert self.identity(theirs, elapsed, assumes_email=True).verified_email is None


class TestIssuerOfADocument:
    """If the metadata's address is configured, the issuer in it counts, at the same origin."""

    def named_by_document(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, *, path: str = "", **changes: Any
    ) -> CodeFlow:
        document = f"{theirs.issuer}{path}{METADATA}"
        theirs.respond[f"{path}{METADATA}"] = lambda _: as_json(theirs.metadata)
        return provider_at(theirs, elapsed, issuer_of_document=True, discovery=document, **changes)

    def called(self, theirs: MisbehavingProvider, issuer: str, *, answered: str | None = None) -> None:
        theirs.metadata["issuer"] = issuer
        theirs.claims = {"iss": answered or issuer}
        theirs.callback = {"iss": answered or issuer}

    @pytest.mark.parametrize("end", ["", "/", "/application/o/portal/", "/9a1c-guid/v2.0/", "//"])
    @pytest.mark.parametrize("path", ["", "/application/o/portal"])
    def test_the_metadata_says_it_and_accounts_are_kept_so(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, end: str, path: str
    ) -> None:
        self.called(theirs, f"{theirs.issuer}{end}")
        ours = self.named_by_document(theirs, elapsed, path=path)

        assert sign_in(ours, theirs).issuer == f"{theirs.issuer}{end}"
        assert ours.diagnostics().issuer == f"{theirs.issuer}{end}"
        assert ours.diagnostics().problem is None

    def test_a_configured_issuer_must_match(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        self.called(theirs, f"{theirs.issuer}/")

        with pytest.raises(ProviderMisconfigured, match="the metadata is of issuer"):
            begin(provider_at(theirs, elapsed))

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://evil.test",
            "https://accounts.google.com",
            "{issuer}?",
            "{issuer}/#x",
            "{issuer}.evil.test",
            "{issuer}@evil.test",
            "{issuer}\u200b",
            "{issuer}\\@evil.test",
            "http://localhost:1",
            None,
            7,
            ["{issuer}"],
        ],
    )
    def test_what_is_elsewhere_or_no_issuer_is_for_the_operator_to_write(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, issuer: Any
    ) -> None:
        theirs.metadata["issuer"] = issuer.format(issuer=theirs.issuer) if isinstance(issuer, str) else issuer

        with pytest.raises(ProviderMisconfigured, match="the metadata is of issuer"):
            begin(self.named_by_document(theirs, elapsed))

    def test_an_issuer_of_another_provider_cannot_be_claimed(
        self, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        taken = f"{theirs.issuer}/tenant-b"
        self.called(theirs, taken)
        ours = self.named_by_document(theirs, elapsed, path="/tenant-a", issuers_of_others=frozenset({taken}))

        with pytest.raises(ProviderMisconfigured, match="the metadata is of issuer"):
            begin(ours)

    @pytest.mark.parametrize(("of_metadata", "of_answer"), [("/", ""), ("", "/"), ("/", "//"), ("/a", "/b")])
    def test_the_answers_must_say_what_the_metadata_says(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, of_metadata: str, of_answer: str
    ) -> None:
        self.called(theirs, f"{theirs.issuer}{of_metadata}", answered=f"{theirs.issuer}{of_answer}")

        with pytest.raises(CallbackRejected, match="issuer"):
            sign_in(self.named_by_document(theirs, elapsed), theirs)


class TestClientAuthentication:
    @pytest.mark.parametrize(
        ("supported", "changes"),
        [
            (["client_secret_basic"], {}),
            (["client_secret_post"], {}),
            (["client_secret_post", "client_secret_basic"], {}),
            (["client_secret_post"], {"token_endpoint_auth_method": "client_secret_post"}),
            (["none"], {"client_secret": None}),
        ],
    )
    def test_the_client_says_who_it_is_as_the_provider_wants_it(
        self, theirs: MisbehavingProvider, elapsed: Elapsed, supported: list[str], changes: dict[str, Any]
    ) -> None:
        theirs.metadata["token_endpoint_auth_methods_supported"] = supported

        assert sign_in(provider_at(theirs, elapsed, **changes), theirs).subject == "ana"

    def test_an_invalid_list_means_basic(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.metadata["token_endpoint_auth_methods_supported"] = "client_secret_basic"

        assert sign_in(ours, theirs).subject == "ana"

    def test_a_wrong_secret_is_a_configuration_error(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        ours = provider_at(theirs, elapsed, client_secret=Secret("wrong"))

        with pytest.raises(ProviderUnavailable) as caught:
            sign_in(ours, theirs)
        assert "invalid_client" in str(caught.value)
        assert "wrong" not in str(caught.value)


class TestConfiguredEndpoints:
    def test_nothing_is_discovered(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        endpoints = Endpoints(
            authorize=f"{theirs.issuer}/authorize",
            token=f"{theirs.issuer}/token",
            jwks=f"{theirs.issuer}/jwks",
            userinfo=f"{theirs.issuer}/userinfo",
        )

        assert sign_in(provider_at(theirs, elapsed, endpoints=endpoints), theirs).email == "ana@example.com"
        assert METADATA not in theirs.asked

    def test_they_must_be_safe_too(self, elapsed: Elapsed, theirs: MisbehavingProvider) -> None:
        unsafe = Endpoints(authorize="http://id.example.com/a", token="https://id.example.com/t", jwks="https://x/j")

        with pytest.raises(ProviderUnavailable):
            begin(provider_at(theirs, elapsed, endpoints=unsafe))


class TestMischief:
    @pytest.mark.parametrize("mischief", MISCHIEF.values(), ids=MISCHIEF.keys())
    def test_it_signs_no_one_in(self, theirs: MisbehavingProvider, elapsed: Elapsed, mischief: Mischief) -> None:
        ours = provider_at(theirs, elapsed, limits=HURRIED if mischief.slow else PATIENT)
        patient = provider_at(theirs, elapsed)
        if mischief.at_begin:
            mischief.prepare(theirs)
            with pytest.raises(mischief.error) as caught:
                begin(ours)
        else:
            url, attempt = begin(ours if not mischief.slow else patient)
            mischief.prepare(theirs)
            callback = theirs.callback_of(url)
            with pytest.raises(mischief.error) as caught:
                ours.complete(attempt, callback, now=NOW)
        said = str(caught.value)
        assert type(caught.value).status == mischief.error.status
        assert len(said) < 1500
        assert said.isprintable()
        assert CLIENT_SECRET not in said


class TestPrivateAddresses:
    """In the metadata of a provider that is not there itself."""

    @pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
    @pytest.mark.parametrize(
        "url", ["https://10.0.0.1/x", "https://169.254.169.254/latest/meta-data/", "https://[::ffff:10.0.0.1]/x"]
    )
    def test_they_are_not_called(self, ours: CodeFlow, theirs: MisbehavingProvider, name: str, url: str) -> None:
        theirs.metadata[name] = url

        with pytest.raises(ProviderUnavailable, match=r"its metadata leads to .*, which is a (private|link-local)"):
            sign_in(ours, theirs)

    def test_the_operator_may_go_there(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        """Whether a server answers there is not the question."""
        endpoints = Endpoints(
            authorize=f"{theirs.issuer}/authorize", token="https://10.0.0.1/x", jwks=f"{theirs.issuer}/jwks"
        )
        ours = provider_at(theirs, elapsed, endpoints=endpoints, limits=Limits(connect=0.05, total=60))

        with pytest.raises(ProviderUnavailable) as caught:
            sign_in(ours, theirs)
        assert "leads to" not in str(caught.value)


class TestKeys:
    def test_a_new_key_is_fetched_once_and_serves(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        sign_in(ours, theirs)
        theirs.jwks = {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "new"}]}
        theirs.sign = lambda claims: signed(claims, key=OTHER_RSA, kid="new")

        assert sign_in(ours, theirs).subject == "ana"
        assert theirs.asked.count("/jwks") == 2

    def test_a_flood_of_unknown_keys_fetches_once_a_minute(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        sign_in(ours, theirs)
        theirs.sign = lambda claims: signed(claims, kid=f"unknown-{len(theirs.asked)}")
        for _ in range(5):
            with pytest.raises(CallbackRejected):
                sign_in(ours, theirs)
        assert theirs.asked.count("/jwks") == 2

        elapsed.seconds += EARLY_PAUSE
        with pytest.raises(CallbackRejected):
            sign_in(ours, theirs)
        assert theirs.asked.count("/jwks") == 3

    def test_a_key_that_was_taken_back_is_dropped_within_the_hour(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        sign_in(ours, theirs)
        theirs.jwks = {"keys": [{**OTHER_RSA.as_dict(private=False), "kid": "new"}]}
        elapsed.seconds += FRESH

        with pytest.raises(CallbackRejected):
            sign_in(ours, theirs)

    def test_a_bad_signature_under_a_known_key_fetches_nothing(
        self, ours: CodeFlow, theirs: MisbehavingProvider
    ) -> None:
        sign_in(ours, theirs)
        theirs.sign = lambda claims: signed(claims, key=OTHER_RSA, kid=RSA.kid)

        with pytest.raises(CallbackRejected):
            sign_in(ours, theirs)
        assert theirs.asked.count("/jwks") == 1


class TestMetadata:
    def test_it_is_fetched_once_an_hour(self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        begin(ours)
        elapsed.seconds += FRESH - 1
        begin(ours)
        assert theirs.asked.count(METADATA) == 1

        elapsed.seconds += 1
        begin(ours)
        assert theirs.asked.count(METADATA) == 2

    def test_a_short_outage_goes_unnoticed_and_a_long_one_does_not(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        begin(ours)
        theirs.respond[METADATA] = lambda _: as_json({}, status=503)
        elapsed.seconds += FRESH
        begin(ours)
        begin(ours)  # within the pause: not even asked
        assert theirs.asked.count(METADATA) == 2

        elapsed.seconds += STALE - FRESH
        with pytest.raises(ProviderUnavailable):
            begin(ours)

    def test_a_provider_that_is_back_is_noticed(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        theirs.respond[METADATA] = lambda _: as_json({}, status=503)
        with pytest.raises(ProviderUnavailable):
            begin(ours)
        theirs.respond.clear()
        with pytest.raises(ProviderUnavailable):
            begin(ours)
        assert theirs.asked.count(METADATA) == 1

        elapsed.seconds += FAILURE_PAUSE
        assert begin(ours)


class TestEndSessionUrl:
    def url(self, ours: CodeFlow, **changes: Any) -> str | None:
        asked = {"id_token_hint": HINT, "post_logout_redirect_uri": "https://p/signed-out", "state": "s", **changes}
        return ours.end_session_url(**asked)

    def test_it_says_who_and_where_back(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        url = self.url(ours)

        assert url is not None
        assert url.startswith(f"{theirs.issuer}/end?")
        assert parse_qs(urlsplit(url).query) == {
            "client_id": ["portal"],
            "id_token_hint": [HINT],
            "post_logout_redirect_uri": ["https://p/signed-out"],
            "state": ["s"],
        }

    @pytest.mark.parametrize("hint", [None, "x" * 8000, signed(claims_of(name="x" * 8000))])
    def test_without_a_hint_or_with_an_endless_one_the_provider_asks(self, ours: CodeFlow, hint: str | None) -> None:
        assert "id_token_hint" not in (self.url(ours, id_token_hint=hint) or "")

    def test_an_id_token_whose_key_is_gone_is_left_out_for_the_persons_name(
        self, ours: CodeFlow, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        """
        Keycloak answers such a hint with "Invalid parameter: id_token_hint", and its session goes on.
        """
        assert "id_token_hint" in (self.url(ours) or "")
        theirs.jwks = {"keys": [key for key in JWKS["keys"] if key["kid"] != RSA.kid]}
        elapsed.seconds += EARLY_PAUSE

        assert parse_qs(urlsplit(self.url(ours) or "").query) == {
            "client_id": ["portal"],
            "logout_hint": ["ana"],
            "post_logout_redirect_uri": ["https://p/signed-out"],
            "state": ["s"],
        }

    def test_where_the_keys_cannot_be_fetched_the_id_token_goes_along(
        self, ours: CodeFlow, theirs: MisbehavingProvider
    ) -> None:
        theirs.respond["/jwks"] = lambda _: as_json({}, status=503)

        assert "id_token_hint" in (self.url(ours) or "")

    @pytest.mark.parametrize(
        ("claims", "name"),
        [
            ({"preferred_username": "ana.analyst", "email": "ana@example.com"}, ["ana.analyst"]),
            ({"email": "ana@example.com"}, ["ana@example.com"]),
            ({"email": "", "preferred_username": ["ana.analyst"]}, ["ana"]),
            ({"email": "a\nb", "preferred_username": "x" * 8000}, ["ana"]),
            ({"sub": "\0"}, None),
        ],
    )
    def test_the_name_is_one_the_provider_gave(
        self, ours: CodeFlow, claims: dict[str, object], name: list[str] | None
    ) -> None:
        of_a_former_key = signed(claims_of(**claims), kid="former")
        query = parse_qs(urlsplit(self.url(ours, id_token_hint=of_a_former_key) or "").query)

        assert query["client_id"] == ["portal"]
        assert query.get("logout_hint") == name

    def test_an_endpoint_with_a_query_keeps_it(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.metadata["end_session_endpoint"] += "?p=1"

        assert "?p=1&" in (self.url(ours) or "")

    def test_a_provider_may_have_no_sign_out(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        del theirs.metadata["end_session_endpoint"]

        assert self.url(ours) is None

    def test_a_provider_that_is_away_does_not_hold_up_a_sign_out(
        self, ours: CodeFlow, theirs: MisbehavingProvider
    ) -> None:
        theirs.respond[METADATA] = lambda _: as_json({}, status=503)

        assert self.url(ours) is None


class TestReportedLogouts:
    def test_where_only_tokens_name_the_issuer_no_stranger_chooses_whose_keys_are_fetched(
        self, theirs: MisbehavingProvider, elapsed: Elapsed
    ) -> None:
        """
        The keys of a Cognito domain are those of the user pool that an ID token names.
        """
        ends = Endpoints(authorize=f"{theirs.issuer}/authorize", token=f"{theirs.issuer}/token")
        ours = provider_at(theirs, elapsed, provider_type="aws-cognito", issuer_of_token=True, endpoints=ends)

        with pytest.raises(LogoutTokenRejected, match="wrong-issuer"):
            ours.read_logout(signed(claims_of(iss=theirs.issuer)), now=NOW)
        assert theirs.asked == []

    def test_a_provider_without_signed_tokens_reports_none(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        ours = provider_at(theirs, elapsed, provider_type="github")

        with pytest.raises(LogoutTokenRejected, match="no-tokens"):
            ours.read_logout(HINT, now=NOW)
        assert not ours.names_issuer(theirs.issuer)
        assert theirs.asked == []

    @pytest.mark.parametrize("named", ["", "https://evil.test", "ISSUER/", " ISSUER"])
    def test_another_issuer_is_not_the_providers(self, ours: CodeFlow, theirs: MisbehavingProvider, named: str) -> None:
        assert ours.names_issuer(theirs.issuer)
        assert not ours.names_issuer(named.replace("ISSUER", theirs.issuer))


class TestDiagnostics:
    def test_metadata_and_keys_are_reported(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.metadata.update(
            id_token_signing_alg_values_supported=["RS256", 7],
            code_challenge_methods_supported="S256",
            token_endpoint_auth_methods_supported=["client_secret_post"],
        )

        assert ours.diagnostics() == ProviderDiagnostics(
            discovery=f"{theirs.issuer}{METADATA}",
            issuer=theirs.issuer,
            endpoints=Endpoints(
                authorize=f"{theirs.issuer}/authorize",
                token=f"{theirs.issuer}/token",
                jwks=f"{theirs.issuer}/jwks",
                userinfo=f"{theirs.issuer}/userinfo",
                end_session=f"{theirs.issuer}/end",
            ),
            names_itself=True,
            auth_method="client_secret_post",
            signing_algorithms=frozenset({"RS256"}),
            challenge_methods=frozenset(),
            scopes=None,
            keys=ours.diagnostics().keys,
        )
        assert all(ours.diagnostics().keys)
        assert "/token" not in theirs.asked

    def test_otherwise_a_sentence_says_what_is_wrong(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.jwks = {"keys": []}

        assert "no key" in (ours.diagnostics(redirect_uri=CALLBACK).problem or "")
        assert ours.diagnostics().endpoints is not None
        assert "/token" not in theirs.asked

    def test_without_metadata_nothing_else_is_asked(self, ours: CodeFlow, theirs: MisbehavingProvider) -> None:
        theirs.metadata["issuer"] = "https://evil.test"
        known = ours.diagnostics(redirect_uri=CALLBACK)

        assert "https://evil.test" in (known.problem or "")
        assert known.issuer == "https://evil.test"
        assert (known.endpoints, theirs.asked) == (None, [METADATA])

    def test_endpoints_by_hand_are_not_discovered(self, theirs: MisbehavingProvider, elapsed: Elapsed) -> None:
        ends = Endpoints(
            authorize=f"{theirs.issuer}/authorize", token=f"{theirs.issuer}/token", jwks=f"{theirs.issuer}/jwks"
        )
        known = provider_at(theirs, elapsed, endpoints=ends).diagnostics()

        assert (known.discovery, known.endpoints, known.problem) == (None, ends, None)
        assert METADATA not in theirs.asked

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (as_json({"error": "invalid_grant"}, status=400), None),
            (as_json({"error": "invalid_client"}, status=401), "invalid_client"),
            (as_json({"error": "redirect_uri_mismatch"}), "redirect_uri_mismatch"),
            (as_json({"error": "server_error"}, status=500), "answered with status 500"),
            (Answer(b"<h1>Internal Server Error</h1>", status=500), "answered with status 500"),
            (Answer(b"", status=502), "answered with status 502"),
            (as_json({"access_token": "a", "token_type": "Bearer"}), "made up"),
            (as_json({}, status=200), "no bearer token"),
        ],
        ids=[
            "the code is refused",
            "the client",
            "the callback",
            "in trouble",
            "in HTML",
            "nothing but a status",
            "a token for nothing",
            "nothing",
        ],
    )
    def test_the_client_is_checked_with_a_made_up_code(
        self, ours: CodeFlow, theirs: MisbehavingProvider, answer: Answer, message: str | None
    ) -> None:
        theirs.respond["/token"] = lambda _: answer
        known = ours.diagnostics(redirect_uri=CALLBACK)

        assert known.problem is None
        assert known.client_problem is None if message is None else message in (known.client_problem or "")
