"""The sections ``[apps.<slug>]``: the settings of each app, and the reader that builds apps from them."""

import re
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from portal.configuration.addresses import normalised, problem_of
from portal.configuration.app_users import uid_for
from portal.configuration.declaration import Section, Setting
from portal.configuration.environment import VARIABLE, Variables, printable
from portal.configuration.report import Report
from portal.configuration.tables import MAX_PORT, Duration, Table, some_of, url_with
from portal.contract import is_local_path, is_loopback_url
from portal.contract.slugs import RULE, is_slug
from portal.contract.spaces import NotASpace, app_file_of
from portal.errors import choices
from portal.rules.browser_features import GRANTABLE
from portal.rules.catalogue import EVERYONE, AppSpec
from portal.rules.policy import API_RIGHTS
from portal.settings import HOUR, Settings

MOST_ROLES: Final = 64  # a ticket carries no more
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_EXECUTABLE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SECRET_NAME: Final = re.compile(
    r"secret|passw|credential|api_?key|access_?key|private_?key|_token$|^token$", re.IGNORECASE
)
_OURS: Final = re.compile(r"(?:PORTAL_|OAUTH_|LISTEN_|LD_).*|SESSION_SECRET_KEY|DATABASE_URL", re.IGNORECASE)
_MAX_ICON: Final = 8
_ONLY_WITH_SOURCE: Final = ("python", "start_timeout", "drain_timeout", "memory", "user", "env_file", "shared_files")


def _icon(table: Table, key: str) -> str | None:
    icon = table.text(key)
    if len(icon or "") > _MAX_ICON:
        table.problem(key, "is too long.", "Write one emoji or up to two letters.")
    return icon


def _open_to(table: Table, key: str) -> frozenset[str] | None:
    roles = table.names(key)
    if len(roles or ()) > MOST_ROLES:
        table.problem(key, f"lists more than {MOST_ROLES} roles.", "Make one role for several groups.")
    return roles


def _people(table: Table, key: str) -> frozenset[str] | None:
    people = table.texts(key)
    for address in people or ():
        local, _, domain = address.rpartition("@")
        if not local or not domain or "@" in local or not address.isascii() or " " in address:
            table.problem(key, f"lists {address!r}, which is not an e-mail address.", "Write name@example.com.")
    return None if people is None else frozenset(address.casefold() for address in people)


def _rights(table: Table, key: str) -> frozenset[str] | None:
    rights = some_of(API_RIGHTS)(table, key)
    return None if rights is None else frozenset(rights)


def _start(table: Table, key: str) -> str | None:
    start = table.text(key)
    if start is None or is_local_path(start):
        return start
    table.problem(key, "is not a path that an address can carry.", "Begin it with one slash: /ui, or /ui?view=api.")
    return None


def _env(table: Table, key: str) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for name, value in (table.mapping(key) or {}).items():
        inner = f"{key}.{name}"
        if not VARIABLE.fullmatch(name) or _OURS.fullmatch(name):
            table.problem(inner, "cannot be given to an app.", "Choose another name.")
        elif _SECRET_NAME.search(name):
            table.problem(inner, "looks like a secret, and secrets do not belong in the file.", "List it in secrets.")
        elif type(value) is not str or "\0" in value:
            table.problem(inner, "must be a text.", f'Write {name} = "…".')
        else:
            pairs.append((name, value))
    return tuple(pairs)


