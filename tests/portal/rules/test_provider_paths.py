"""Which paths are for the logout tokens of a provider."""

import pytest

from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, provider_path, takes_logout_tokens


@pytest.mark.parametrize("provider", ["company", "azure-ad", "<provider>"])
def test_those_of_a_provider_are(provider: str) -> None:
    assert takes_logout_tokens(provider_path(provider, BACK_CHANNEL_LOGOUT))


@pytest.mark.parametrize(
    "path",
    [
        "/auth/oauth/company",
        "/auth/oauth/company/callback",
        "/auth/oauth//backchannel-logout",
        "/auth/oauth/backchannel-logout",
        "/auth/oauth/company/backchannel-logout/",
        "/auth/oauth/company/backchannel-logout/x",
        "/auth/oauth/company/x/backchannel-logout",
        "/auth/oauth/company/Backchannel-Logout",
        "/auth/oauth/company/frontchannel-logout",
        "/sign-out/auth/oauth/company/backchannel-logout",
        "/account/backchannel-logout",
        "/auth/oauth/company/backchannel-logout\n",
    ],
)
def test_no_other_is(path: str) -> None:
    """
    They are exempt from the checks of origin and token.
    """
    assert not takes_logout_tokens(path)
