"""``portal try`` finds the app, and a name for it."""

from pathlib import Path

import pytest

from portal.cli.try_app import (
    ENV_FILE,
    as_env_file,
    default_folder,
    env_file_in,
    features_in,
    slug_of,
    source_at,
    title_of,
    variables_for,
)
from portal.contract.env_files import read_env_file
from portal.machine.failure import CommandFailed


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
        with pytest.raises(CommandFailed, match="not a Python file"):
            source_at(tmp_path / "notes.txt")


class TestFolder:
    def test_it_lies_in_the_users_cache(self) -> None:
        folder = default_folder(Path("/x/app.py"), port=7800, environ={"XDG_CACHE_HOME": "/cache"})

        assert folder.parent == Path("/cache/gradio-portal")

    @pytest.mark.parametrize("cache", [{}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}])
    def test_without_one_below_the_home_folder(self, cache: dict[str, str]) -> None:
        folder = default_folder(Path("/x/app.py"), port=7800, environ=cache)

        assert folder.parent == Path.home() / ".cache" / "gradio-portal"

    def test_somebody_without_a_home_folder_is_shown_the_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
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


class TestVariables:
    @pytest.mark.parametrize(
        "value", ["x", " with space ", '"quoted"', "'", "a=b#c", "", "ä€", "back\\slash", '"', "tab\there"]
    )
    def test_a_value_arrives_as_it_is(self, value: str) -> None:
        variables = variables_for(["WEATHER_KEY"], file=None, environ={"WEATHER_KEY": value, "OTHER": "y"})

        assert variables == {"WEATHER_KEY": value}
        assert read_env_file(as_env_file(variables)) == variables

    def test_a_file_is_read_and_what_is_named_wins(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("# ours\nA='1'\nB=2\n")

        assert variables_for(["B"], file=tmp_path / ".env", environ={"B": "3"}) == {"A": "1", "B": "3"}

    @pytest.mark.parametrize(
        ("name", "environ", "message"),
        [
            ("WEATHER_KEY", {}, "WEATHER_KEY is not set"),
            ("WEATHER_KEY=secret-value", {}, "takes the name of a variable"),
            ("PORTAL_URL", {"PORTAL_URL": "secret-value"}, "PORTAL_URL cannot be given"),
            ("LD_PRELOAD", {"LD_PRELOAD": "secret-value"}, "LD_PRELOAD cannot be given"),
            ("A", {"A": "one\nB=secret-value"}, "must be one line"),
            ("A", {"A": "one\nsecret-value"}, "must be one line"),
            ("A-B", {"A-B": "secret-value"}, "cannot be given"),
        ],
    )
    def test_what_cannot_be_given_is_refused_by_name_alone(
        self, name: str, environ: dict[str, str], message: str
    ) -> None:
        with pytest.raises(CommandFailed, match=message) as failure:
            variables_for([name], file=None, environ=environ)
        assert "secret-value" not in str(failure.value)

    @pytest.mark.parametrize("content", [None, b"secret-value", b"PORTAL_URL=secret-value", b"\xff=secret-value"])
    def test_a_file_that_cannot_be_used_is_named_and_not_quoted(self, tmp_path: Path, content: bytes | None) -> None:
        if content is not None:
            (tmp_path / "x.env").write_bytes(content)
        with pytest.raises(CommandFailed, match=r"x\.env cannot be used") as failure:
            variables_for([], file=tmp_path / "x.env", environ={})
        assert "secret-value" not in str(failure.value)

    def test_they_are_kept_for_the_trial_alone_and_from_everybody_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "trial"
        with env_file_in(folder, {"A": "1"}):
            assert ((folder / ENV_FILE).stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
        assert not (folder / ENV_FILE).exists()
        (folder / ENV_FILE).write_text("A='of a trial that was killed'")
        with env_file_in(folder, {}):
            assert not (folder / ENV_FILE).exists()


class TestFeatures:
    def test_they_stand_between_commas(self) -> None:
        assert features_in("microphone, camera,,camera") == ("microphone", "camera")
        assert features_in("") == ()

    def test_one_that_is_not_known_is_refused_with_a_likely_one(self) -> None:
        with pytest.raises(CommandFailed, match="microphone"):
            features_in("camera,micrphone")