class AppSection(Section, name="apps.<slug>", spec=AppSpec):
    """``[apps.<slug>]``."""

    source = Setting(Table.text, '"gradio_apps.user_dashboard"', default_text="required, or url")
    """What the supervisor runs: a file, a folder like a Hugging Face Space (relative to the file), or a module."""
    url = Setting(url_with("plain"), '"https://forecast.apps.example.com"', default_text="from portal.apps_url")
    """Where browsers reach it. Without source: the app runs on its own, behind the same guard."""
    title = Setting(Table.text, '"Forecast"', default_text="from the slug")
    """Its name on the pages."""
    description = Setting(Table.text, '"Sales of the next quarter"')
    """One line about it."""
    icon = Setting(_icon, '"📈"')
    """One emoji or up to two letters."""
    open_to = Setting(_open_to, '["everyone"]')
    """Roles that may open it, or "everyone" for everyone signed in. An empty list: nobody."""
    provider = Setting(Table.text, '"company"', default_text="every provider")
    """Id of the one provider whose people may open it, or "*" for every provider. Required beside tenants or people
    if there are several providers: tenants and addresses of one provider mean nothing at another."""
    tenants = Setting(Table.names, '["acme"]', default_text="every tenant")
    """Ids of the tenants it is open in."""
    people = Setting(_people, '["ana@example.com"]')
    """Verified e-mail addresses that may open it, besides the roles."""
    portal_api = Setting(_rights, '["audit:read"]')
    """What it may do at the portal's API, if the person's roles may too: audit:read, sign-ins:end, sign-ins:read."""
    browser = Setting(some_of(GRANTABLE), '["microphone", "clipboard-write"]')
    """What its frame may use of the browser: names of Permissions Policy."""
    start = Setting(
        _start, '"/ui"', default_text="/; if that has no page and one interface is mounted below, that interface"
    )
    """Path of the app at which it opens."""
    required = Setting(Table.flag, "true")
    """Whether /readyz waits for it."""
    shared_files = Setting(Table.flag, "true")
    """Whether everybody who may open it gets files of Gradio's cache that no answer to a person has named."""
    env = Setting(_env, '{ MODEL = "small" }', default_text="{}")
    """Environment variables of its process, without secrets."""
    secrets = Setting(Table.texts, '["OPENAI_API_KEY"]')
    """Names of environment variables that only this app gets; their values are redacted everywhere. They must be
    set, unless systemd runs the apps."""
    env_file = Setting(Table.text, '"secrets/forecast.env"')
    """File of NAME=value lines, relative to the file, that only this app gets, at each start; its values are
    redacted everywhere. Only its owner may read it, or its group too, and no app's user may write to its folder."""
    user = Setting(Table.user, '"forecast"', default_text="one of portal.app_uids, else the portal's own")
    """User of this machine that it runs as: a name or a number; not root, the portal's user or another app's.
    portal serve must be started by root."""
    python = Setting(Table.text, '"environments/forecast/bin/python"', default_text="the portal's own")
    """Interpreter that runs it, with its own packages; relative to the file."""
    start_timeout = Setting(Duration(1, HOUR), '"1h"')
    """How long it may take to start."""
    drain_timeout = Setting(Duration(1, HOUR), '"10m"')
    """How long the old process may finish its work after a reload or restart has replaced it."""
    memory = Setting(Table.size, '"2 GB"', default_text="no limit")
    """Memory that it and everything it starts may use. An app that uses more is stopped and started again (Linux)."""
    port = Setting(Table.port, "7871", default_text="the next free one")
    """Loopback port that the supervisor listens on for it."""
    internal_url = Setting(
        url_with("plain"), '"http://127.0.0.1:7871"', default_text="http://127.0.0.1:<port> with a source, else its url"
    )
    """Where the portal reaches it; https outside loopback."""


