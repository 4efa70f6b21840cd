"""The units, and what systemd itself thinks of them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from portal.contract.descriptors import WANTED
from portal.deployment.systemd import Commands, systemd_units
from portal.machine.programs import GUNICORN
from portal.rules.catalogue import Catalogue
from tests.builders import an_app, settings_for

COMMANDS = Commands(
    portal=GUNICORN,
    app=(sys.executable, "-P", "-m", "gradio_apps.serve"),
    own_interpreter=Path("/opt/gradio-portal/own_interpreter.py"),
    needed=(Path("/opt/gradio-portal"),),
)
APP = "gradio-app-forecast.service"


def units(folder: Path, *, config: Path = Path("/etc/gradio-portal/portal.toml"), **changes: Any) -> Mapping[str, str]:
    app = an_app(url="https://forecast.apps.example.com", **{"source": "/srv/forecast.py", "port": 7810, **changes})
    elsewhere = an_app(slug="elsewhere", url="https://elsewhere.example.com")
    settings = settings_for(folder, catalogue=Catalogue((app, elsewhere)))
    return systemd_units(settings, port=7800, config=config, commands=COMMANDS)


@pytest.mark.usefixtures("processes")
def test_systemd_accepts_them(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("install systemd to have it read the units")
    written = units(Path("/var/lib/gradio-portal"), env=(("MODEL", '50% $HOME \\ "x"'),), secrets=("API_KEY",))
    for name, text in written.items():
        (tmp_path / name).write_text(text)

    said = subprocess.run(
        [program, "verify", "--man=no", *(str(tmp_path / name) for name in written)],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in said.stderr.splitlines() if "gradio-" in line]
    assert ours == [], said.stderr


def test_each_app_has_a_socket_and_a_service_of_its_own(tmp_path: Path) -> None:
    written = units(tmp_path)

    assert list(written) == ["gradio-portal.service", "gradio-app-forecast.socket", APP]
    assert "ListenStream=127.0.0.1:7810" in written["gradio-app-forecast.socket"]
    assert f'"{sys.executable}" "-P" "-m" "gradio_apps.serve" "/srv/forecast.py"' in written[APP]
    assert "DynamicUser=yes" in written[APP]
    assert "User=gradio-portal\n" in written["gradio-portal.service"]
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in written["gradio-portal.service"]


def test_an_app_has_the_limits_that_portal_toml_says(tmp_path: Path) -> None:
    written = units(tmp_path, memory=2_000_000_000, start_timeout=3600)[APP]

    assert "MemoryMax=2000000000\n" in written
    assert "MemorySwapMax=0\n" in written
    assert '"PORTAL_START_TIMEOUT=3600"' in written
    assert "MemoryMax" not in units(tmp_path)[APP]


def test_an_app_shares_files_without_a_known_owner_only_if_portal_toml_says_so(tmp_path: Path) -> None:
    assert '"PORTAL_APP_SHARED_FILES=true"' in units(tmp_path, shared_files=True)[APP]
    assert "PORTAL_APP_SHARED_FILES" not in units(tmp_path)[APP]


@pytest.mark.parametrize("name", ["gradio-portal.service", APP])
def test_each_may_open_as_many_files_as_many_connections_take(tmp_path: Path, name: str) -> None:
    assert f"\nLimitNOFILE={WANTED}\n" in units(tmp_path)[name]


def test_users_of_the_operators_choice_and_files_of_variables(tmp_path: Path) -> None:
    one = an_app(slug="one", source="/srv/a.py", port=7810, user="forecast", env_file="/etc/apps/one.env")
    two = an_app(slug="two", source="/srv/b.py", port=7811, env_file="/etc/apps/50% two.env")
    settings = settings_for(tmp_path, catalogue=Catalogue((one, two)), user="portal", apps_run_by="systemd")
    written = systemd_units(settings, port=7800, config=Path("/etc/portal.toml"), commands=COMMANDS)
    first, second = written["gradio-app-one.service"], written["gradio-app-two.service"]

    assert "User=portal\n" in written["gradio-portal.service"]
    assert "User=forecast\nSupplementaryGroups=\n" in first
    assert "DynamicUser" not in first
    assert "DynamicUser=yes" in second
    assert "EnvironmentFile=/etc/apps/one.env\n" in first
    assert "EnvironmentFile=/etc/apps/50%% two.env\n" in second
    assert '"-/etc/apps/50%% two.env"' in first
    assert '"-/etc/apps/one.env"' in second


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("name", "most"), [("gradio-portal.service", 1.9), (APP, 1.9)])
def test_systemd_finds_little_left_open(tmp_path: Path, name: str, most: float) -> None:
    """Exposure goes from 0, nothing, to 10, everything; ``systemd-analyze security`` says what makes it up."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("install systemd to have it check the units")
    (tmp_path / name).write_text(units(Path("/var/lib/gradio-portal"))[name])

    said = subprocess.run(
        [program, "security", "--offline=yes", "--no-pager", str(tmp_path / name)],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    overall = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said.stdout)
    assert overall is not None, said.stderr
    assert float(overall[1]) <= most, said.stdout


