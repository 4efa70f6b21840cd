import base64
from collections.abc import Iterator
from typing import Any

import pytest

from portal.errors import CallbackRejected, ProviderMisconfigured
from portal.settings import Secret
from portal.sign_in.providers.client_credentials import BasicCredentials
from portal.sign_in.providers.flow import CodeFlow
from tests.builders import a_provider
from tests.portal.sign_in.providers.test_oidc import begin, sign_in
from tests.provider.misbehaving import Answer, MisbehavingProvider, misbehaving_provider

SECRETS = ("a+b/c=", "100%:sure", "two words", "gr\u00fc\u00df", "\u7d20\u6750", "%2B", "a&b=c;d", "+/+/")


def credentials(client_id: str, secret: str) -> list[str]:
    spec = a_provider(client_id=client_id, client_secret=Secret(secret))
    return [base64.b64decode(one.removeprefix("Basic ")).decode() for one in BasicCredentials(spec).spellings]


@pytest.mark.parametrize(
    ("client_id", "secret", "expected"),
    [
        ("portal", "plain-secret_1.~", ["portal:plain-secret_1.~"]),
        ("portal", "a+b/c=", ["portal:a%2Bb%2Fc%3D", "portal:a+b/c="]),
        ("portal", "two words", ["portal:two+words", "portal:two words"]),
        ("portal", "100%", ["portal:100%25", "portal:100%"]),
        ("portal", "\u00e9", ["portal:%C3%A9", "portal:\u00e9"]),
        ("https://p.test/", "s", ["https%3A%2F%2Fp.test%2F:s", "https://p.test/:s"]),
    ],
)
def test_id_and_secret_are_form_encoded_before_they_are_joined(
    client_id: str, secret: str, expected: list[str]
) -> None:
    assert credentials(client_id, secret) == expected


def test_it_does_not_show_the_secret() -> None:
    assert "a+b" not in repr(BasicCredentials(a_provider(client_secret=Secret("a+b"))))


class TestAtAProvider:
    @pytest.fixture
    def theirs(self) -> Iterator[MisbehavingProvider]:
        with misbehaving_provider() as provider:
            provider.client_first = True
            yield provider

    def provider_with(self, theirs: MisbehavingProvider, secret: str, **changes: Any) -> CodeFlow:
        theirs.client_secret = secret
        return CodeFlow(a_provider(issuer=theirs.issuer, client_secret=Secret(secret), **changes))

    @pytest.mark.parametrize("secret", SECRETS)
    def test_one_that_decodes_is_asked_once(self, theirs: MisbehavingProvider, secret: str) -> None:
        assert sign_in(self.provider_with(theirs, secret), theirs).subject == "ana"
        assert theirs.asked.count("/token") == 1

    @pytest.mark.parametrize("secret", SECRETS)
    def test_one_that_does_not_is_asked_again_the_first_time_only(
        self, theirs: MisbehavingProvider, secret: str
    ) -> None:
        theirs.decodes_basic = False
        ours = self.provider_with(theirs, secret)

        assert sign_in(ours, theirs).subject == "ana"
        assert theirs.asked.count("/token") == 2
        assert sign_in(ours, theirs).subject == "ana"
        assert theirs.asked.count("/token") == 3

    @pytest.mark.parametrize("status", [401, 403])
    def test_one_that_refuses_without_an_error_object(self, theirs: MisbehavingProvider, status: int) -> None:
        theirs.decodes_basic = False
        honest = theirs.tokens

        def respond(request: Any) -> Answer:
            answer = honest(request)
            return Answer(b"<html>no</html>", status) if answer.status == 401 else answer

        theirs.respond["/token"] = respond
        ours = self.provider_with(theirs, "a+b")

        if status == 401:
            assert sign_in(ours, theirs).subject == "ana"
        else:
            with pytest.raises(Exception, match="status 403"):
                sign_in(ours, theirs)

    def test_one_that_uses_the_code_up_works_from_the_second_attempt_on(self, theirs: MisbehavingProvider) -> None:
        theirs.decodes_basic = theirs.client_first = False
        ours = self.provider_with(theirs, "a+b")

        with pytest.raises(ProviderMisconfigured, match="invalid_client"):
            sign_in(ours, theirs)
        assert sign_in(ours, theirs).subject == "ana"

    @pytest.mark.parametrize("secret", SECRETS)
    def test_a_form_carries_any_secret_whole(self, theirs: MisbehavingProvider, secret: str) -> None:
        theirs.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]

        assert sign_in(self.provider_with(theirs, secret), theirs).subject == "ana"

    def test_a_wrong_secret_is_reported(self, theirs: MisbehavingProvider) -> None:
        ours = self.provider_with(theirs, "a+b")
        theirs.client_secret = "another"

        with pytest.raises(ProviderMisconfigured, match="invalid_client") as caught:
            sign_in(ours, theirs)
        assert "a+b" not in str(caught.value)
        assert theirs.asked.count("/token") == 2

    def test_a_refused_code_is_not_asked_about_twice(self, theirs: MisbehavingProvider) -> None:
        ours = self.provider_with(theirs, "a+b")
        url, attempt = begin(ours)
        callback = {**theirs.callback_of(url), "code": "guessed"}

        with pytest.raises(CallbackRejected, match="invalid_grant"):
            ours.complete(attempt, callback, now=theirs.now)
        assert theirs.asked.count("/token") == 1
