from pathlib import Path

import pytest

from portal.claims import READINGS
from portal.errors import SettingsError
from portal.providers.oidc import OidcProvider
from portal.providers.registry import FLOWS, build_providers
from tests.builders import a_provider, settings_for


def test_providers_come_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    specs = (a_provider(id="one"), a_provider(id="two", kind="descope"))
    providers = build_providers(settings_for(tmp_path, providers=specs))

    assert list(providers) == ["one", "two"]
    assert [provider.spec for provider in providers.values()] == list(specs)
    assert isinstance(providers["one"], OidcProvider)


def test_every_unknown_kind_is_named_at_once(tmp_path: Path) -> None:
    specs = (a_provider(id="one", kind="ldap"), a_provider(), a_provider(id="two", kind="saml"))

    with pytest.raises(SettingsError) as caught:
        build_providers(settings_for(tmp_path, providers=specs))
    assert [problem.key for problem in caught.value.problems] == ["one.kind", "two.kind"]


def test_every_kind_has_a_reading_and_a_flow() -> None:
    assert set(FLOWS) == set(READINGS)
