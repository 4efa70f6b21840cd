"""A demo is written down as an ordinary configuration, in a folder that is nobody else's."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from portal.cli.demo import APPS
from portal.configuration import cookie_mode, load
from portal.demo.setup import SECRET_VARIABLE, Sample, SampleApp, as_toml, write_down
from portal.machine.isolation import isolation_of
from portal.machine.ports import chosen_ports
from portal.settings import Settings


def a_sample(folder: Path, *, plain_names: bool = False, apps: tuple[SampleApp, ...] = APPS) -> Sample:
    return Sample(
        name="the demo",
        folder=folder / "demo",
        ports=chosen_ports(7800, apps=len(apps)),
        apps=apps,
        landing=(apps[0].slug,),
        plain_names=plain_names,
    )


def loaded(sample: Sample) -> Settings:
    key = write_down(sample)
    return load({"PORTAL_CONFIG": str(sample.config), "PORTAL_SECRET_KEY": key, SECRET_VARIABLE: "s" * 43})


def test_the_demo_is_a_configuration_without_problems(tmp_path: Path) -> None:
    settings = loaded(a_sample(tmp_path))

    assert settings.url == "http://portal.demo.localhost:7800"
    assert [(app.slug, app.url) for app in settings.catalogue] == [
        ("user-dashboard", "http://user-dashboard.demo.localhost:7810"),
        ("admin-dashboard", "http://admin-dashboard.demo.localhost:7811"),
        ("showcase", "http://showcase.demo.localhost:7812"),
    ]
    assert settings.internal_url == "http://127.0.0.1:7800"
    assert settings.data_dir.resolve() == (tmp_path / "demo").resolve()
    assert [(spec.id, spec.provider_type, spec.issuer) for spec in settings.providers] == [
        ("demo", "descope", "http://127.0.0.1:7801")
    ]
    assert isolation_of(settings).level == "own-origin"
    assert {cookie_mode(settings, app) for app in settings.catalogue} == {"lax"}


def test_only_the_admin_dashboard_is_kept_from_the_others(tmp_path: Path) -> None:
    apps = {app.slug: app for app in loaded(a_sample(tmp_path)).catalogue}

    assert apps["admin-dashboard"].open_to == {"admin"}
    assert apps["admin-dashboard"].portal_api == {"audit:read", "sign-ins:read", "sign-ins:end"}
    assert "everyone" in apps["user-dashboard"].open_to
    assert "everyone" in apps["showcase"].open_to
    assert not apps["showcase"].portal_api


def test_plain_names_do_without_localhost_names(tmp_path: Path) -> None:
    settings = loaded(a_sample(tmp_path, plain_names=True))

    assert settings.url == "http://127.0.0.1:7800"
    assert [app.url for app in settings.catalogue] == [f"http://127.0.0.1:{port}" for port in (7810, 7811, 7812)]
    assert isolation_of(settings).level == "portal-host"


@pytest.mark.parametrize(
    "text", ['a "quoted" one', "back\\slash", "tab\tand\nline", "é 🚀 \u2028", "\x7f", "'''", "# [x]", "${HOME} {app}"]
)
def test_any_text_survives_being_written_down(tmp_path: Path, text: str) -> None:
    app = replace(APPS[0], title=text, source=text, description=text)
    written = tomllib.loads(as_toml(a_sample(tmp_path, apps=(app,))))["apps"]["user-dashboard"]

    assert (written["title"], written["source"], written["description"]) == (text, text, text)


class TestFolder:
    def test_it_is_for_this_user_alone(self, tmp_path: Path) -> None:
        sample = a_sample(tmp_path)
        sample.folder.mkdir(mode=0o755)
        write_down(sample)

        assert sample.folder.stat().st_mode & 0o777 == 0o700
        for name in ("portal.toml", "secret-key"):
            assert (sample.folder / name).stat().st_mode & 0o777 == 0o600

    def test_the_key_is_made_once(self, tmp_path: Path) -> None:
        sample = a_sample(tmp_path)
        key = write_down(sample)

        assert len(key) >= 43
        assert write_down(sample) == key
        assert write_down(a_sample(tmp_path / "other")) != key

    @pytest.mark.parametrize("damage", [b"", b"short\n", b"\xff\xfe" * 40, b"with spaces " * 8])
    def test_a_damaged_key_is_made_anew(self, tmp_path: Path, damage: bytes) -> None:
        sample = a_sample(tmp_path)
        write_down(sample)
        (sample.folder / "secret-key").write_bytes(damage)
        key = write_down(sample)

        assert len(key) >= 43
        assert write_down(sample) == key

    def test_no_secret_stands_in_the_configuration(self, tmp_path: Path) -> None:
        sample = a_sample(tmp_path)
        key = write_down(sample)

        assert key not in sample.config.read_text(encoding="utf-8")
