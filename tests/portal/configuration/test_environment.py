from pathlib import Path

from portal.configuration import environment


def test_the_file_fills_what_the_environment_leaves_open(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=of-the-file\nB='quoted value'\nC\n# D=comment\nexport E=x\n", encoding="utf-8")

    assert environment({"A": "real"}, tmp_path) == {"A": "real", "B": "quoted value", "E": "x"}


def test_a_mark_of_byte_order_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=of-the-file\n", encoding="utf-8-sig")

    assert environment({}, tmp_path) == {"A": "of-the-file"}


def test_without_a_file_there_is_the_environment(tmp_path: Path) -> None:
    assert environment({"A": "real"}, tmp_path) == {"A": "real"}


def test_a_secret_with_a_dollar_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=a${HOME}b$c\n", encoding="utf-8")

    assert environment({"HOME": "/root"}, tmp_path)["SECRET"] == "a${HOME}b$c"


def test_the_environment_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n", encoding="utf-8")
    environ = {"B": "2"}

    environment(environ, tmp_path)["C"] = "3"

    assert environ == {"B": "2"}
