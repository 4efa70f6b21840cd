"""What the tests of the supervisor share."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def control() -> Iterator[Path]:
    """Where operators ask; a short name, as Unix sockets need it."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "supervisor.sock"