def test_an_app_gets_what_its_guard_needs_and_nothing_of_the_portals(tmp_path: Path) -> None:
    app = units(tmp_path, env=(("PORTAL_URL", "https://evil.example.com"), ("MODEL", "small")), secrets=("API_KEY",))[
        APP
    ]

    assert 'Environment="PORTAL_URL=https://portal.example.com"' in app
    assert 'Environment="PORTAL_INTERNAL_URL=http://127.0.0.1:7800"' in app
    assert 'Environment="MODEL=small"' in app
    assert "evil" not in app
    assert "LoadCredential=secret:/etc/gradio-portal/forecast.secret" in app
    assert "EnvironmentFile=/etc/gradio-portal/forecast.env" in app
    assert "portal.env" not in app
    assert f'InaccessiblePaths="-{tmp_path}" "-/etc/gradio-portal/portal.toml" -/etc/gradio-portal' in app
    assert "EnvironmentFile" not in units(tmp_path)[APP]


@pytest.mark.parametrize("name", ["gradio-portal.service", APP])
def test_services_are_hardened(tmp_path: Path, name: str) -> None:
    text = units(tmp_path)[name]

    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "RestrictNamespaces=yes"):
        assert setting in text.splitlines()


@pytest.mark.parametrize(
    ("source", "home"), [("/srv/app.py", "yes"), ("/home/ana/app.py", "read-only"), ("package.module", "yes")]
)
def test_homes_are_hidden_unless_something_is_there(tmp_path: Path, source: str, home: str) -> None:
    assert f"ProtectHome={home}" in units(tmp_path, source=source)[APP]


def test_the_data_folder_is_systemds_under_var_lib_and_the_operators_elsewhere(tmp_path: Path) -> None:
    under = units(Path("/var/lib/gradio-portal"))["gradio-portal.service"]
    elsewhere = units(tmp_path)["gradio-portal.service"]

    assert 'StateDirectory="gradio-portal"' in under
    assert f'ReadWritePaths="{tmp_path}"' in elsewhere


def test_nothing_in_a_value_begins_a_setting_or_a_specifier(tmp_path: Path) -> None:
    text = units(tmp_path, title="50% off", env=(("A", '%h "quoted" \\ $HOME'),))[APP]

    assert "Description=50%% off" in text
    assert r'Environment="A=%%h \"quoted\" \\ $HOME"' in text
    with pytest.raises(ValueError, match="cannot be written"):
        units(tmp_path, env=(("A", "x\nExecStartPre=/bin/evil"),))


def test_an_app_with_an_interpreter_of_its_own_is_run_by_that(tmp_path: Path) -> None:
    written = units(tmp_path, python="/srv/venv/bin/python")[APP]
    at_home = units(tmp_path, python="/home/ana/venv/bin/python")[APP]

    command = '"/srv/venv/bin/python" "/opt/gradio-portal/own_interpreter.py" "/srv/forecast.py"'
    assert f"ExecStart={command}\n" in written
    assert "ProtectHome=yes" in written
    assert "ProtectHome=read-only" in at_home


def test_a_home_is_seen_where_the_interpreter_of_an_environment_is_a_link_to_one_there(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to("/root/.local/share/uv/python/bin/python3")

    assert "ProtectHome=read-only" in units(Path("/var/lib/gradio-portal"), python=str(link))[APP]


@pytest.mark.parametrize("key", ["source", "python"])
@pytest.mark.parametrize("folder", ["/etc/gradio-portal/apps", "/var/lib/gradio-portal/apps"])
def test_what_a_unit_would_not_see_is_refused(key: str, folder: str) -> None:
    changes: dict[str, Any] = {key: f"{folder}/x"}
    with pytest.raises(ValueError, match=rf"apps.forecast.{key} is in /\S+, which is the portal's own"):
        units(Path("/var/lib/gradio-portal"), **changes)


def test_an_app_is_never_handed_the_portals_own_variables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"get /etc/gradio-portal/portal.env, which is the portal's own"):
        units(tmp_path, slug="portal", secrets=("API_KEY",))
    assert "EnvironmentFile" not in units(tmp_path, slug="portal")["gradio-app-portal.service"]
