"""``portal try`` finds the app, and a name for it."""

from pathlib import Path

import pytest

from portal.cli.failure import CommandFailed
from portal.cli.try_app import default_folder, slug_of, source_at, title_of


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/x/forecast.py", "forecast"),
        ("/x/My Forecast_2.py", "my-forecast-2"),
        ("/x/weather/app.py", "weather"),
        ("/x/Weather Map/main.py", "weather-map"),
        ("/x/---/app.py", "app"),
        ("/app.py", "app"),
        ("/x/日本.py", "app"),
        ("/x/portal.py", "portal-app"),
        ("/x/" + "n" * 90 + ".py", "n" * 50),
    ],
)
def test_a_name_for_addresses_comes_from_the_file_or_its_folder(path: str, slug: str) -> None:
    assert slug_of(Path(path)) == slug


def test_a_folder_gives_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "my-space").mkdir()

    assert slug_of(tmp_path / "my-space") == "my-space"


def test_titles_are_words() -> None:
    assert title_of("weather-map") == "Weather map"


class TestSource:
    def test_a_file_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").touch()

        assert source_at(tmp_path / "app.py") == tmp_path / "app.py"

    @pytest.mark.parametrize("name", ["README.md", "app.py"])
    def test_a_folder_is_found(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()

        assert source_at(tmp_path) == tmp_path

    def test_a_folder_without_an_app_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed, match=r"neither a README\.md"):
            source_at(tmp_path)

    def test_a_file_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CommandFailed, match="There is no file"):
            source_at(tmp_path / "app.py")

    def test_a_file_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        with pytest.raises(CommandFailed, match="no Python file"):
            source_at(tmp_path / "notes.txt")


class TestFolder:
    def test_it_lies_in_the_users_cache(self) -> None:
        folder = default_folder(Path("/x/app.py"), port=7800, environ={"XDG_CACHE_HOME": "/cache"})

        assert folder.parent == Path("/cache/gradio-portal")

    @pytest.mark.parametrize("cache", [{}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}])
    def test_without_one_below_the_home_folder(self, cache: dict[str, str]) -> None:
        folder = default_folder(Path("/x/app.py"), port=7800, environ=cache)

        assert folder.parent == Path.home() / ".cache" / "gradio-portal"

    def test_somebody_without_a_home_folder_is_told_the_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr("os.getuid", lambda: 4_000_000)
        with pytest.raises(CommandFailed, match=r"You have no home folder.*--data-dir"):
            default_folder(Path("/x/app.py"), port=7800, environ={})

    def test_apps_and_ports_share_none(self) -> None:
        folders = {
            default_folder(Path(path), port=port, environ={})
            for path in ("/x/app.py", "/y/app.py")
            for port in (0, 7800, 7900)
        }

        assert len(folders) == 6
