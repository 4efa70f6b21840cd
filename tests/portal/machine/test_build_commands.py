from pathlib import Path

import pytest

from portal.machine.build_commands import Builder


@pytest.mark.parametrize(
    ("variable", "cached"),
    [("HOME", True), ("XDG_CACHE_HOME", True), ("UV_CACHE_DIR", True), (None, False)],
)
def test_uv_works_without_a_cache_where_the_user_has_no_home(
    tmp_path: Path, variable: str | None, *, cached: bool
) -> None:
    environ = {"HOME": str(tmp_path / "none")}
    if variable is not None:
        environ[variable] = str(tmp_path)

    assert ("UV_NO_CACHE" not in Builder().variables(environ)) is cached
