"""The supervisor's document: JSON that it reads once from standard input, and again with a reload.

The ``portal`` command makes it from the configuration; here only its shape is checked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from gradio_apps.runtime.supervisor.own_user import OwnUser
from portal.contract.slugs import RULE, is_slug

Cookies = Literal["lax", "partitioned"]

_RESERVED: Final = ("PORTAL_", "LISTEN_")
"""Prefixes of variables that an app's own ``env`` may not set: the guard trusts them."""
_HIGHEST_PORT: Final = 65535
_HIGHEST_ID: Final = 2**31 - 1


class DocumentError(Exception):
    """The document is not valid.  The message quotes no value: some are secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlan:
    """One app to run."""

    slug: str
    title: str
    url: str
    """Its address for browsers."""
    source: str
    host: str
    port: int
    """Port to listen on; 0 lets the system choose."""
    secret: str = field(repr=False)
    """The app's client secret; passed by a pipe, never in the environment."""
    cookies: Cookies
    shared_files: bool = False
    """Whether files of Gradio's cache without a known owner are served to everybody in the app."""
    env: Mapping[str, str] = field(repr=False)
    """Variables of this app alone; may hold its secrets."""
    log: Path
    temp: Path
    """Folder for its uploads and temporary files."""
    cwd: Path | None
    """Its working directory; ``None`` means the supervisor's."""
    start_timeout: int
    """Seconds in which it must come up."""
    drain_timeout: int
    """Seconds that a replaced process has to finish its running work."""
    secret_names: tuple[str, ...] = ()
    """Names in :attr:`env` whose values are never shown."""
    python: str | None = None
    """Its own interpreter; ``None`` means the supervisor's."""
    memory: int | None = None
    """Memory limit in bytes, including everything it starts; ``None`` means no limit."""
    history: Path | None = None
    """File that remembers how long its starts took."""
    env_file: Path | None = None
    """File of variables of this app alone, all of them secret; read at each start."""
    user: OwnUser | None = None
    """The user it runs as; ``None`` means the supervisor's, which then is not root."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """Values that no log line may show."""
        return (self.secret, *(self.env[name] for name in self.secret_names if name in self.env))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All apps to run, and what they share."""

    portal_url: str
    portal_internal_url: str | None
    trusted_proxies: str
    """Addresses and networks of trusted reverse proxies, separated by commas; for the guards."""
    apps: tuple[AppPlan, ...]
    grace: int
    """Seconds that running requests get when an app is stopped."""
    ca_file: str | None = None
    """PEM file with the company's certificate authorities; for the guards."""
    control: Path | None = None
    """Path of the control socket; ``None`` means there is none."""
    owner: tuple[int, int] | None = None
    """User and group of the supervisor if root starts it; set if apps have users of their own."""


