"""``portal config``: what is written where, and what cannot be."""

import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.cli import main
from tests.portal.configuration.reading import ENVIRON, GOOD

APPS = """
[apps.local]
source = "gradio_apps.showcase"
open_to = ["analyst"]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PORTAL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "portal.toml"
    file.write_text(GOOD + APPS)
    return file


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["config", *arguments])
    return code, capsys.readouterr().err


def test_a_name_that_is_too_long_for_nginx_is_said_beside_the_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(file.read_text().replace("{app}.apps", f"{{app}}.{'a' * 40}"))
    assert main(["config", "nginx", "--certificate", "c.pem", "--key", "k.pem", "--output", "portal.conf"]) == 0

    assert "    server_names_hash_bucket_size 128;\n" in capsys.readouterr().err
    assert "#     server_names_hash_bucket_size 128;\n" in (tmp_path / "portal.conf").read_text()


@pytest.mark.usefixtures("file")
def test_nginx_goes_to_standard_output_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["config", "nginx", "--certificate", "c.pem", "--key", "/etc/k.pem"]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert main([*arguments, "--output", "out.conf", "--port", "9000"]) == 0

    assert f'ssl_certificate "{tmp_path}/c.pem";' in output
    assert 'ssl_certificate_key "/etc/k.pem";' in output
    assert "proxy_pass http://127.0.0.1:7800;" in output
    assert "proxy_pass http://127.0.0.1:9000;" in (tmp_path / "out.conf").read_text()


@pytest.mark.usefixtures("file", "processes")
def test_caddy_may_get_its_certificates_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "caddy"]) == 0
    assert "tls" not in capsys.readouterr().out
    assert main(["config", "caddy", "--certificate", "c.pem", "--key", "k.pem"]) == 0
    assert "tls" in capsys.readouterr().out
    assert failure(capsys, "caddy", "--certificate", "c.pem") == (
        2,
        "portal: Give both --certificate and --key, or neither.\n",
    )


def test_units_go_to_standard_output_or_a_folder(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "systemd"]) == 0
    output = capsys.readouterr().out
    assert main(["config", "systemd", "--output", "units", "--config", "portal.toml", "--workers", "5"]) == 0

    names = {"gradio-portal.service", "gradio-app-local.socket", "gradio-app-local.service"}
    assert all(f"# {name}\n" in output for name in names)
    assert {path.name for path in (tmp_path / "units").iterdir()} == names
    portal = (tmp_path / "units" / "gradio-portal.service").read_text()
    assert f'"PORTAL_CONFIG={file}"' in portal
    assert '"--workers" "5"' in portal
    assert "from-the-environment" not in output


@pytest.mark.usefixtures("file", "processes")
def test_a_place_that_cannot_be_written_to_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = failure(capsys, "caddy", "--output", "nowhere/Caddyfile")
    assert (code, "nowhere/Caddyfile cannot be written" in error) == (1, True)


def test_addresses_without_tls_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        GOOD.replace("https://portal.example.com", "http://portal.demo.localhost:7800")
        .replace("https://{app}.apps.example.com", "http://{app}.demo.localhost:{port}")
        .replace("https://forecast.apps.example.com", "http://forecast.demo.localhost:1")
    )
    code, error = failure(capsys, "nginx", "--certificate", "c.pem", "--key", "k.pem")
    assert (code, "plain http" in error) == (2, True)


@pytest.fixture
def env_folder() -> Iterator[Path]:
    """A folder in which no app may exchange something; pytest's own may be anybody's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "secrets"
        folder.mkdir(mode=0o755)
        (folder / "local.env").write_text("A=1\n")
        (folder / "local.env").chmod(0o600)
        yield folder


def with_env_file(file: Path, env_file: Path) -> None:
    file.write_text(f'{GOOD}{APPS}env_file = "{env_file}"\n')


def test_units_are_reported_of_variables_that_no_app_can_exchange(
    file: Path, env_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = env_folder / "local.env"
    with_env_file(file, env_file)
    assert main(["config", "systemd"]) == 0
    assert f"EnvironmentFile={env_file}\n" in capsys.readouterr().out

    env_folder.chmod(0o777)
    code, error = failure(capsys, "systemd")
    assert code == 2
    assert "apps.local.env_file" in error
    assert f"by the app local, which runs as a user that systemd creates and may write to {env_folder}." in error
    assert "Keep local.env in a folder that belongs to root" in error

    env_folder.chmod(0o775)  # a group that no app is in
    assert main(["config", "systemd"]) == 0
    env_folder.chmod(0o755)
    (env_folder / "link.env").symlink_to(env_file)
    with_env_file(file, env_folder / "link.env")
    assert main(["config", "systemd"]) == 0


def test_no_unit_hands_an_app_the_portals_own_variables(
    file: Path, env_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(env_folder)
    (env_folder / "local.env").rename(env_folder / ".env")
    (env_folder / "local.env").symlink_to(".env")
    with_env_file(file, env_folder / "local.env")
    code, error = failure(capsys, "systemd", "--config", str(file))

    assert code == 2
    assert "which contains the portal's own secrets: the app would get all of them." in error


def test_what_is_to_be_handed_on_must_be_there(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_env_file(file, tmp_path / "none.env")
    code, error = failure(capsys, "systemd")
    assert (code, "which does not exist." in error) == (2, True)


@pytest.mark.usefixtures("processes")
def test_the_unit_of_an_app_with_python_serves_by_that_interpreter_and_keeps_its_limit(
    file: Path, tmp_path: Path
) -> None:
    file.write_text(file.read_text() + f'python = "{sys.executable}"\nmemory = "2 GB"\n')
    assert main(["config", "systemd", "--output", "units"]) == 0
    unit = (tmp_path / "units" / "gradio-app-local.service").read_text()

    assert "MemoryMax=2000000000\n" in unit
    match = re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert match is not None
    python, script, source = shlex.split(match[1])
    assert (python, source) == (sys.executable, "gradio_apps.showcase")
    error = subprocess.run([python, script, "--check"], cwd="/", capture_output=True, text=True, check=True)
    assert json.loads(error.stdout)["gradio"]
