"""The guard under test runs on asyncio, as it does under uvicorn."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
