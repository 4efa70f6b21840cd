from pathlib import Path

import pytest

from portal.errors import SettingsError
from portal.sign_in.providers.registry import build_providers
from tests.builders import a_provider, settings_for


def test_providers_come_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    specs = (a_provider(id="one"), a_provider(id="two", provider_type="descope"))
    providers = build_providers(settings_for(tmp_path, providers=specs))

    assert list(providers) == ["one", "two"]
    assert [provider.spec for provider in providers.values()] == list(specs)


def test_every_unknown_type_is_named_at_once(tmp_path: Path) -> None:
    specs = (a_provider(id="one", provider_type="ldap"), a_provider(), a_provider(id="two", provider_type="saml"))

    with pytest.raises(SettingsError) as caught:
        build_providers(settings_for(tmp_path, providers=specs))
    assert [problem.key for problem in caught.value.problems] == ["one.type", "two.type"]


def test_metadata_of_one_provider_cannot_claim_the_issuer_written_for_another(tmp_path: Path) -> None:
    written = a_provider(id="one", issuer="https://id.example.com/tenant-b")
    named = a_provider(
        id="two",
        issuer="https://id.example.com/tenant-a",
        issuer_of_document=True,
        discovery="https://id.example.com/tenant-a/.well-known/openid-configuration",
    )
    spec = build_providers(settings_for(tmp_path, providers=(written, named)))["two"].spec

    assert spec.with_issuer("https://id.example.com/tenant-b") is spec
    assert spec.with_issuer("https://id.example.com/tenant-a/").issuer == "https://id.example.com/tenant-a/"
