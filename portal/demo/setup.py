"""A demo's apps, addresses, folder and ``portal.toml``."""

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.machine.ports import LOOPBACK, Ports

SECRET_VARIABLE: Final = "PORTAL_DEMO_CLIENT_SECRET"  # noqa: S105 - the variable's name, not its value
SAMPLE_ROLES: Final[Mapping[str, str]] = {"admin": "Tenant Admin", "analyst": "Analyst"}
"""The demo's roles, and the demo provider's role for each."""
CLIENT_ID: Final = "demo-portal"
_KEY: Final = re.compile(r"[\w-]{43,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleApp:
    """One app of a demo."""

    slug: str
    title: str
    source: str
    open_to: tuple[str, ...]
    description: str = ""
    icon: str = ""
    portal_api: tuple[str, ...] = ()
    browser: tuple[str, ...] = ()
    env_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One demo."""

    name: str
    """For messages."""
    folder: Path
    ports: Ports
    apps: tuple[SampleApp, ...]
    landing: tuple[str, ...]
    plain_names: bool
    """Whether to avoid names under ``.localhost``, which Safari does not resolve."""

    @property
    def portal_url(self) -> str:
        """Public URL of the portal."""
        return f"http://{LOOPBACK if self.plain_names else 'portal.demo.localhost'}:{self.ports.portal}"

    @property
    def apps_url(self) -> str:
        """Public URL of the apps."""
        return f"http://{LOOPBACK if self.plain_names else '{app}.demo.localhost'}:{{port}}"

    @property
    def issuer(self) -> str:
        """Issuer of the demo provider."""
        return f"http://{LOOPBACK}:{self.ports.provider}"

    @property
    def config(self) -> Path:
        """Its ``portal.toml``."""
        return self.folder / "portal.toml"


def as_toml(sample: Sample) -> str:
    """Return the ``portal.toml`` of *sample*."""
    lines = [
        "# Written again at each start of the demo; do not edit.",
        "[portal]",
        _pair("url", sample.portal_url),
        _pair("apps_url", sample.apps_url),
        _pair("internal_url", f"http://{LOOPBACK}:{sample.ports.portal}"),
        _pair("title", "Gradio Portal"),
        _pair("landing", sample.landing),
        _pair("data_dir", "."),
        "trust_apps = true",
        "",
        "[[providers]]",
        _pair("id", "demo"),
        _pair("label", "a sample person"),
        _pair("type", "descope"),
        _pair("issuer", sample.issuer),
        _pair("client_id", CLIENT_ID),
        _pair("client_secret_env", SECRET_VARIABLE),
        _pair("scopes", ("openid", "profile", "email", "descope.claims")),
        "",
    ]
    for role, provider_role in SAMPLE_ROLES.items():
        lines += [f"[roles.{role}]", _pair("when", f"contains(roles, '{provider_role}')"), ""]
    lines.pop()
    for app, port in zip(sample.apps, sample.ports.apps, strict=True):
        lines += ["", f"[apps.{app.slug}]", _pair("title", app.title), _pair("source", app.source), f"port = {port}"]
        lines += [_pair("open_to", app.open_to)]
        lines += [_pair("description", app.description)] if app.description else []
        lines += [_pair("icon", app.icon)] if app.icon else []
        lines += [_pair("portal_api", app.portal_api)] if app.portal_api else []
        lines += [_pair("browser", app.browser)] if app.browser else []
        lines += [_pair("env_file", app.env_file)] if app.env_file else []
    return "\n".join(lines) + "\n"


def _pair(key: str, value: str | tuple[str, ...]) -> str:
    # A JSON string with non-ASCII characters is a TOML basic string, except for the one control character JSON allows.
    written = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{key} = {written}"


def write_down(sample: Sample) -> str:
    """Create the folder, write the configuration, and return the secret key, which is created once.

    Only this user can read the folder.
    """
    for folder in (sample.folder, sample.folder / "logs", sample.folder / "tmp"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sample.folder.chmod(0o700)
    _write(sample.config, as_toml(sample))
    key_file = sample.folder / "secret-key"
    try:
        key = key_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not _KEY.fullmatch(key):
        key = secrets.token_urlsafe(48)
        _write(key_file, key + "\n")
    key_file.chmod(0o600)
    return key


def _write(path: Path, text: str) -> None:
    # Written beside it, then renamed: a process that starts now reads a complete file.
    beside = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
