"""Files of Gradio's cache belong to the people whose uploads and answers named them."""

from pathlib import Path

import pytest

from gradio_apps.runtime.guard.bindings import Owner
from gradio_apps.runtime.guard.cache_files import CacheFiles, cache_folder

ANA, BEN = Owner("ana", "acme"), Owner("ben", "acme")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "0a").mkdir(parents=True)
    (tmp_path / "cache" / "0a" / "plan.txt").write_text("hers")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    return tmp_path / "cache"


def files(cache: Path, *, shared: bool = False, limit: int = 10) -> CacheFiles:
    return CacheFiles(shared=shared, limit=limit, folder=lambda: str(cache))


SPELLED = [
    "{cache}/0a/plan.txt",
    "/{cache}/0a/plan.txt",
    "///{cache}/0a/plan.txt",
    "{cache}//0a/./plan.txt",
    "{cache}/0a/plan.txt/",
    "{cache}/0a/../0a/plan.txt",
    "{cache}/../cache/0a/plan.txt",
    "{cache}/../link/0a/plan.txt",
    "/proc/self/root{cache}/0a/plan.txt",
    "/proc/self/cwd/../../../../../../../../..{cache}/0a/plan.txt",
]


@pytest.mark.parametrize("spelled", SPELLED)
def test_a_file_is_the_same_however_its_path_is_written(spelled: str, cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)
    path = spelled.format(cache=cache)

    assert not held.allow([path], BEN)
    assert held.allow([path], ANA)


@pytest.mark.parametrize("spelled", SPELLED)
def test_an_answer_gives_it_however_it_writes_the_path(spelled: str, cache: Path) -> None:
    held = files(cache)
    held.named(spelled.format(cache=cache), ANA)

    assert held.allow([f"{cache}/0a/plan.txt"], ANA)
    assert not held.allow([f"{cache}/0a/plan.txt"], BEN)


@pytest.mark.parametrize(
    "path",
    [
        "{cache}",
        "{cache}/",
        "{cache}/0a",
        "{cache}/0A/plan.txt",
        "{cache}/0a/PLAN.txt",
        "{cache}/0a/plan.txt\0",
        "{cache}/unheard-of.txt",
        "\ud800",
        "\0",
    ],
)
def test_what_is_not_known_or_is_no_path_is_refused(path: str, cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert not held.allow([path.format(cache=cache)], ANA)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "plan.txt", "", "{cache}-of-others/x", "{cache}/../x", "https://example.com/x", "/" + "x" * 5000],
)
def test_what_is_outside_of_the_cache_is_not_held_against_anybody(path: str, cache: Path) -> None:
    held = files(cache)
    path = path.format(cache=cache)
    held.named(path, ANA)

    assert held.allow([path], BEN)
    assert not any(held._held.values())


def test_the_same_person_in_another_tenant_is_somebody_else(cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert not held.allow([f"{cache}/0a/plan.txt"], Owner("ana", "beta"))


def test_a_file_belongs_to_all_whom_it_was_named_to(cache: Path) -> None:
    """
    Two people who upload the same content get the same path.
    """
    held = files(cache)
    for owner in (ANA, BEN):
        held.named(f"{cache}/0a/plan.txt", owner)

    assert held.allow([f"{cache}/0a/plan.txt"], ANA)
    assert held.allow([f"{cache}/0a/plan.txt"], BEN)


def test_one_of_several_files_that_is_not_theirs_is_enough(cache: Path) -> None:
    held = files(cache)
    held.named(f"{cache}/own.txt", BEN)

    assert not held.allow([f"{cache}/own.txt", f"{cache}/0a/plan.txt"], BEN)


def test_one_persons_flood_forgets_only_their_own(cache: Path) -> None:
    held = files(cache, limit=10)
    held.named(f"{cache}/anas", ANA)
    held.named(f"{cache}/first", BEN)
    for number in range(100):
        held.named(f"{cache}/{number}", BEN)
        assert held.allow([f"{cache}/first"], BEN), "what is used is kept"

    assert held.allow([f"{cache}/anas"], ANA)
    assert not held.allow([f"{cache}/0"], BEN)
    assert sum(map(len, held._held.values())) == 11
    assert len(held._owners) == 11


def test_where_unknown_files_are_shared_another_persons_are_still_theirs(cache: Path) -> None:
    held = files(cache, shared=True)
    held.named(f"{cache}/0a/plan.txt", ANA)

    assert held.allow([f"{cache}/unknown.txt"], BEN)
    assert not held.allow([f"{cache}/0a/plan.txt"], BEN)
    assert not held.allow([f"{cache}/0a\0"], BEN)


def test_the_folder_is_the_one_that_gradio_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio.utils import get_upload_folder

    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "link"))
    assert cache_folder() == str(tmp_path / "there")
    assert Path(get_upload_folder()).resolve() == tmp_path / "there"

    monkeypatch.delenv("GRADIO_TEMP_DIR")
    assert Path(cache_folder()) == Path(get_upload_folder()).resolve()
