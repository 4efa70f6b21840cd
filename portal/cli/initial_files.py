"""The text of a first ``portal.toml`` and ``.env``, with comments.  Pure."""

import json
from dataclasses import dataclass
from typing import Final

from portal.rules.provider_paths import CALLBACK, provider_path
from portal.settings import Secret
from portal.sign_in.provider_types import PROVIDER_TYPES

CLIENT_SECRET: Final = "COMPANY_CLIENT_SECRET"  # noqa: S105 - the name of a variable
PROVIDER: Final = "company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The operator's answers to ``portal init``."""

    url: str
    apps_url: str | None
    provider_type: str
    options: tuple[tuple[str, str], ...]
    """Further keys of ``[[providers]]`` for that type, with their values."""
    client_id: str
    client_secret: Secret | None
    """``None``: the operator fills it in later."""
    title: str
    apps: tuple[tuple[str, str], ...]
    """Slug and source of each app."""
    trust_apps: bool
    units: bool = False
    """Whether systemd runs portal and apps, with the units of ``portal config systemd``."""
    scopes: tuple[str, ...] = ()
    """The scopes to request; empty: the type's default."""


def portal_toml(answers: Answers) -> str:
    """Return the text of ``portal.toml``."""
    return "\n".join([*_portal(answers), *_providers(answers), *_ROLES, *_apps(answers)])


def dotenv(answers: Answers, *, secret_key: Secret) -> str:
    """Return the text of ``.env``, which holds the secrets."""
    client_secret = "" if answers.client_secret is None else _env_value(answers.client_secret.reveal())
    return (
        "# Secrets of the portal. Only its user may read this file; never commit it to a repository.\n"
        "# The key encrypts secrets in the database. A backup needs it: keep a copy somewhere else.\n"
        f"PORTAL_SECRET_KEY={secret_key.reveal()}\n"
        f"# The client secret of {_comment(answers.client_id)}, from the provider.\n"
        f"{CLIENT_SECRET}={client_secret}\n"
    )


_UNITS: Final = (
    "# systemd runs the apps, each as a user of its own, with the units of `portal config systemd`.",
    'apps_run_by = "systemd"',
    'data_dir = "/var/lib/gradio-portal"',
)


def _portal(answers: Answers) -> list[str]:
    lines = [
        "# The portal. docs/settings.md lists every setting; `portal check` shows what this file sets.",
        "",
        "[portal]",
        "# The portal's address in browsers.",
        f"url = {_toml_string(answers.url)}",
        "# The apps' addresses in browsers: a template with {app} or {port}.",
    ]
    if answers.apps_url is None:
        lines.append('# apps_url = "https://{app}.apps.example.com"')
    else:
        lines.append(f"apps_url = {_toml_string(answers.apps_url)}")
    lines += [
        f"title = {_toml_string(answers.title)}",
        "# A sign-in ends after so long without use, and in any case.",
    ]
    lines += ['idle_lifetime = "8h"', 'absolute_lifetime = "30d"']
    if answers.units:
        return [*lines, *_UNITS, ""]
    lines += [
        "# An app that runs as the portal's user can read its database and key. Set true only if you trust the",
        "# apps' authors as much as the portal: docs/security-model.md, Isolation.",
        "trust_apps = true" if answers.trust_apps else "# trust_apps = true",
        "",
    ]
    return lines


def _providers(answers: Answers) -> list[str]:
    meanings = {option.key: option.meaning for option in PROVIDER_TYPES[answers.provider_type].options}
    lines = [
        "# The identity provider. Register this callback there:",
        f"# {_comment(answers.url.rstrip('/'))}{provider_path(PROVIDER, CALLBACK)}",
        "[[providers]]",
        f'id = "{PROVIDER}"',
        "# The type of provider; docs/providers has a page for each.",
        f"type = {_toml_string(answers.provider_type)}",
        '# The label of the sign-in button, after "Continue with".',
        'label = "your company"',
    ]
    for key, value in answers.options:
        lines += [f"# {meanings[key]}", f"{key} = {_toml_string(value)}"]
    if answers.scopes:
        lines += [
            "# The provider gives groups only if they are requested.",
            f"scopes = {json.dumps(answers.scopes)}",
        ]
    return [
        *lines,
        f"client_id = {_toml_string(answers.client_id)}",
        "# The variable with the client secret, in .env. Never write the secret here.",
        f'client_secret_env = "{CLIENT_SECRET}"',
        "",
    ]


_ROLES: Final = (
    "# Roles: from groups at the provider, or a rule over the claims. `portal explain` shows the effect of a rule.",
    "# [roles.analyst]",
    '# groups = ["AI-Analysts"]',
    "# [roles.admin]",
    "# when = \"contains(roles, 'Tenant Admin')\"",
    "",
)


def _apps(answers: Answers) -> list[str]:
    lines = ["# The apps, in the order of the catalogue. Without open_to, no one can open an app."]
    for slug, source in answers.apps:
        lines += [
            f"[apps.{slug}]",
            "# A file, a folder like a Hugging Face Space, or a module; relative to this file.",
            f"source = {_toml_string(source)}",
            "# everyone: all who are signed in; or names of roles.",
            'open_to = ["everyone"]',
            "",
        ]
    if not answers.apps:
        lines += ["# [apps.forecast]", '# source = "forecast.py"', '# open_to = ["everyone"]', ""]
    return lines


def _toml_string(text: str) -> str:
    """Return *text* as a TOML basic string; its escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _env_value(text: str) -> str:
    """Return *text* as a ``.env`` value without interpolation."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _comment(text: str) -> str:
    """Return *text* on one line, for a comment."""
    return "".join(char if char.isprintable() else "?" for char in text)
