"""What the supervisor is told, once, on standard input: one JSON document.

It comes from the ``portal`` command, which read the configuration; here it is only held to its shape.
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
"""Beginnings of variables that an app's own ``env`` may not set: the guard believes them."""
_HIGHEST_PORT: Final = 65535
_HIGHEST_ID: Final = 2**31 - 1
DEFAULT_START_TIMEOUT: Final = 600
DEFAULT_DRAIN_TIMEOUT: Final = 120
DEFAULT_GRACE: Final = 1


class DocumentError(Exception):
    """The document does not say what to supervise.  The message quotes no value: some are secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlan:
    """One app to keep running."""

    slug: str
    title: str
    url: str
    """Where browsers reach it."""
    source: str
    host: str
    port: int
    """Port to listen on; 0 lets the system choose."""
    secret: str = field(repr=False)
    """The app's client secret; handed down by a pipe, never by the environment."""
    cookies: Cookies
    env: Mapping[str, str] = field(repr=False)
    """Variables of this app alone; may hold its secrets."""
    log: Path
    temp: Path
    """Folder for its uploads and temporary files."""
    cwd: Path | None
    """Where its process starts; ``None`` means where the supervisor was started."""
    secret_names: tuple[str, ...] = ()
    """Names in :attr:`env` whose values are shown nowhere."""
    python: str | None = None
    """An interpreter of its own; ``None`` means the supervisor's."""
    start_timeout: int = DEFAULT_START_TIMEOUT
    """Seconds it has to come up."""
    drain_timeout: int = DEFAULT_DRAIN_TIMEOUT
    """Seconds that a process which was replaced has to finish what runs in it."""
    memory: int | None = None
    """Bytes it may use, with everything it starts; ``None`` means as many as there are."""
    history: Path | None = None
    """File that remembers how long it took to come up."""
    env_file: Path | None = None
    """File of variables of this app alone, all of them secret; read at each start."""
    user: OwnUser | None = None
    """Whom it runs as; ``None`` means as the supervisor, which then is not root's."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """What no log line may show."""
        return (self.secret, *(self.env[name] for name in self.secret_names if name in self.env))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything to keep running."""

    portal_url: str
    portal_internal_url: str | None
    trusted_proxies: str
    """Addresses and networks of web servers that guards believe, separated by commas; the guard reads them."""
    apps: tuple[AppPlan, ...]
    ca_file: str | None = None
    """File of PEM with the company's own authorities; guards read it."""
    control: Path | None = None
    """Where operators ask; ``None`` means nowhere."""
    owner: tuple[int, int] | None = None
    """User and group whom the supervisor stands for where root starts it; said where apps have users of their own."""
    grace: int = DEFAULT_GRACE
    """Seconds that running requests get when an app is stopped."""


def read_plan(text: str) -> Plan:
    """Return the plan in *text*.

    Raises:
        DocumentError: names the first member that is missing or wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise DocumentError("standard input: not a JSON document.") from None
    top = _Members(document, "document")
    portal = _Members(top.value("portal", dict), "portal")
    apps = tuple(_app(_Members(app, f"apps[{at}]")) for at, app in enumerate(top.value("apps", list)))
    if len({app.slug for app in apps}) != len(apps):
        raise DocumentError("apps: two of them have one slug.")
    control = top.optional("control", str)
    owner = _owner(top, apps)
    return Plan(
        portal_url=portal.value("url", str),
        portal_internal_url=portal.optional("internal_url", str),
        trusted_proxies=portal.optional("trusted_proxies", str) or "",
        ca_file=portal.optional("ca_file", str),
        apps=tuple(_as_somebody(app, owner) for app in apps),
        control=None if control is None else Path(control),
        grace=_positive(top, "grace") or DEFAULT_GRACE,
        owner=owner,
    )


class _Members:
    """The members of one JSON object, each asked for by name and type."""

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
        env=_environment(members),
        log=Path(members.value("log", str)),
        temp=Path(members.value("temp", str)),
        cwd=None if cwd is None else Path(cwd),
        secret_names=_names(members),
        python=members.optional("python", str),
        start_timeout=_positive(members, "start_timeout") or DEFAULT_START_TIMEOUT,
        drain_timeout=_positive(members, "drain_timeout") or DEFAULT_DRAIN_TIMEOUT,
        memory=_positive(members, "memory"),
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
        raise members.wrong("uid", "or gid is root's, or nobody's")
    return uid, gid


def _as_somebody(app: AppPlan, owner: tuple[int, int] | None) -> AppPlan:
    """Return *app* as whom it runs: where root starts the supervisor, nothing is left to run as that."""
    if app.user is not None or owner is None:
        return app
    uid, gid = owner
    return replace(app, user=OwnUser(uid=uid, gid=gid))


def _positive(members: _Members, name: str) -> int | None:
    value: int | None = members.optional(name, int)
    if value is not None and value < 1:
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