class AppReader:
    """Builds apps one after the other; knows what all of them are checked against."""

    def __init__(
        self,
        *,
        portal: Settings,
        roles: Iterable[str],
        withheld: Collection[str],
        folder: Path,
        variables: Variables,
        report: Report,
        may_lack_python: bool = False,
    ) -> None:
        self._portal = portal
        self._may_lack_python = may_lack_python
        self._roles = frozenset(roles)
        self._withheld = withheld
        self._folder = folder
        self._variables = variables
        self._report = report
        self._own_ports = _own_ports(portal)
        self._ports = set(self._own_ports)

    def read(self, values: Mapping[str, object]) -> tuple[AppSpec, ...]:
        """Read all of ``[apps]``; an app without a usable address is left out."""
        tables: list[tuple[str, Table]] = []
        for slug, value in values.items():
            if not is_slug(slug):
                what = "is not a name for an app" + (": it has dots." if "." in slug else ".")
                self._report.file(f"apps.{slug}", what, f"Use {RULE}.")
            elif type(value) is not dict:
                self._report.file(f"apps.{slug}", "must be a table.", f"Write a section [apps.{slug}].")
            else:
                tables.append((slug, AppSection.table(value, at=f"apps.{slug}", report=self._report)))
                if type(port := value.get("port")) is int:
                    self._ports.add(port)
        apps = [self._app(slug, table) for slug, table in tables]
        return tuple(app for app in apps if app is not None)

    def _app(self, slug: str, table: Table) -> AppSpec | None:
        app = AppSection.read(table)
        app["slug"] = slug
        app["source"] = self._source(table, app["source"])
        app["title"] = app["title"] or slug.replace("-", " ").capitalize()
        self._check_open_to(table, app["open_to"])
        self._check_secrets(table, app["secrets"])
        if table.has("source"):
            app["port"] = self._port(table, app["port"])
            app["internal_url"] = app["internal_url"] or f"http://127.0.0.1:{app['port']}"
            app["python"] = self._python(slug, table, app["python"])
            app["env_file"] = None if app["env_file"] is None else str(self._folder / app["env_file"])
            if not table.has("user") and self._portal.app_uids is not None:
                app["user"] = str(uid_for(slug, self._portal.app_uids))
        else:
            _check_no_source(table, app)
        app["url"] = app["url"] or self._url(slug, table, app["port"])
        return None if app["url"] is None else AppSpec(**app)

    def _source(self, table: Table, source: str | None) -> str | None:
        if source is None:
            if not table.has("source") and not table.has("url"):
                table.problem("source", "is missing, and so is url.", "Write what to run, or where it already runs.")
            return None
        path = self._folder / source
        mode = _mode_of(path)
        if mode is None:
            return str(path)
        if stat.S_ISDIR(mode):
            try:
                app_file_of(path)
            except NotASpace as error:
                fix = "Correct its README.md, or name the app's own file."
                table.problem("source", f"names {source!r}, which cannot be run: {error}", fix)
            except OSError:  # its own user may read it, and the app reports what is wrong with it
                pass
            return str(path)
        if stat.S_ISREG(mode):
            return str(path)
        if source.endswith(".py") or not _MODULE.fullmatch(source):
            table.problem("source", f"names {source!r}, which does not exist.", f"Paths begin at {self._folder}.")
        return source

    def _python(self, slug: str, table: Table, written: str | None) -> str | None:
        if written is None:
            return None
        # Not resolved: the python of a virtual environment is a link, and knows where it is by its name.
        path = self._folder / written
        mode = _mode_of(path)
        if mode is not None and not (stat.S_ISREG(mode) and mode & _EXECUTABLE):
            in_environment = path.parent.name == "bin" and path.name.startswith("python")
            if in_environment and self._may_lack_python:
                return str(path)
            how = f"Create it with `portal apps install {slug}`, or write" if in_environment else "Write"
            fix = f"{how} venv/bin/python; it begins at {self._folder}."
            table.problem("python", f"names {written!r}, which is not a program.", fix)
        return str(path)

    def _port(self, table: Table, port: int | None) -> int:
        if port is not None:
            if port in self._own_ports:
                table.problem("port", "is the portal's own port.", "Choose another.")
            return port
        port = self._portal.apps_port
        while port in self._ports:
            port += 1
        self._ports.add(port)
        if port > MAX_PORT:
            table.problem("port", "is missing, and there is no free one left.", "Lower portal.apps_port.")
        return port

    def _url(self, slug: str, table: Table, port: int | None) -> str | None:
        """Return the address that portal.apps_url gives the app, if the app has none of its own."""
        template = self._portal.apps_url
        if table.has("url") or not table.has("source"):
            return None
        if not template:
            table.problem("url", "is missing, and there is no portal.apps_url.", "Write one of the two.")
            return None
        url = template.replace("{app}", slug).replace("{port}", str(port))
        # What is wrong with the template is noted once, there.
        return normalised(url) if problem_of(url, path="plain") is None else None

    def _check_open_to(self, table: Table, roles: frozenset[str]) -> None:
        for role in sorted(roles - self._roles - {EVERYONE}):
            what = f"lists {role!r}, which is not a role."
            table.problem("open_to", what, choices(role, self._roles | {EVERYONE}))

    def _check_secrets(self, table: Table, names: tuple[str, ...]) -> None:
        for name in names:
            if not VARIABLE.fullmatch(name) or _OURS.fullmatch(name) or name in self._withheld:
                table.problem("secrets", f"lists {printable(name)}, which no app gets.", "Write names of variables.")
            elif table.has("source") and self._portal.apps_run_by == "portal" and self._variables.get(name) is None:
                fix = (
                    'Set it in the environment or .env; if systemd runs the apps, write portal.apps_run_by = "systemd".'
                )
                table.problem("secrets", f"lists {printable(name)}, which is not set.", fix)


def _check_no_source(table: Table, app: Mapping[str, Any]) -> None:
    """Note settings of a process the portal does not start."""
    if table.has("port"):
        table.problem("port", "has no effect: there is no source to serve on it.", "Leave it out.")
    for key in (*_ONLY_WITH_SOURCE, *(key for key in ("env", "secrets") if app[key])):
        if table.has(key):
            table.problem(key, "has no effect: the portal does not start this app.", "Set it where the app runs.")


def _own_ports(portal: Settings) -> frozenset[int]:
    """Return the ports of this machine that the portal itself listens on, as far as its addresses tell."""
    local = [url for url in (portal.url, portal.internal_url) if url is not None and is_loopback_url(url)]
    return frozenset(port for url in local if (port := urlsplit(url).port) is not None)


def _mode_of(path: Path) -> int | None:
    """Return the mode of *path*; 0 if nothing is there, ``None`` if the portal may not look (its user may)."""
    try:
        return path.stat().st_mode
    except PermissionError:
        return None
    except (OSError, ValueError):
        return 0
