"""The configurations of nginx and Caddy; nginx checks its own."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from portal.cli.config import version_of_caddy
from portal.contract import TrustedProxies, read_network
from portal.deployment.caddy import caddy_configuration
from portal.deployment.nginx import bucket_needed, nginx_configuration
from portal.deployment.sites import sites_of
from portal.rules.catalogue import Catalogue
from portal.settings import Settings
from tests.builders import an_app, settings_for
from tests.certificates import issue
from tests.journeys.reverse_proxy import nginx, whole_configuration
from tests.portal.deployment.test_caddy_runs import caddy
from tests.ports import free_ports

SHAPES = {
    "hosts": ("https://one.apps.example.com", "https://two.apps.example.com"),
    "paths": ("https://apps.example.com/one", "https://apps.example.com/two"),
    "the portal's host": ("https://portal.example.com/run/one", "https://portal.example.com/run/two"),
    "other ports": ("https://portal.example.com:8443", "https://portal.example.com:8444"),
}


def settings_of(folder: Path, shape: str = "hosts", **changes: Any) -> Settings:
    apps = [an_app(slug=f"app-{at}", url=url, source="app.py", port=7810 + at) for at, url in enumerate(SHAPES[shape])]
    elsewhere = an_app(slug="elsewhere", url="https://elsewhere.example.com")
    return settings_for(folder, catalogue=Catalogue((*apps, elsewhere)), **changes)


def for_nginx(folder: Path, shape: str = "hosts", **changes: Any) -> str:
    settings = settings_of(folder, shape, **changes)
    return nginx_configuration(settings, port=7800, certificate=folder / "certificate.pem", key=folder / "key.pem")


def tried(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Have nginx check *text*, with this run's own ports instead: others may be taken."""
    named = sorted(set(re.findall(r"listen (?:\[::\]:)?(\d+)", text)))
    own = dict(zip(named, free_ports(len(named)), strict=True))
    text = re.sub(r"(listen (?:\[::\]:)?)(\d+)", lambda found: f"{found[1]}{own[found[2]]}", text)
    (folder / "portal.conf").write_text(text)
    whole = whole_configuration(folder, folder / "portal.conf")
    command = [nginx(), "-t", "-p", str(folder), "-c", str(whole)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "2001:db8::/32")])
def test_nginx_accepts_it(tmp_path: Path, shape: str, trusted: tuple[str, ...]) -> None:
    issue(tmp_path, ["portal.example.com"])
    text = for_nginx(tmp_path, shape, trusted_proxies=TrustedProxies(tuple(map(read_network, trusted))))
    said = tried(tmp_path, text)
    assert said.returncode == 0, said.stderr
    # Newer versions would rather have "http2 on;", which those of Debian 12 do not know.
    warnings = [line for line in said.stderr.splitlines() if "[warn]" in line and '"listen ... http2"' not in line]
    assert warnings == []


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("length", "bucket"), [(46, None), (47, 128), (110, 128), (111, 256)])
def test_names_that_are_too_long_for_nginx_come_with_the_fix(tmp_path: Path, length: int, bucket: int | None) -> None:
    host = ("a" * 40 + "." + "b" * 60)[: length - 4].rstrip(".").ljust(length - 4, "c") + ".com"
    issue(tmp_path, ["portal.example.com"])
    settings = settings_for(tmp_path, catalogue=Catalogue((an_app(url=f"https://{host}", source="app.py", port=7810),)))
    assert bucket_needed(sites_of(settings, port=7800)) == bucket
    text = nginx_configuration(settings, port=7800, certificate=tmp_path / "certificate.pem", key=tmp_path / "key.pem")
    said = [line.strip(" #") for line in text.splitlines() if "server_names_hash_bucket_size" in line]
    assert said == ([] if bucket is None else [f"server_names_hash_bucket_size {bucket};"])
    ended = tried(tmp_path, "\n".join([*said, text]))
    assert ended.returncode == 0, ended.stderr


def test_each_name_has_its_server_and_apps_are_not_buffered(tmp_path: Path) -> None:
    text = for_nginx(tmp_path, "the portal's host")

    assert text.count("listen 443 ssl http2;") == 1
    assert text.count("proxy_buffering off;") == text.count("proxy_request_buffering off;") == 2
    assert text.count("client_max_body_size 0;") == 2
    assert text.index("location /run/one/ {") < text.index("location / {")
    assert "return 308 https://portal.example.com$request_uri;" in text
    assert "proxy_pass http://127.0.0.1:7810;" in text  # without a path: it is forwarded unchanged
    assert "elsewhere runs on another machine" in text


