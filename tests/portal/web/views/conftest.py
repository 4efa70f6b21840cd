"""A portal with a scripted provider, and a browser."""

from pathlib import Path

import pytest

from tests.provider.browser import Browser, Portal
from tests.provider.scripted import ScriptedProvider


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def portal(tmp_path: Path, provider: ScriptedProvider) -> Portal:
    portal = Portal(tmp_path)
    portal.providers["company"] = provider
    return portal


@pytest.fixture
def browser(portal: Portal) -> Browser:
    return Browser(portal)
