"""The text of a first ``portal.toml`` and ``.env``: commented, and sound as it stands.

Pure: what was asked goes in, text comes out.
"""

import json
from dataclasses import dataclass
from typing import Final

from portal.settings import Secret
from portal.sign_in.provider_types import PROVIDER_TYPES

CLIENT_SECRET: Final = "COMPANY_CLIENT_SECRET"  # noqa: S105 - the name of a variable
PROVIDER: Final = "company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the operator said."""

    url: str
    apps_url: str | None
    provider_type: str
    """The make of provider."""
    options: tuple[tuple[str, str], ...]
    """What that make is told besides: keys of ``[[providers]]`` with their values."""
    client_id: str
    client_secret: Secret | None
    """``None``: to be filled in later."""
    title: str
    apps: tuple[tuple[str, str], ...]
    """Slug and source of each app."""
    trust_apps: bool
    units: bool = False
    """Whether systemd runs portal and apps, by the units of ``portal config systemd``."""
    scopes: tuple[str, ...] = ()
    """What to ask the provider for; empty: what is asked for of its make anyway."""


def portal_toml(answers: Answers) -> str:
    """Return the text of ``portal.toml``."""
    return "\n".join([*_portal(answers), *_providers(answers), *_ROLES, *_apps(answers)])


def dotenv(answers: Answers, *, secret_key: Secret) -> str:
    """Return the text of ``.env``, which holds the secrets."""
    client_secret = "" if answers.client_secret is None else _single_quoted(answers.client_secret.reveal())
    return (
        "# Secrets of the portal: readable by its user alone, and in no repository.\n"
        "# The key encrypts what the portal keeps. A backup is worth nothing without it: keep a copy elsewhere.\n"
        f"PORTAL_SECRET_KEY={secret_key.reveal()}\n"
        f"# What the provider gave the client {_commented(answers.client_id)}.\n"
        f"{CLIENT_SECRET}={client_secret}\n"
    )


_UNITS: Final = (
    "# systemd runs the apps, each as a user of its own, by the units of `portal config systemd`.",
    'apps_run_by = "systemd"',
    'data_dir = "/var/lib/gradio-portal"',
)


def _portal(answers: Answers) -> list[str]:
    lines = [
        "# The portal. Every setting stands in docs/settings.md; `portal check` says what this file turns on.",
        "",
        "[portal]",
        "# Where browsers reach the portal.",
        f"url = {_quoted(answers.url)}",
        "# Where browsers reach the apps: a template over {app} and {port}.",
    ]
    if answers.apps_url is None:
        lines.append('# apps_url = "https://{app}.apps.example.com"')
    else:
        lines.append(f"apps_url = {_quoted(answers.apps_url)}")
    lines += [f"title = {_quoted(answers.title)}", "# A sign-in ends after this long without use, and in any case."]
    lines += ['idle_lifetime = "8h"', 'absolute_lifetime = "30d"']
    if answers.units:
        return [*lines, *_UNITS, ""]
    lines += [
        "# Apps that run here as the portal's own user could read its database and its key. Say true only if you",
        "# trust whoever writes them as you trust the portal: docs/security-model.md, Isolation.",
        "trust_apps = true" if answers.trust_apps else "# trust_apps = true",
        "",
    ]
    return lines


def _providers(answers: Answers) -> list[str]:
    meanings = {option.key: option.meaning for option in PROVIDER_TYPES[answers.provider_type].options}
    lines = [
        "# Where people prove who they are. Register this callback there:",
        f"# {_commented(answers.url.rstrip('/'))}/auth/oauth/{PROVIDER}/callback",
        "[[providers]]",
        f'id = "{PROVIDER}"',
        "# The make of provider; docs/providers has a page for each.",
        f"type = {_quoted(answers.provider_type)}",
        '# What the button says, after "Continue with".',
        'label = "your company"',
    ]
    for key, value in answers.options:
        lines += [f"# {meanings[key]}", f"{key} = {_quoted(value)}"]
    if answers.scopes:
        lines += [
            "# The provider tells groups only where it is asked for them.",
            f"scopes = {json.dumps(answers.scopes)}",
        ]
    return [
        *lines,
        f"client_id = {_quoted(answers.client_id)}",
        "# The variable that holds the client secret; it stands in .env, never here.",
        f'client_secret_env = "{CLIENT_SECRET}"',
        "",
    ]


_ROLES: Final = (
    "# What gives a role: groups at the provider, or a rule over the claims. `portal explain` tells what a rule does.",
    "# [roles.analyst]",
    '# groups = ["AI-Analysts"]',
    "# [roles.admin]",
    "# when = \"contains(roles, 'Tenant Admin')\"",
    "",
)


def _apps(answers: Answers) -> list[str]:
    lines = ["# The apps, in the order of the catalogue. An app that is open to nobody in its list is closed."]
    for slug, source in answers.apps:
        lines += [
            f"[apps.{slug}]",
            "# A file, a folder like a Hugging Face Space, or a module; relative to this file.",
            f"source = {_quoted(source)}",
            "# Everyone who is signed in, or names of roles.",
            'open_to = ["everyone"]',
            "",
        ]
    if not answers.apps:
        lines += ["# [apps.forecast]", '# source = "forecast.py"', '# open_to = ["everyone"]', ""]
    return lines


def _quoted(text: str) -> str:
    """Return *text* as a basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _single_quoted(text: str) -> str:
    """Return *text* as a value of ``.env`` in which nothing is interpreted."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _commented(text: str) -> str:
    """Return *text* for a comment: on one line, whatever it holds."""
    return "".join(char if char.isprintable() else "?" for char in text)
