"""Access tokens for the portal's API."""

import pytest

from portal.access.access_tokens import LIFETIME, AccessGrant, AccessTokens
from portal.settings import Secret
from portal.storage.sealing import Sealer
from tests.builders import NOW

TOKENS = AccessTokens(Sealer([Secret("k" * 43)], purpose="tokens"))


def test_a_token_is_read_back() -> None:
    token = TOKENS.issue(app="forecast", session="sid", scopes={"audit:read"}, now=NOW)
    expected = AccessGrant(app="forecast", session="sid", scopes=frozenset({"audit:read"}))
    assert TOKENS.read(token, now=NOW + LIFETIME - 1) == expected
    assert TOKENS.read(token, now=NOW + LIFETIME) is None


@pytest.mark.parametrize(
    "change", [str.lower, lambda token: token[:-4], lambda token: token + "x" * 5000, lambda _: "ü"]
)
def test_a_token_that_was_changed_is_none(change: object) -> None:
    token = TOKENS.issue(app="forecast", session="sid", scopes={"audit:read"}, now=NOW)
    assert callable(change)
    assert TOKENS.read(change(token), now=NOW) is None


def test_a_token_under_another_key_or_purpose_is_none() -> None:
    for sealer in (Sealer([Secret("x" * 43)], purpose="tokens"), Sealer([Secret("k" * 43)], purpose="other")):
        token = AccessTokens(sealer).issue(app="forecast", session="sid", scopes=set(), now=NOW)
        assert TOKENS.read(token, now=NOW) is None