def test_what_nginx_itself_must_allow_is_said_in_the_file_and_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text(encoding="utf-8")
    for setting in ("worker_connections 16384;", "worker_rlimit_nofile 65536;"):
        assert setting in for_nginx(tmp_path)
        assert setting in page


def test_a_host_of_paths_alone_says_no_to_the_rest(tmp_path: Path) -> None:
    metrics = 1
    assert for_nginx(tmp_path, "paths").count("return 404;") == 1 + metrics
    assert for_nginx(tmp_path, "hosts").count("return 404;") == metrics


def test_a_name_on_a_port_of_its_own_is_not_led_there_from_port_80(tmp_path: Path) -> None:
    assert for_nginx(tmp_path, "other ports").count("return 308") == 1


def test_every_forwarded_header_is_overwritten_and_none_appended_to(tmp_path: Path) -> None:
    text = for_nginx(tmp_path)

    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "$proxy_add_x_forwarded_for" not in text
    for name in ("Forwarded", "X-Real-IP", "X-Forwarded-Host"):
        assert f"proxy_set_header {name} '';" in text


@pytest.mark.parametrize("name", ['a"; evil', "a$host", "a\nb", "a\\b", "a;b", "a{b"])
def test_a_path_that_would_be_read_as_more_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plainer name"):
        nginx_configuration(settings_of(tmp_path), port=7800, certificate=Path(name), key=Path("key.pem"))
    if name not in {"a$host", "a;b"}:  # Caddy reads nothing into those
        with pytest.raises(ValueError, match="plainer name"):
            caddy_configuration(settings_of(tmp_path), port=7800, certificate=Path(name), key=Path("key.pem"))


def test_caddy_gets_the_same(tmp_path: Path) -> None:
    trusted = TrustedProxies((read_network("10.0.0.0/8"),))
    settings = settings_of(tmp_path, "paths", trusted_proxies=trusted)
    text = caddy_configuration(settings, port=7800, certificate=Path("/c.pem"), key=Path("/k.pem"))

    assert "https://portal.example.com {" in text
    assert text.count('\ttls "/c.pem" "/k.pem"') == 2
    assert "\t@app0 path /one /one/*" in text
    assert text.count("flush_interval -1") == 2
    assert text.count("respond 404") == 1
    assert "trusted_proxies static 10.0.0.0/8" in text
    assert text.count("{") == text.count("}")
    without = caddy_configuration(settings_of(tmp_path), port=7800, certificate=None, key=None)
    assert "tls" not in without
    assert "trusted_proxies" not in without


def test_requests_to_the_portal_are_buffered_and_bounded_and_its_metrics_stay_inside(tmp_path: Path) -> None:
    nginx, caddies = for_nginx(tmp_path), [caddy_of(tmp_path, version=version) for version in ((2, 6), (2, 7))]

    assert nginx.count("proxy_request_buffering on;") == nginx.count("client_max_body_size 128k;") == 1
    assert nginx.count("location = /metrics {") == 1
    assert [text.count("\trespond /metrics 404") for text in caddies] == [1, 1]
    assert "buffer_requests" in caddies[0]
    assert "max_buffer_size 128KiB" in caddies[0]
    assert "request_buffers 128KiB" in caddies[1]
    for text in caddies:
        of_apps = text.split("# app-0")[1]
        assert "buffer" not in of_apps.split("# the portal")[0]


def test_every_name_is_for_https_only_and_takes_long_addresses(tmp_path: Path) -> None:
    text = for_nginx(tmp_path)
    names = text.count("ssl_certificate ")

    assert names == 3
    assert text.count('add_header Strict-Transport-Security "max-age=31536000" always;') == names
    assert text.count("proxy_hide_header Strict-Transport-Security;") == names  # not twice in one answer
    assert text.count("large_client_header_buffers 8 16k;") == names
    assert caddy_of(tmp_path).count('Strict-Transport-Security "max-age=31536000"') == names


def caddy_of(folder: Path, **options: Any) -> str:
    return caddy_configuration(settings_of(folder), port=7800, certificate=None, key=None, **options)


@pytest.mark.usefixtures("processes")
def test_caddy_accepts_it(tmp_path: Path) -> None:
    program = caddy()
    (tmp_path / "Caddyfile").write_text(
        caddy_configuration(
            settings_of(tmp_path, "paths"), port=7800, certificate=None, key=None, version=version_of_caddy()
        )
    )
    said = subprocess.run(
        [program, "adapt", "--config", str(tmp_path / "Caddyfile")],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
