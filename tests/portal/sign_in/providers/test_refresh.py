"""Claims are read again: every answer of the token endpoint, and every rule for the tokens in it."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.errors import (
    AnswerLost,
    CallbackRejected,
    ClaimsTooLarge,
    PortalError,
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshRefused,
)
from portal.settings import ProviderSpec
from portal.sign_in.providers.base import CompletedSignIn, Renewal
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.exchange import TokenEndpoint
from portal.sign_in.providers.flow import CodeFlow
from portal.sign_in.providers.id_token import IdTokenProblem, IdTokenRejected
from portal.sign_in.providers.ssrf_policy import ssrf_policy_of
from portal.sign_in.providers.transport import Limits, Transport
from tests.builders import NOW, a_provider, an_identity
from tests.portal.sign_in.provider_types.reading import spec_at
from tests.provider.misbehaving import (
    CLIENT_ID,
    Answer,
    MisbehavingProvider,
    Request,
    Respond,
    as_json,
    misbehaving_provider,
    trickle,
)
from tests.provider.signing import ACCESS_TOKEN, OTHER_RSA, at_hash, forged, signed

CALLBACK = "https://portal.example.com/auth/oauth/company/callback"
PATIENT = Limits(read=60, total=60)
HURRIED = Limits(read=0.5, total=2)
LATER = NOW + 900
FIRST, SECOND = Renewal("refresh", "the-first-token"), Renewal("refresh", "the-second-token")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(slots=True)
class Ana:
    """Signed in at a provider, and about to be refreshed there."""

    theirs: MisbehavingProvider
    ours: CodeFlow
    done: CompletedSignIn
    kept: list[Renewal] = field(default_factory=list)
    asked_before: list[str] = field(default_factory=list)
    """What the provider was asked for before the new token was kept."""

    def refresh(self, renewal: Renewal = FIRST, *, ours: CodeFlow | None = None, **changes: Any) -> CompletedSignIn:
        self.theirs.now = LATER
        self.theirs.asked.clear()
        self.theirs.requests.clear()
        known = {"identity": self.done.identity, "id_token": self.done.id_token, "now": LATER, **changes}
        return (ours or self.ours).refresh(renewal, keep=self._keep, **known)

    def _keep(self, renewal: Renewal) -> None:
        self.kept.append(renewal)
        self.asked_before = list(self.theirs.asked)

    def answers(self, *, claims: dict[str, Any] | None = None, **answer: Any) -> None:
        """Have the token endpoint answer a refresh correctly, except for these changes; ``None`` removes a member."""
        said = {
            "iss": self.theirs.issuer,
            "aud": CLIENT_ID,
            "sub": "ana",
            "iat": LATER,
            "exp": LATER + 300,
            "name": "Ana Analyst",
            "at_hash": at_hash(ACCESS_TOKEN),
            **(claims or {}),
        }
        id_token = self.theirs.sign({name: value for name, value in said.items() if value is not None})
        whole = {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token, **answer}
        body = {name: value for name, value in whole.items() if value is not None}
        self.theirs.respond["/token"] = lambda _: as_json(body)

    @property
    def nonce(self) -> str:
        nonce = self.done.claims["nonce"]
        assert isinstance(nonce, str)
        return nonce


@pytest.fixture
def theirs() -> Iterator[MisbehavingProvider]:
    with misbehaving_provider() as provider:
        provider.token_answer = {"refresh_token": FIRST.token}
        yield provider


@pytest.fixture
def ana(theirs: MisbehavingProvider) -> Ana:
    ours = CodeFlow(a_provider(issuer=theirs.issuer), limits=PATIENT)
    url, attempt = ours.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
    signed_in = Ana(theirs, ours, ours.complete(attempt, theirs.callback_of(url), now=NOW))
    assert signed_in.done.renewal == FIRST
    signed_in.answers()
    return signed_in


def refusal(error: str, *, status: int = 400) -> Answer:
    return as_json({"error": error, "error_description": "of the provider"}, status=status)


class TestToken:
    def test_the_request_is_that_of_the_standard(self, ana: Ana) -> None:
        ana.refresh()
        (request,) = [one for one in ana.theirs.requests if one.path == "/token"]

        assert request.form == {"grant_type": "refresh_token", "refresh_token": FIRST.token}
        assert request.headers["authorization"].startswith("Basic ")

    def test_without_another_token_the_same_goes_on(self, ana: Ana) -> None:
        assert ana.refresh().renewal == FIRST
        assert ana.kept == []

    @pytest.mark.parametrize("same", [FIRST.token, "", None, 1, ["a"]])
    def test_nor_is_the_same_one_again_or_none_a_new_one(self, ana: Ana, same: object) -> None:
        ana.answers(refresh_token=same)

        assert ana.refresh().renewal == FIRST
        assert ana.kept == []

    def test_another_one_is_kept_before_anything_else_is_asked(self, ana: Ana) -> None:
        ana.answers(refresh_token=SECOND.token)

        assert ana.refresh().renewal == SECOND
        assert ana.kept == [SECOND]
        assert ana.asked_before == ["/token"]
        assert "/userinfo" in ana.theirs.asked

    @pytest.mark.parametrize("path", ["/userinfo", "/jwks"])
    def test_it_is_kept_even_if_the_next_call_fails(self, ana: Ana, path: str) -> None:
        ana.answers(refresh_token=SECOND.token)
        ana.theirs.respond[path] = lambda _: as_json({}, status=500)
        ours = CodeFlow(a_provider(issuer=ana.theirs.issuer), limits=PATIENT)

        with pytest.raises(ProviderUnavailable) as caught:
            ana.refresh(ours=ours)
        assert not isinstance(caught.value, AnswerLost)
        assert ana.kept == [SECOND]

    def test_the_provider_is_asked_for_the_scopes_again_where_it_needs_them(self, theirs: MisbehavingProvider) -> None:
        theirs.respond["/token"] = lambda _: as_json({"access_token": "a", "token_type": "Bearer"})
        spec = a_provider(issuer=theirs.issuer, provider_type="azure-ad", scopes=("openid", "User.Read"))
        endpoint_of(spec, theirs).refresh("token")
        (request,) = theirs.requests

        assert request.form["scope"] == "openid profile email User.Read offline_access"


def endpoint_of(spec: ProviderSpec, theirs: MisbehavingProvider) -> TokenEndpoint:
    transport = Transport(PATIENT, ssrf_policy=ssrf_policy_of(spec))
    return TokenEndpoint(
        spec=spec,
        url=f"{theirs.issuer}/token",
        method="client_secret_post",
        basic=BasicCredentials(spec),
        transport=transport,
        budget=transport.budget(),
    )


FINAL: dict[str, Answer] = {
    "the standard's": refusal("invalid_grant"),
    "Auth0's, for a blocked account": refusal("invalid_grant", status=403),
    "with a status of the client": refusal("invalid_grant", status=401),
    "Entra ID's, where a policy asks for more": refusal("interaction_required"),
    "Entra ID's, for a password that has changed": refusal("login_required"),
    "consent that was withdrawn": refusal("consent_required"),
    "an account to be selected": refusal("account_selection_required"),
    "Okta's, where a policy refuses": refusal("access_denied"),
    "GitHub's, with status 200": refusal("bad_refresh_token", status=200),
}
PASSING: dict[str, Answer | Respond] = {
    "status 500": refusal("server_error", status=500),
    "status 500 with an error of the standard": refusal("invalid_grant", status=500),
    "status 503": Answer(b"maintenance", 503, {"Retry-After": "120"}),
    "too many requests": Answer(b"slow down", 429, {"Retry-After": "30"}),
    "too many requests, with an error of the standard": as_json({"error": "invalid_grant"}, status=429),
    "too many requests, as GitHub says it": refusal("slow_down"),
    "in trouble": refusal("temporarily_unavailable"),
    "a request it does not understand": refusal("invalid_request"),
    "an unknown error": refusal("quota_exceeded", status=403),
    "an error that is no text": as_json({"error": ["invalid_grant"]}, status=400),
    "a page of a firewall": Answer(b"<html>invalid_grant</html>", 403, {"Content-Type": "text/html"}),
    "nothing there": Answer(b"", 404),
    "a redirect": Answer(b"", 302, {"Location": "https://id.example.com/sign-in"}),
}
LOST: dict[str, Answer | Respond] = {
    "a bad gateway": Answer(b"<html>Bad gateway</html>", 502),
    "a gateway that did not wait": Answer(b"", 504),
    "an empty answer": Answer(b""),
    "garbage": Answer(b"\x00\xff" * 100),
    "a page with status 200": Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"}),
    "a list": Answer(b"[]"),
    "JSON that breaks off": Answer(b'{"access_token": "a", "refresh_tok'),
    "JSON nested too deeply": Answer(b'{"a":' * 100_000),
    "no access token": as_json({"token_type": "Bearer", "refresh_token": "lost"}),
    "a token of another type": as_json({"access_token": "a", "token_type": "mac"}),
    "a connection that breaks off": lambda request: _write(request, HEAD),
    "one that breaks off before anything": lambda request: _write(request, b""),
    "a length it does not keep": Answer(b"{}", 200, {"Content-Length": "100"}),
    "no HTTP": lambda request: _write(request, b"SSH-2.0-OpenSSH\r\n"),
}
OPERATOR: dict[str, Answer] = {
    "our secret has expired": refusal("invalid_client", status=401),
    "the same at Keycloak": refusal("unauthorized_client", status=401),
    "the same at GitHub": refusal("incorrect_client_credentials", status=200),
    "the same without an error": Answer(b"", 401),
    "the grant is turned off": refusal("unsupported_grant_type"),
    "a scope we may not ask for": refusal("invalid_scope"),
    "it has moved": Answer(b"", 301, {"Location": "https://id.example.com/token"}),
}


def _write(request: Request, raw: bytes) -> None:
    request.write(raw)


def failure_of(ana: Ana, answer: Answer | Respond, **changes: Any) -> PortalError:
    """Return what a refresh raises that gets *answer*: nothing is kept, and no secret is in it."""
    ana.theirs.respond["/token"] = (lambda _: answer) if isinstance(answer, Answer) else answer
    with pytest.raises(PortalError) as caught:
        ana.refresh(**changes)
    assert ana.kept == []
    assert "/userinfo" not in ana.theirs.asked
    assert FIRST.token not in str(caught.value)
    return caught.value


class TestAnswers:
    @pytest.mark.parametrize("answer", FINAL.values(), ids=FINAL)
    def test_a_final_refusal(self, ana: Ana, answer: Answer) -> None:
        assert type(failure_of(ana, answer)) is RefreshRefused
        assert ana.theirs.asked.count("/token") == 1

    @pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
    def test_a_passing_problem(self, ana: Ana, answer: Answer | Respond) -> None:
        assert type(failure_of(ana, answer)) is ProviderUnavailable
        assert ana.theirs.asked.count("/token") == 1

    @pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
    def test_an_answer_that_may_have_held_a_new_token(self, ana: Ana, answer: Answer | Respond) -> None:
        assert type(failure_of(ana, answer)) is AnswerLost
        assert ana.theirs.asked.count("/token") == 1, "the request was not repeated by itself"

    @pytest.mark.parametrize("answer", OPERATOR.values(), ids=OPERATOR)
    def test_what_only_an_operator_can_correct(self, ana: Ana, answer: Answer) -> None:
        assert isinstance(failure_of(ana, answer), ProviderMisconfigured)

    @pytest.mark.parametrize(
        "respond",
        [
            trickle(head=b"", drop=b""),
            trickle(head=HEAD, drop=b"X: 1\r\n", every=0.1),
            trickle(head=HEAD + b"\r\n", drop=b" "),
        ],
        ids=["silence", "a header without end", "a body without end"],
    )
    def test_one_that_does_not_come_in_time_is_lost(self, ana: Ana, respond: Respond) -> None:
        hurried = CodeFlow(a_provider(issuer=ana.theirs.issuer), limits=HURRIED)

        assert type(failure_of(ana, respond, ours=hurried)) is AnswerLost

    def test_more_claims_than_are_read(self, ana: Ana) -> None:
        answer = Answer(b'{"a": "' + b"x" * 10_000_000 + b'"}')

        assert type(failure_of(ana, answer)) is ClaimsTooLarge

    def test_a_request_that_was_never_sent_leaves_no_doubt(self, ana: Ana) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        ana.theirs.metadata["token_endpoint"] = f"http://127.0.0.1:{port}/token"
        ours = CodeFlow(a_provider(issuer=ana.theirs.issuer), limits=PATIENT)

        assert type(failure_of(ana, Answer(b""), ours=ours)) is ProviderUnavailable
        assert "/token" not in ana.theirs.asked

    def test_nor_does_a_provider_without_metadata(self, ana: Ana) -> None:
        ana.theirs.respond["/.well-known/openid-configuration"] = lambda _: Answer(b"", 500)
        ours = CodeFlow(a_provider(issuer=ana.theirs.issuer), limits=PATIENT)

        assert type(failure_of(ana, Answer(b""), ours=ours)) is ProviderUnavailable
        assert "/token" not in ana.theirs.asked


Claims = dict[str, Any]
REJECTED: dict[str, tuple[Claims, IdTokenProblem]] = {
    "another issuer": ({"iss": "https://evil.test"}, IdTokenProblem.WRONG_ISSUER),
    "another audience": ({"aud": "other"}, IdTokenProblem.WRONG_AUDIENCE),
    "another party": ({"azp": "other"}, IdTokenProblem.WRONG_PARTY),
    "another nonce": ({"nonce": "other"}, IdTokenProblem.WRONG_NONCE),
    "a nonce that is no text": ({"nonce": 1}, IdTokenProblem.WRONG_NONCE),
    "an empty nonce": ({"nonce": ""}, IdTokenProblem.WRONG_NONCE),
    "expired": ({"iat": LATER - 400, "exp": LATER - 100}, IdTokenProblem.EXPIRED),
    "that of the sign-in": ({"iat": NOW, "exp": NOW + 90_000}, IdTokenProblem.TOO_OLD),
    "of the future": ({"iat": LATER + 3600, "exp": LATER + 7200}, IdTokenProblem.NOT_YET_VALID),
    "another access token's": ({"at_hash": "AAAA"}, IdTokenProblem.ACCESS_TOKEN_MISMATCH),
    "without a subject": ({"sub": None}, IdTokenProblem.BAD_SHAPE),
    "a logout token": ({"events": {}}, IdTokenProblem.WRONG_TYPE),
}


class TestIdToken:
    """OpenID Connect Core, section 12.2."""

    def test_its_claims_are_those_of_now(self, ana: Ana) -> None:
        ana.answers(claims={"name": "Ana Other", "groups": ["New"]})
        done = ana.refresh()

        assert done.identity.id == ana.done.identity.id
        assert done.identity.name == "Ana Other"
        assert done.claims["groups"] == ["New"]
        assert done.id_token != ana.done.id_token

    @pytest.mark.parametrize(("claims", "problem"), REJECTED.values(), ids=REJECTED)
    def test_one_that_breaks_a_rule_is_not_believed(self, ana: Ana, claims: Claims, problem: IdTokenProblem) -> None:
        ana.answers(claims=claims, refresh_token=SECOND.token)
        with pytest.raises(IdTokenRejected) as caught:
            ana.refresh()

        assert caught.value.problem is problem
        assert ana.kept == [SECOND], "the former token is used up all the same"

    @pytest.mark.parametrize(
        "sign",
        [
            lambda claims: forged({"alg": "none"}, claims),
            lambda claims: signed(claims, key=OTHER_RSA),
            lambda _: "no token",
        ],
        ids=["unsigned", "another key's", "no token"],
    )
    def test_nor_is_one_that_the_provider_did_not_sign(self, ana: Ana, sign: Callable[[Claims], str]) -> None:
        ana.theirs.sign = sign
        ana.answers()
        with pytest.raises(IdTokenRejected):
            ana.refresh()

    def test_the_nonce_may_be_left_out_or_be_that_of_the_sign_in(self, ana: Ana) -> None:
        ana.answers(claims={"nonce": ana.nonce})
        done = ana.refresh()
        ana.answers()
        done = ana.refresh(id_token=done.id_token)
        assert "nonce" not in done.claims

        ana.answers(claims={"nonce": ana.nonce})
        assert ana.refresh(id_token=done.id_token).identity.subject == "ana"

    def test_a_nonce_that_is_not_known_any_more_is_not_compared(self, ana: Ana) -> None:
        """
        An ID token that is too long to be stored: the access token came from the token endpoint, for our own token.
        """
        ana.answers(claims={"nonce": ana.nonce})

        assert ana.refresh(id_token=None).identity.subject == "ana"

    @pytest.mark.parametrize("claims", [{"auth_time": NOW - 100}, {"auth_time": LATER}])
    def test_when_the_person_proved_who_they_are_says_nothing_about_who_they_are(
        self, ana: Ana, claims: Claims
    ) -> None:
        """
        A provider updates it where they sign in again there, although the standard has it stay.
        """
        ana.answers(claims=claims)

        assert ana.refresh().identity.subject == "ana"

    def test_an_answer_about_another_person_is_refused(self, ana: Ana) -> None:
        ana.theirs.subject = "bob"
        ana.answers(claims={"sub": "bob"})

        with pytest.raises(RefreshRefused):
            ana.refresh()

    @pytest.mark.parametrize(("of_token", "of_userinfo"), [("ana", "bob"), ("bob", "ana")])
    def test_tokens_of_two_people_are_not_believed(self, ana: Ana, of_token: str, of_userinfo: str) -> None:
        ana.theirs.subject = of_userinfo
        ana.answers(claims={"sub": of_token})

        with pytest.raises(CallbackRejected):
            ana.refresh()

    def test_where_none_comes_userinfo_says_what_is_new(self, ana: Ana) -> None:
        ana.answers(id_token=None)
        ana.theirs.userinfo = {"name": "Ana Other", "groups": ["New"]}
        done = ana.refresh()

        assert done.identity.name == "Ana Other"
        assert done.claims["groups"] == ["New"]
        assert done.id_token == ana.done.id_token

    def test_userinfo_of_another_person_is_then_refused_too(self, ana: Ana) -> None:
        ana.answers(id_token=None)
        ana.theirs.subject = "bob"

        with pytest.raises(CallbackRejected):
            ana.refresh()

    def test_where_none_comes_and_none_is_known_nothing_says_who_it_is(self, ana: Ana) -> None:
        ana.answers(id_token=None)

        with pytest.raises(CallbackRejected):
            ana.refresh(id_token=None)

    def test_an_identity_of_another_issuer_is_refused(self, ana: Ana) -> None:
        with pytest.raises(RefreshRefused):
            ana.refresh(identity=an_identity(subject="ana", issuer="https://id.example.com"))


ACCESS = Renewal("access", "the-access-token")
GITHUB_TOKEN = "/login/oauth/access_token"
GITHUB_API = {
    "/api/user": {"id": 7, "login": "ana", "name": "Ana"},
    "/api/user/emails": [],
    "/api/user/memberships/orgs": [],
    "/api/user/teams": [],
}


class TestByApi:
    """Where access tokens do not expire, the provider's API is asked again."""

    @pytest.fixture
    def ours(self, theirs: MisbehavingProvider) -> CodeFlow:
        for path, answer in GITHUB_API.items():
            theirs.respond[path] = lambda _, answer=answer: as_json(answer)  # type: ignore[misc] # a loop's variable
        theirs.respond[GITHUB_TOKEN] = lambda _: as_json({"access_token": ACCESS.token, "token_type": "bearer"})
        spec = spec_at(
            "github",
            auth_url=f"{theirs.issuer}/login/oauth/authorize",
            token_url=f"{theirs.issuer}/login/oauth/access_token",
            user_info_url=f"{theirs.issuer}/api/user",
        )
        return CodeFlow(spec, limits=PATIENT)

    @pytest.fixture
    def ana(self, theirs: MisbehavingProvider, ours: CodeFlow) -> Ana:
        _, attempt = ours.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)
        done = ours.complete(attempt, {"code": "code", "state": attempt.state}, now=NOW)
        assert done.renewal == ACCESS
        return Ana(theirs, ours, done)

    def test_it_says_what_is_new(self, ana: Ana) -> None:
        ana.theirs.respond["/api/user"] = lambda _: as_json({"id": 7, "login": "ana", "name": "Ana Other"})
        done = ana.refresh(ACCESS)

        assert (done.identity.name, done.renewal, ana.kept) == ("Ana Other", ACCESS, [])
        assert GITHUB_TOKEN not in ana.theirs.asked
        assert {one.headers["authorization"] for one in ana.theirs.requests} == {f"Bearer {ACCESS.token}"}

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (as_json({"message": "Bad credentials"}, status=401), RefreshRefused),
            (as_json({"message": "Sorry. Your account was suspended."}, status=403), RefreshRefused),
            (as_json({"message": "API rate limit exceeded"}, status=403), ProviderUnavailable),
            (as_json({"message": "slow down"}, status=429), ProviderUnavailable),
            (as_json({}, status=500), ProviderUnavailable),
            (Answer(b""), ProviderUnavailable),
            (as_json({"id": 8, "login": "ana"}), RefreshRefused),
        ],
        ids=["the token", "the account", "throttled", "throttled again", "an error", "nothing", "another person"],
    )
    def test_what_it_refuses(self, ana: Ana, answer: Answer, error: type[PortalError]) -> None:
        ana.theirs.respond["/api/user"] = lambda _: answer
        with pytest.raises(PortalError) as caught:
            ana.refresh(ACCESS)

        assert type(caught.value) is error or (error is ProviderUnavailable and isinstance(caught.value, error))
        assert ACCESS.token not in str(caught.value)


def test_nothing_is_kept_where_refreshing_is_turned_off(theirs: MisbehavingProvider) -> None:
    ours = CodeFlow(a_provider(issuer=theirs.issuer, refresh=False), limits=PATIENT)
    url, attempt = ours.begin(redirect_uri=CALLBACK, return_to="/", now=NOW)

    assert parse_qs(urlsplit(url).query)["scope"] == ["openid profile email"]
    assert ours.complete(attempt, theirs.callback_of(url), now=NOW).renewal is None
