"""Configurations for tests: a whole one that is good, and what comes of a changed one."""

from pathlib import Path
from textwrap import dedent

from portal.configuration import load
from portal.errors import Problem, SettingsError
from portal.settings import Settings

KEY = "zB1k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p"
OTHER_KEY = "Qx7k3j4h5k6j7h8g9f0d1s2a3q4w5e6r7t8y9u0i1o2p"

ENVIRON = {"PORTAL_SECRET_KEY": KEY, "COMPANY_SECRET": "from-the-environment"}

PORTAL = """
[portal]
url = "https://portal.example.com"
apps_url = "https://{app}.apps.example.com"
trust_apps = true
"""

PROVIDER = """
[[providers]]
id = "company"
issuer = "https://id.example.com"
client_id = "portal"
client_secret_env = "COMPANY_SECRET"
"""

ROLES = """
[roles.admin]
when = "contains(roles, 'Tenant Admin')"
[roles.analyst]
groups = ["AI-Analysts"]
"""

APP = """
[apps.forecast]
url = "https://forecast.apps.example.com"
open_to = ["analyst"]
"""

GOOD = PORTAL + PROVIDER + ROLES + APP

TUTORIAL = {
    "OAUTH_CLIENT_NAME": "descope",
    "OAUTH_CLIENT_ID": "P2example",
    "OAUTH_CLIENT_SECRET": "access-key",
    "OAUTH_AUTHORIZE_URL": "https://api.descope.com/oauth2/v1/authorize",
    "OAUTH_ACCESS_TOKEN_URL": "https://api.descope.com/oauth2/v1/token",
    "OAUTH_USERINFO_ENDPOINT": "https://api.descope.com/oauth2/v1/userinfo",
    "OAUTH_JWKS_URI": "https://api.descope.com/P2example/.well-known/jwks.json",
    "OAUTH_REDIRECT_URI": "http://localhost:7860/auth/callback",
    "OAUTH_SCOPES": "openid profile email descope.claims descope.custom_claims",
    "SESSION_SECRET_KEY": KEY,
}


def loaded(folder: Path, text: str | None = GOOD, environ: dict[str, str] | None = None) -> Settings:
    """Load *text* as the portal.toml of *folder*; ``None``: a file that says nothing."""
    file = folder / "portal.toml"
    file.write_text(dedent(text or ""), encoding="utf-8")
    return load(ENVIRON if environ is None else environ, path=file)


def problems(folder: Path, text: str | None = GOOD, environ: dict[str, str] | None = None) -> list[Problem]:
    """Return what is wrong with a configuration."""
    try:
        loaded(folder, text, environ)
    except SettingsError as error:
        return list(error.problems)
    return []


def keys(folder: Path, text: str | None = GOOD, environ: dict[str, str] | None = None) -> list[str]:
    """Return the keys at which something is wrong, in their order."""
    return [problem.key for problem in problems(folder, text, environ)]
