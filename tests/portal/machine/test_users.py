"""Users that portal and apps must not run as."""

from pathlib import Path
from typing import Any

import pytest

from portal.machine.users import Account, SystemUsers, accounts_of
from portal.rules.catalogue import Catalogue
from portal.settings import Settings
from tests.builders import an_app, settings_for

PEOPLE = {
    "root": Account(uid=0, gid=0, name="root", home="/root"),
    "toor": Account(uid=0, gid=0, name="toor"),
    "wheel": Account(uid=901, gid=0, name="wheel"),
    "nobody": Account(uid=65534, gid=65534, name="nobody"),
    "in-nogroup": Account(uid=902, gid=65534, name="in-nogroup"),
    "gradio-portal": Account(uid=900, gid=900, name="gradio-portal", home="/var/lib/gradio-portal"),
    "portals-twin": Account(uid=900, gid=904, name="portals-twin"),
    "portals-mate": Account(uid=905, gid=900, name="portals-mate"),
    "forecast": Account(uid=910, gid=910, name="forecast"),
    "billing": Account(uid=911, gid=911, name="billing"),
    "billings-twin": Account(uid=911, gid=912, name="billings-twin"),
    "billings-mate": Account(uid=913, gid=911, name="billings-mate"),
    "somebody": Account(uid=70007, gid=500, name="somebody"),
}
GROUPS = frozenset({0, 500, 900, 904, 910, 911, 912, 65534, 70008})
RANGE = range(70000, 80000)


class Village:
    """A machine with the people above."""

    def by_name(self, name: str) -> Account | None:
        return PEOPLE.get(name)

    def by_uid(self, uid: int) -> Account | None:
        return next((one for one in PEOPLE.values() if one.uid == uid), None)

    def has_group(self, gid: int) -> bool:
        return gid in GROUPS


def configured(folder: Path, *users: str | None, **settings: Any) -> Settings:
    apps = tuple(
        an_app(slug=slug, url=f"https://{slug}.apps.example.com", source="x", port=7810 + at, user=user)
        for at, (slug, user) in enumerate(zip(("one", "two"), users, strict=False))
    )
    return settings_for(folder, catalogue=Catalogue(apps), **{"user": "gradio-portal", **settings})


def problems(settings: Settings) -> list[tuple[str, str]]:
    _, found = accounts_of(settings, place="portal.toml", directory=Village())
    return [(problem.key, problem.what) for problem in found]


@pytest.mark.parametrize(
    ("user", "what"),
    [
        ("root", "must not be root or in root's group"),
        ("toor", "must not be root or in root's group"),
        ("wheel", "must not be root or in root's group"),
        ("nobody", "must not be nobody"),
        ("in-nogroup", "must not be nobody"),
        ("65534", "must not be nobody"),
        ("gradio-portal", "must not be the portal's user"),
        ("900", "must not be the portal's user"),
        ("portals-twin", "must not be the portal's user"),
        ("portals-mate", "must not be in the portal's group"),
        ("mallory", "names 'mallory', which is not a user of this machine"),
        ("4711", "names '4711', which is not a user of this machine"),
        ("70007", "is 70007 of portal.app_uids, but the user somebody has that number"),
        ("70008", "is 70008 of portal.app_uids, but a group has that number"),
    ],
)
@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
def test_an_app_never_runs_as_a_user_with_other_rights(tmp_path: Path, user: str, what: str, *, trusted: bool) -> None:
    [(key, said)] = problems(configured(tmp_path, user, app_uids=RANGE, trust_apps=trusted))

    assert key == "apps.one.user"
    assert said.startswith(what)


@pytest.mark.parametrize("user", ["forecast", "910", "70123"])
def test_a_user_of_its_own_is_accepted(tmp_path: Path, user: str) -> None:
    accounts, found = accounts_of(
        configured(tmp_path, user, "billing", app_uids=RANGE), place="portal.toml", directory=Village()
    )

    assert found == ()
    assert accounts.portal == PEOPLE["gradio-portal"]
    assert accounts.apps["one"].uid == (70123 if user == "70123" else 910)
    assert accounts.apps["one"].gid == accounts.apps["one"].uid


@pytest.mark.parametrize("other", ["911", "billings-twin", "billings-mate"])
@pytest.mark.parametrize("trusted", [False, True], ids=["untrusted", "trusted"])
def test_two_names_for_one_user_do_not_hide_that_it_is_one(tmp_path: Path, other: str, *, trusted: bool) -> None:
    found = problems(configured(tmp_path, "billing", other, trust_apps=trusted))

    assert [key for key, _ in found] == ["apps.two.user"]
    assert "of the user of one" in found[0][1]


def test_one_name_for_two_apps_is_checked_by_the_configuration(tmp_path: Path) -> None:
    assert problems(configured(tmp_path, "billing", "billing", trust_apps=True)) == []


@pytest.mark.parametrize(
    ("user", "what"),
    [
        ("mallory", "names 'mallory', which is not a user of this machine"),
        ("toor", "must not be root or in root's group"),
        ("wheel", "must not be root or in root's group"),
        (None, "is missing although apps have users of their own"),
    ],
)
def test_the_portal_is_never_root_beside_apps(tmp_path: Path, user: str | None, what: str) -> None:
    [(key, said)] = problems(configured(tmp_path, "forecast", user=user))

    assert key == "portal.user"
    assert said.startswith(what)


def test_no_user_is_needed_if_systemd_starts_the_apps(tmp_path: Path) -> None:
    assert problems(configured(tmp_path, "forecast", user=None, apps_run_by="systemd")) == []
    assert problems(configured(tmp_path, None, user=None)) == []


def test_this_machine_knows_root() -> None:
    machine = SystemUsers()

    assert machine.by_name("root") == machine.by_uid(0)
    assert machine.has_group(0)
    assert (machine.by_name("no-such-user-here"), machine.by_uid(2**31 - 7)) == (None, None)
    assert not machine.has_group(2**31 - 7)
    assert (str(machine.by_uid(0)), str(Account(uid=7, gid=7))) == ("root (0)", "user 7")
