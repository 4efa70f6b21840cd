from pathlib import Path

import pytest

from portal.settings import Endpoints, Secret, Settings
from tests.builders import a_provider, settings_for


class TestSecret:
    SECRET = Secret("s3cr3t-value")

    def test_only_reveal_shows_it(self) -> None:
        assert self.SECRET.reveal() == "s3cr3t-value"
        assert "s3cr3t" not in f"{self.SECRET} {self.SECRET!r} {[self.SECRET]} {'%s' % self.SECRET}"  # noqa: UP031 - the old way of formatting is what is tested

    def test_no_settings_show_a_secret(self, tmp_path: Path) -> None:
        settings = settings_for(
            tmp_path,
            secret_keys=(self.SECRET,),
            database_url=Secret("postgresql://portal:s3cr3t@db/portal"),
            providers=(a_provider(client_secret=self.SECRET),),
            rate_limit_storage="redis://:s3cr3t@redis",
        )

        assert "s3cr3t" not in repr(settings)

    def test_equal_secrets_are_equal(self) -> None:
        assert Secret("s3cr3t-value") == self.SECRET
        assert Secret("other") != self.SECRET
        assert self.SECRET != "s3cr3t-value"
        assert len({Secret("s3cr3t-value"), self.SECRET}) == 1


@pytest.mark.parametrize(
    ("url", "origin", "secure"),
    [
        ("https://portal.example.com", "https://portal.example.com", True),
        ("https://portal.example.com:8443", "https://portal.example.com:8443", True),
        ("http://portal.demo.localhost:7800", "http://portal.demo.localhost:7800", True),
        ("http://127.0.0.1:7800", "http://127.0.0.1:7800", False),
        ("http://localhost:7800", "http://localhost:7800", False),
        ("http://notlocalhost:7800", "http://notlocalhost:7800", False),
    ],
)
def test_what_follows_from_the_address(url: str, origin: str, *, secure: bool) -> None:
    settings = Settings(url=url)

    assert settings.origin == origin
    assert settings.secure_cookies is secure


def test_a_provider_by_its_id(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)

    assert settings.provider("company") is settings.providers[0]
    assert settings.provider("Company") is None


def test_no_provider_accepts_symmetric_or_unsigned_tokens() -> None:
    """HS256 under a public key, and "none", are the oldest attacks on ID tokens."""
    assert not any(name.startswith("HS") or name.lower() == "none" for name in a_provider().algorithms)


def test_endpoints_need_no_more_than_a_sign_in_does() -> None:
    endpoints = Endpoints(authorize="https://a.test/a", token="https://a.test/t", jwks="https://a.test/j")

    assert (endpoints.userinfo, endpoints.end_session) == (None, None)