def read_plan(text: str) -> Plan:
    """Return the plan in *text*.

    Raises:
        DocumentError: it is not JSON, or :func:`plan_of` refuses it.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise DocumentError("standard input: not a JSON document.") from None
    return plan_of(document)


def plan_of(document: object) -> Plan:
    """Return the plan in *document*, as :func:`json.loads` returns it.

    Raises:
        DocumentError: names the first member that is missing or wrong.
    """
    top = _Members(document, "document")
    portal = _Members(top.value("portal", dict), "portal")
    apps = tuple(_app(_Members(app, f"apps[{at}]")) for at, app in enumerate(top.value("apps", list)))
    if len({app.slug for app in apps}) != len(apps):
        raise DocumentError("apps: two have the same slug.")
    control = top.optional("control", str)
    owner = _owner(top, apps)
    return Plan(
        portal_url=portal.value("url", str),
        portal_internal_url=portal.optional("internal_url", str),
        trusted_proxies=portal.optional("trusted_proxies", str) or "",
        ca_file=portal.optional("ca_file", str),
        apps=tuple(_with_user(app, owner) for app in apps),
        control=None if control is None else Path(control),
        grace=_positive(top, "grace"),
        owner=owner,
    )


class _Members:
    """The members of one JSON object, read by name and type."""

    def __init__(self, value: object, where: str) -> None:
        if type(value) is not dict:
            raise DocumentError(f"{where}: not an object.")
        self._value: dict[str, object] = value
        self._where = where

    def value(self, name: str, kind: type) -> Any:
        value = self._value.get(name)
        # type() and not isinstance: True would pass for a port.
        if type(value) is not kind:
            raise self.wrong(name, f"missing, or not of type {kind.__name__}")
        return value

    def optional(self, name: str, kind: type) -> Any:
        return None if self._value.get(name) is None else self.value(name, kind)

    def members(self, name: str) -> "_Members":
        return _Members(self.value(name, dict), f"{self._where}.{name}")

    def wrong(self, name: str, what: str) -> DocumentError:
        return DocumentError(f"{self._where}.{name}: {what}.")


def _app(members: _Members) -> AppPlan:
    slug = members.value("slug", str)
    if not is_slug(slug):
        raise members.wrong("slug", f"not {RULE}")
    port = members.value("port", int)
    if not 0 <= port <= _HIGHEST_PORT:
        raise members.wrong("port", "not a port")
    cookies = members.optional("cookies", str) or "lax"
    if cookies not in {"lax", "partitioned"}:
        raise members.wrong("cookies", "neither lax nor partitioned")
    cwd = members.optional("cwd", str)
    history = members.optional("history", str)
    env_file = members.optional("env_file", str)
    return AppPlan(
        slug=slug,
        title=members.optional("title", str) or slug,
        url=members.value("url", str),
        source=members.value("source", str),
        host=members.optional("host", str) or "127.0.0.1",
        port=port,
        secret=members.value("secret", str),
        cookies=cast("Cookies", cookies),
        shared_files=bool(members.optional("shared_files", bool)),
        env=_environment(members),
        log=Path(members.value("log", str)),
        temp=Path(members.value("temp", str)),
        cwd=None if cwd is None else Path(cwd),
        secret_names=_names(members),
        python=members.optional("python", str),
        start_timeout=_positive(members, "start_timeout"),
        drain_timeout=_positive(members, "drain_timeout"),
        memory=None if members.optional("memory", int) is None else _positive(members, "memory"),
        history=None if history is None else Path(history),
        env_file=None if env_file is None else Path(env_file),
        user=_user(members),
    )


def _user(members: _Members) -> OwnUser | None:
    if members.optional("user", dict) is None:
        return None
    user = members.members("user")
    uid, gid = _ids(user)
    home = Path(user.value("home", str))
    if not home.is_absolute() or home.parent == home:
        raise user.wrong("home", "not the path of a folder")
    return OwnUser(uid=uid, gid=gid, home=home)


def _owner(top: _Members, apps: tuple[AppPlan, ...]) -> tuple[int, int] | None:
    users = [app.user for app in apps if app.user is not None]
    if top.optional("owner", dict) is None:
        if users:
            raise top.wrong("owner", "missing, and apps have users of their own")
        return None
    owner = top.members("owner")
    uid, gid = _ids(owner)
    if any(user.uid == uid or user.gid == gid for user in users):
        raise owner.wrong("uid", "or gid is also an app's")
    return uid, gid


def _ids(members: _Members) -> tuple[int, int]:
    uid, gid = members.value("uid", int), members.value("gid", int)
    if not (0 < uid <= _HIGHEST_ID and 0 < gid <= _HIGHEST_ID):
        raise members.wrong("uid", "or gid is root's, or not valid")
    return uid, gid


def _with_user(app: AppPlan, owner: tuple[int, int] | None) -> AppPlan:
    """Return *app* with its user: with a supervisor that root started, no app runs as root."""
    if app.user is not None or owner is None:
        return app
    uid, gid = owner
    return replace(app, user=OwnUser(uid=uid, gid=gid))


def _positive(members: _Members, name: str) -> int:
    value: int = members.value(name, int)
    if value < 1:
        raise members.wrong(name, "less than 1")
    return value


def _names(members: _Members) -> tuple[str, ...]:
    names = members.optional("secret_names", list) or []
    if any(type(name) is not str or not name.isprintable() or "," in name for name in names):
        raise members.wrong("secret_names", "not names")
    return tuple(names)


def _environment(members: _Members) -> dict[str, str]:
    env = members.optional("env", dict) or {}
    if any(type(value) is not str or "\0" in name + value or "=" in name or not name for name, value in env.items()):
        raise members.wrong("env", "not names and texts")
    if any(name.upper().startswith(_RESERVED) for name in env):
        raise members.wrong("env", "sets a variable that is the portal's")
    return cast("dict[str, str]", env)
