"""``portal config``: what is written where, and what cannot be."""

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


@pytest.mark.usefixtures("file")
def test_nginx_goes_to_standard_output_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["config", "nginx", "--certificate", "c.pem", "--key", "/etc/k.pem"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert main([*arguments, "--output", "out.conf", "--port", "9000"]) == 0

    assert f'ssl_certificate "{tmp_path}/c.pem";' in shown
    assert 'ssl_certificate_key "/etc/k.pem";' in shown
    assert "proxy_pass http://127.0.0.1:7800;" in shown
    assert "proxy_pass http://127.0.0.1:9000;" in (tmp_path / "out.conf").read_text()


@pytest.mark.usefixtures("file")
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
    shown = capsys.readouterr().out
    assert main(["config", "systemd", "--output", "units", "--config", "portal.toml", "--workers", "5"]) == 0

    names = {"gradio-portal.service", "gradio-app-local.socket", "gradio-app-local.service"}
    assert all(f"# {name}\n" in shown for name in names)
    assert {path.name for path in (tmp_path / "units").iterdir()} == names
    portal = (tmp_path / "units" / "gradio-portal.service").read_text()
    assert f'"PORTAL_CONFIG={file}"' in portal
    assert '"--workers" "5"' in portal
    assert "from-the-environment" not in shown


@pytest.mark.usefixtures("file")
def test_a_place_that_cannot_be_written_to_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = failure(capsys, "caddy", "--output", "nowhere/Caddyfile")
    assert (code, "nowhere/Caddyfile cannot be written" in said) == (1, True)


def test_addresses_without_tls_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        GOOD.replace("https://portal.example.com", "http://portal.demo.localhost:7800")
        .replace("https://{app}.apps.example.com", "http://{app}.demo.localhost:{port}")
        .replace("https://forecast.apps.example.com", "http://forecast.demo.localhost:1")
    )
    code, said = failure(capsys, "nginx", "--certificate", "c.pem", "--key", "k.pem")
    assert (code, "plain http" in said) == (2, True)
