"""A portal per test."""

from pathlib import Path

import pytest

from tests.portal.web.views.environment import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
