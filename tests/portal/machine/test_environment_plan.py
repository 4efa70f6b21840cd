"""What is installed for an app, from the files beside its source."""

import pytest

from portal.contract.interpreters import GRADIO, NEEDED
from portal.machine.environment_plan import CannotBeServed, SourceFiles, install_plan_for

OLD, NEW = GRADIO
OTHERS = tuple(f"{name}>={oldest},<{below}" for name, oldest, below in NEEDED)


def gradio_for(requirements: str | None) -> str:
    first, *others = install_plan_for(SourceFiles(requirements=requirements), python="3.11").added
    assert tuple(others) == OTHERS
    return first


@pytest.mark.parametrize(
    ("requirements", "chosen"),
    [
        (None, NEW),
        ("", NEW),
        ("numpy\npandas==2.*\n", NEW),
        ("gradio", NEW),
        ("gradio>=4", NEW),
        ("Gradio[oauth] >= 5.0  # the queue", NEW),
        ("gradio<6", OLD),
        ("gradio~=5.0", OLD),
        (f"gradio=={OLD}.0", OLD),
        (f"gradio=={NEW}.0 --hash=sha256:{'0' * 64}", NEW),
        ("gradio>=5\ngradio<6", OLD),
        ("gradio==4.44.1 ; python_version < '3'\n", NEW),
        ("gradio>=5,\\\n  <6", OLD),
        ("# gradio==3.50\n-r others.txt\n./wheels/own.whl\n--index-url https://example.com/simple\n", NEW),
        ("gradio_client==1.0", NEW),
    ],
)
def test_the_newest_gradio_that_the_requirements_allow(requirements: str | None, chosen: str) -> None:
    assert gradio_for(requirements) == f"gradio=={chosen}.*"


@pytest.mark.parametrize("asked", ["==4.44.1", "==3.*", ">=7", "==5.49.1", "<5.50", "!=5.50.*,<6", "===5.0"])
def test_a_gradio_that_cannot_be_served_is_refused_before_anything_is_made(asked: str) -> None:
    with pytest.raises(CannotBeServed) as refused:
        install_plan_for(SourceFiles(requirements=f"gradio{asked}", requirements_name="needs.txt"), python="3.11")

    said = str(refused.value)
    assert said.startswith("needs.txt requires gradio")
    assert f"only with Gradio {OLD} or {NEW}" in said
    assert f"Write gradio=={OLD}.* or gradio=={NEW}.* there" in said


@pytest.mark.parametrize(
    ("sdk_version", "requirements", "chosen", "noted"),
    [
        ("5.9.1", None, OLD, True),
        ("5.50.0", None, OLD, False),
        ("6.0.0", None, NEW, True),
        ("6.99.0", None, NEW, True),
        (f"{NEW}.0", None, NEW, False),
        ("5.9.1", "gradio>=5", OLD, True),
        ("5.9.1", "gradio>=6", NEW, True),
        ("4.44.0", "gradio>=6", NEW, True),
    ],
)
def test_a_space_gets_the_gradio_nearest_to_its_own(
    sdk_version: str, requirements: str | None, chosen: str, *, noted: bool
) -> None:
    beside = SourceFiles(requirements=requirements, sdk_version=sdk_version, is_space=True)
    wanted = install_plan_for(beside, python="3.11")

    assert wanted.added[0] == f"gradio[oauth,mcp]=={chosen}.*"
    said = f"README.md says sdk_version {sdk_version}; Gradio {chosen} is installed instead."
    assert (said in wanted.notes) is noted


@pytest.mark.parametrize("sdk_version", ["4.44.1", "3.50.2", "7.0.0", "newest"])
def test_a_space_of_another_time_is_refused(sdk_version: str) -> None:
    with pytest.raises(CannotBeServed, match="says sdk_version"):
        install_plan_for(SourceFiles(sdk_version=sdk_version, is_space=True), python="3.11")


@pytest.mark.parametrize(
    ("asked", "python", "noted"),
    [("3.11", "3.11", False), ("3.11.4", "3.11", False), ("3", "3.12", False), ("3.10", "3.11", True)],
)
def test_a_spaces_python_is_compared(asked: str, python: str, *, noted: bool) -> None:
    notes = install_plan_for(SourceFiles(requirements="", python_version=asked, is_space=True), python=python).notes

    assert notes == ((f"README.md asks for Python {asked}; this environment has {python}. " + TAKEN,) if noted else ())


TAKEN = "Use --python for another one."


def test_what_is_left_to_the_operator_is_said() -> None:
    wanted = install_plan_for(SourceFiles(is_space=True, has_packages=True), python="3.11")

    assert any("packages.txt" in note and "not installed" in note for note in wanted.notes)
    assert any(note.startswith("There is no requirements.txt") for note in wanted.notes)


def test_a_gradio_from_an_address_is_taken_as_it_is() -> None:
    wanted = install_plan_for(
        SourceFiles(requirements="gradio @ https://example.com/gradio-6.31.0-py3-none-any.whl"), python="3.11"
    )

    assert wanted.added == OTHERS
    assert "names an address for Gradio" in wanted.notes[0]
