"""What may be given as a source, and what a Space's README may say."""

import re
from pathlib import Path

import pytest

from gradio_apps.runtime.host.source import Source, SourceError, read_source
from portal.contract.spaces import NotASpace, parse_front_matter


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
    ("readme", "front_matter"),
    [
        ("", {}),
        ("---\n---\n", {}),
        ("# Title\nsdk: gradio\n", {}),
        ("\ufeff---\nsdk: gradio\n---\napp_file: not.py", {"sdk": "gradio"}),
        ("---\ntags:\n  - a\n  - b\nsdk: gradio\n", {"tags": ["a", "b"], "sdk": "gradio"}),
        ("---  \r\nsdk: gradio\r\n---\r\n", {"sdk": "gradio"}),
        (
            "---\nsdk_version: 5.0\npython_version: 3.10\nmade: 2026-01-31\npinned: no\nempty:\n---",
            {"sdk_version": "5.0", "python_version": "3.10", "made": "2026-01-31", "pinned": "no", "empty": ""},
        ),
    ],
)
def test_the_front_matter_keeps_the_text_as_it_is_written(readme: str, front_matter: dict[str, object]) -> None:
    assert front_matter == parse_front_matter(readme)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("title: x\nsdk: 'gradio\"", "line 3: found unexpected end of stream"),
        ("title: a: b", "line 2: mapping values are not allowed here"),
        ("sdk:\n\t- gradio", "line 3: found character '\\t'"),
        ("sdk: gradio\nsdk: docker", "line 2: a key appears twice"),
        ("a: &a [x, x]\nb: &b [*a, *a]", "line 3: aliases are not supported"),
        ("? [a]\n: b", "line 2: found unhashable key"),
        ("title: a\x00b", "unacceptable character #x0000"),
        ("a: " + "[" * 10_000, "nested too deeply"),
        ('a: "\\U00110000"', "a number in it is too large"),
        ('a: "\\UFFFFFFFF"', "a number in it is too large"),
        (f"%YAML 1.{'1' * 5_000}\n--- a", "a number in it is too large"),
        ("- gradio", "not a list of `key: value` lines"),
        ("gradio", "not a list of `key: value` lines"),
        ("a\n---\n" + "x" * 70_000, "not a list"),
        ("x" * 70_000, "longer than 65536 characters"),
    ],
)
def test_a_front_matter_that_cannot_be_read_is_a_problem(tmp_path: Path, lines: str, problem: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{lines}\n---\n")
    (tmp_path / "app.py").touch()
    with pytest.raises(NotASpace, match=re.escape(problem)):
        parse_front_matter(f"---\n{lines}\n---\n")
    with pytest.raises(SourceError, match=r"README\.md: the front matter"):
        read_source(str(tmp_path), base=Path("/"))


@pytest.mark.parametrize("name", [r"\0", r"\uD800", "loop"])
def test_an_app_file_that_is_no_path_is_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "README.md").write_text(f'---\napp_file: "{name}"\n---\n')
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceError):
        read_source(str(tmp_path), base=Path("/"))
