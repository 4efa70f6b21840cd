"""What may be given as a source, and what a Space's README may say."""

from pathlib import Path

import pytest

from gradio_apps.runtime.host.source import Source, SourceError, read_source
from portal.contract.spaces import front_matter


class TestReadSource:
    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").touch()

        assert Source(folder=tmp_path, file=tmp_path / "app.py") == read_source("app.py", base=tmp_path)
        assert str(tmp_path / "app.py") == read_source(str(tmp_path / "app.py"), base=Path("/")).argv0

    def test_a_module(self, tmp_path: Path) -> None:
        source = read_source("package.module", base=tmp_path)

        assert Source(folder=tmp_path, module="package.module") == source
        assert source.argv0 == "package.module"

    @pytest.mark.parametrize("text", ["nowhere.py", "folder/nowhere.py", "a-b", "a..b", "", "../x", "1a"])
    def test_what_is_not_there(self, tmp_path: Path, text: str) -> None:
        base = tmp_path / "empty"
        with pytest.raises(SourceError):
            read_source(text, base=base)


class TestSpace:
    def space(self, folder: Path, readme: str | None) -> Source:
        if readme is not None:
            (folder / "README.md").write_text(f"---\n{readme}\n---\n")
        for name in ("app.py", "other.py"):
            (folder / name).touch()
        return read_source(str(folder), base=Path("/"))

    @pytest.mark.parametrize("readme", [None, "title: x", "sdk: gradio", "app_file: app.py", "app_file:"])
    def test_app_py_unless_said_otherwise(self, tmp_path: Path, readme: str | None) -> None:
        assert tmp_path / "app.py" == self.space(tmp_path, readme).file

    @pytest.mark.parametrize("line", ["app_file: other.py", "app_file: 'other.py'  # yes", 'app_file : "./other.py"'])
    def test_the_file_its_readme_names(self, tmp_path: Path, line: str) -> None:
        assert Source(folder=tmp_path, file=tmp_path / "other.py") == self.space(tmp_path, line)

    @pytest.mark.parametrize(
        "readme", ["sdk: docker", "sdk: static", "app_file: ../app.py", "app_file: /etc/passwd", "app_file: gone.py"]
    )
    def test_what_is_refused(self, tmp_path: Path, readme: str) -> None:
        with pytest.raises(SourceError):
            self.space(tmp_path, readme)


@pytest.mark.parametrize(
    ("readme", "found"),
    [
        ("", {}),
        ("# Title\nsdk: gradio\n", {}),
        ("\ufeff---\nsdk: gradio\n---\napp_file: not.py", {"sdk": "gradio"}),
        ("---\ntags:\n  - a\n  - b\nsdk: gradio\n", {"sdk": "gradio"}),
        ("---  \r\nsdk: gradio\r\n---\r\n", {"sdk": "gradio"}),
        ("---\nsdk: 'gradio\"\n---", {}),
    ],
)
def test_only_plain_lines_of_the_front_matter_count(readme: str, found: dict[str, str]) -> None:
    assert found == front_matter(readme)
