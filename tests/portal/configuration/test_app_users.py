"""Users of apps as they are written, and the number that an app gets out of a range."""

from pathlib import Path

import pytest

from portal.configuration.app_users import NotARange, clashes, free_number, read_range, read_user, uid_for
from tests.portal.configuration.reading import GOOD, PORTAL, PROVIDER, ROLES, keys, loaded, problems

UNTRUSTED = PORTAL.replace("trust_apps = true", "")
REST = PROVIDER + ROLES


def apps(*lines: str, slugs: tuple[str, ...] = ("one",)) -> str:
    return "".join("\n".join((f"[apps.{slug}]", 'source = "some.module"', *lines, "")) for slug in slugs)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("forecast", "forecast"),
        ("app_1.x-y", "app_1.x-y"),
        (" spaced ", "spaced"),
        (70123, "70123"),
        ("070123", "70123"),
        (0, "0"),
        (-1, None),
        (2**31, None),
        (str(2**31), None),
        (True, None),
        (1.5, None),
        ("", None),
        ("a b", None),
        ("a:b", None),
        ("../up", None),
        ("-x", None),
        ("ü", None),
        ("a\n", "a"),
        ("a\nb", None),
        ("x" * 33, None),
        (["a"], None),
    ],
)
def test_a_user_is_a_name_or_a_number(value: object, user: str | None) -> None:
    assert read_user(value) == user


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("70000-79999", range(70000, 80000)), (" 1000 - 1099 ", range(1000, 1100)), ("65536-65635", range(65536, 65636))],
)
def test_a_range_has_both_its_ends(text: str, numbers: range) -> None:
    assert read_range(text) == numbers


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("70000", "is not a range"),
        ("70000-", "is not a range"),
        ("a-b", "is not a range"),
        ("-1-100", "is not a range"),
        ("79999-70000", "has fewer than 100"),
        ("70000-70098", "has fewer than 100"),
        ("0-9999", "goes beyond"),
        ("999-2000", "goes beyond"),
        ("2147483000-2147483648", "goes beyond"),
        ("61000-61999", "which are systemd's"),
        ("60000-70000", "which are systemd's"),
        ("65435-65535", "which are systemd's"),
    ],
)
def test_a_range_of_other_users_is_a_problem(text: str, why: str) -> None:
    with pytest.raises(NotARange, match=why):
        read_range(text)


def test_an_apps_number_hangs_on_its_name_alone(tmp_path: Path) -> None:
    text = UNTRUSTED + 'app_uids = "70000-79999"\n' + REST
    alone = loaded(tmp_path, text + apps()).catalogue.find("one")
    among = loaded(tmp_path, text + apps(slugs=("zero", "one", "two"))).catalogue.find("one")

    assert alone is not None
    assert among is not None
    assert alone.user == among.user == str(uid_for("one", range(70000, 80000))) == "70241"


def test_an_app_that_runs_elsewhere_gets_none(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD.replace("trust_apps = true", 'app_uids = "70000-79999"'))

    assert [app.user for app in settings.catalogue] == [None]


def test_where_two_meet_on_a_number_a_free_one_is_named(tmp_path: Path) -> None:
    numbers = range(70000, 70100)
    first: dict[int, str] = {}
    for slug in (f"app-{at}" for at in range(200)):
        other = first.setdefault(uid_for(slug, numbers), slug)
        if other != slug:
            break
    text = UNTRUSTED + 'app_uids = "70000-70099"\n' + REST
    [problem] = problems(tmp_path, text + apps(slugs=(other, slug)))
    fixed = loaded(
        tmp_path,
        text + apps(slugs=(other,)) + apps(problem.fix.split(" for")[0].removeprefix("Write "), slugs=(slug,)),
    )

    assert problem.key == f"apps.{slug}.user"
    assert f"is also the user of {other}" in problem.what
    assert len({app.user for app in fixed.catalogue}) == 2


def test_a_clash_is_reported_with_the_first_app(tmp_path: Path) -> None:
    del tmp_path
    assert list(clashes({"a": "x", "b": "y", "c": "x", "d": "x"})) == [("c", "a"), ("d", "a")]
    assert free_number(range(5, 8), ["5", "name", "7"]) == 6
    assert free_number(range(5, 7), ["5", "6"]) is None


@pytest.mark.parametrize(
    ("said", "app", "wrong"),
    [
        pytest.param("", "", ["apps.one.source"], id="nobody said"),
        pytest.param("", 'user = "forecast"', [], id="a user of its own"),
        pytest.param('app_uids = "70000-79999"', "", [], id="a number of its own"),
        pytest.param('apps_run_by = "systemd"', "", [], id="a unit"),
        pytest.param('apps_run_by = "portal"', "", ["apps.one.source"], id="said to be the portal"),
        pytest.param('apps_run_by = "docker"', "", ["portal.apps_run_by", "apps.one.source"], id="nobody we know"),
        pytest.param("apps_run_by = true", "", ["portal.apps_run_by", "apps.one.source"], id="no text"),
        pytest.param(
            'apps_run_by = "systemd"\napp_uids = "70000-79999"',
            "",
            ["portal.app_uids"],
            id="systemd gives users itself",
        ),
        pytest.param('app_uids = "1-2"', "", ["portal.app_uids"], id="no such range"),
        pytest.param("", 'user = "root"', ["apps.one.user", "apps.one.source"], id="root"),
        pytest.param("", "user = 0", ["apps.one.user", "apps.one.source"], id="root by number"),
        pytest.param("", "user = true", ["apps.one.user", "apps.one.source"], id="no user"),
        pytest.param('user = "root"', 'user = "forecast"', ["portal.user"], id="the portal as root"),
        pytest.param('user = "forecast"', 'user = "forecast"', ["apps.one.user"], id="the portal's own"),
        pytest.param('trust_apps = true\nuser = "x"', 'user = "x"', ["apps.one.user"], id="that is not for sale"),
    ],
)
def test_outside_loopback_an_app_needs_a_user(tmp_path: Path, said: str, app: str, wrong: list[str]) -> None:
    assert keys(tmp_path, UNTRUSTED + said + "\n" + REST + apps(app)) == wrong


def test_one_user_for_two_apps_must_be_accepted(tmp_path: Path) -> None:
    two = REST + apps('user = "x"', slugs=("one", "two"))

    assert keys(tmp_path, UNTRUSTED + two) == ["apps.two.user"]
    assert keys(tmp_path, PORTAL + two) == []


def test_an_app_without_a_source_has_no_settings_of_a_process(tmp_path: Path) -> None:
    text = GOOD + 'user = "x"\nenv_file = "x.env"\n'

    assert keys(tmp_path, text) == ["apps.forecast.user", "apps.forecast.env_file"]


def test_folders_and_files_begin_at_the_file(tmp_path: Path) -> None:
    text = UNTRUSTED + 'apps_dir = "homes"\nuser = "gradio-portal"\n' + REST
    settings = loaded(tmp_path, text + apps('env_file = "secrets/one.env"', 'user = "x"'))
    [app] = settings.catalogue

    assert (settings.homes, app.env_file) == (tmp_path / "homes", str(tmp_path / "secrets" / "one.env"))
    assert loaded(tmp_path, text.replace('apps_dir = "homes"', "")).homes == tmp_path / ".portal-apps"
