"""The portal's own secrets: the key, the database's address, the store of the rate limits."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from portal.configuration.declaration import REQUIRED, Variable, default_of
from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.settings import Secret, Settings

_SAMPLE: Final = re.compile(
    r"change[-_ ]?(?:me|this|it)|replace[-_ ]?(?:me|this|it)|your[-_ ]|example|placeholder|sample|secret[-_ ]?key|"
    r"super[-_ ]?secret|insert[-_ ]",
    re.IGNORECASE,
)
SHORTEST_KEY: Final = 32
_FEWEST_CHARACTERS: Final = 8
SECRET_KEY: Final = Variable(
    "PORTAL_SECRET_KEY", REQUIRED, "zB1… of python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
)
"""Encrypts and signs what the portal stores: at least 32 random characters. For rotation, several separated by
commas or spaces: the first encrypts and signs, all decrypt and verify."""
SESSION_SECRET_KEY: Final = Variable("SESSION_SECRET_KEY", "none", "(secret)")
"""The tutorial's name for PORTAL_SECRET_KEY; read if that is not set."""
DATABASE_URL: Final = Variable(
    "PORTAL_DATABASE_URL", "portal.db in the data folder", "postgresql+psycopg://portal:…@db.example.com/portal"
)
"""Database for sign-ins, keys and the audit log: SQLite or PostgreSQL."""
RATE_LIMIT_STORAGE: Final = Variable(
    "PORTAL_RATE_LIMIT_STORAGE", str(default_of(Settings, "rate_limit_storage")), "redis://localhost:6379"
)
"""Where rate limits are counted, as Flask-Limiter writes it. machine:// is a file in the data folder, for all
processes of one machine; several machines need Redis."""
SECRETS: Final = (SECRET_KEY, DATABASE_URL, RATE_LIMIT_STORAGE)
_HOW: Final = "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
_DATABASES: Final = ("sqlite:///", "postgresql+psycopg://")
_COUNTERS: Final = (
    "machine://",
    "memory://",
    "redis://",
    "rediss://",
    "redis+unix://",
    "redis+sentinel://",
    "redis+cluster://",
)


def read_secret_keys(variables: Variables, report: Report) -> tuple[Secret, ...]:
    """Return the keys of ``PORTAL_SECRET_KEY``, else of the tutorial's ``SESSION_SECRET_KEY``."""
    name = next((one.name for one in (SECRET_KEY, SESSION_SECRET_KEY) if variables.mentions(one.name)), None)
    if name is None:
        report.environment(SECRET_KEY.name, "is not set.", _HOW)
        return ()
    value = variables.secret(name)
    keys = [key for key in re.split(r"[,\s]+", value or "") if key]
    if value is not None and not keys:
        report.environment(name, "contains no key.", _HOW)
    for key in keys:
        if len(key) < SHORTEST_KEY:
            report.environment(name, f"contains a key of fewer than {SHORTEST_KEY} characters.", _HOW)
        elif _SAMPLE.search(key) or len(set(key)) < _FEWEST_CHARACTERS:
            report.environment(name, "is a sample value that anybody may know.", _HOW)
    return tuple(Secret(key) for key in keys)


def read_database_url(variables: Variables, *, data_dir: Path, report: Report) -> Secret:
    """Return the database's address: ``PORTAL_DATABASE_URL``, else SQLite in *data_dir*."""
    name = DATABASE_URL.name
    url = variables.secret(name)
    if url is None:
        return Secret(f"sqlite:///{data_dir / 'portal.db'}")
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            url = "postgresql+psycopg://" + url.removeprefix(short)
    if not url.startswith(_DATABASES):
        report.environment(name, "is the address of an unknown kind of database.", "Use sqlite:/// or postgresql://.")
    elif url.startswith("postgresql") and not _is_installed("psycopg"):
        report.environment(name, "names PostgreSQL, whose driver psycopg is not installed.", _install("postgresql"))
    return Secret(url)


def read_rate_limit_storage(variables: Variables, report: Report) -> str:
    """Return where rate limits are counted."""
    name = RATE_LIMIT_STORAGE.name
    storage = variables.secret(name) or RATE_LIMIT_STORAGE.default
    if not storage.startswith(_COUNTERS):
        report.environment(name, "is the address of an unknown kind of store.", f"Use one of {', '.join(_COUNTERS)}.")
    elif storage.startswith("redis") and not _is_installed("redis"):
        report.environment(name, "names Redis, whose client is not installed.", _install("redis"))
    return storage


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def _install(extra: str) -> str:
    return f"Install it where the portal runs: pip install 'gradio-portal[{extra}]'."
