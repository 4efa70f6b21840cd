"""The sections ``[apps.<slug>]``, each read by itself; what they are to each other is looked at afterwards."""

import re
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from portal.configuration.addresses import normalised, problem_of
from portal.configuration.app_users import uid_for
from portal.configuration.documented import keys_under
from portal.configuration.environment import VARIABLE, Variables, shown
from portal.configuration.portal_table import PortalTable
from portal.configuration.report import Report
from portal.configuration.tables import MAX_PORT, Table
from portal.contract import is_local_path
from portal.contract.slugs import RULE, is_slug
from portal.contract.spaces import NotASpace, app_file_of
from portal.errors import choices
from portal.rules.browser_features import GRANTABLE
from portal.rules.catalogue import EVERYONE, AppSpec
from portal.rules.policy import API_RIGHTS

MOST_ROLES: Final = 64  # a ticket carries no more
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_EXECUTABLE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SECRET_NAME: Final = re.compile(
    r"secret|passw|credential|api_?key|access_?key|private_?key|_token$|^token$", re.IGNORECASE
)
_OURS: Final = re.compile(r"(?:PORTAL_|OAUTH_|LISTEN_|LD_).*|SESSION_SECRET_KEY|DATABASE_URL", re.IGNORECASE)
_MAX_ICON: Final = 8
_START_TIMEOUT: Final = 600
_LONGEST_START: Final = 3600
_DRAIN_TIMEOUT: Final = 120
_LONGEST_DRAIN: Final = 3600


class AppReader:
    """Reads apps one after the other; knows what all of them are read against."""

    def __init__(
        self,
        *,
        portal: PortalTable,
        roles: Iterable[str],
        withheld: Collection[str],
        folder: Path,
        variables: Variables,
        report: Report,
        unmade: bool = False,
    ) -> None:
        self._portal = portal
        self._unmade = unmade
        self._roles = frozenset(roles)
        self._withheld = withheld
        self._folder = folder
        self._variables = variables
        self._report = report
        self._ports = set(portal.own_ports)

    def read(self, values: Mapping[str, object]) -> tuple[AppSpec, ...]:
        """Read all of ``[apps]``; those with a problem of address are left out."""
        tables: list[tuple[str, Table]] = []
        for slug, value in values.items():
            if not is_slug(slug):
                what = "is no name for an app." if "." not in slug else "is no name for an app: it has dots."
                self._report.file(f"apps.{slug}", what, f"Use {RULE}.")
            elif type(value) is not dict:
                self._report.file(f"apps.{slug}", "must be a table.", f"Write a section [apps.{slug}].")
            else:
                known = keys_under("apps.<slug>")
                tables.append((slug, Table(value, at=f"apps.{slug}", known=known, report=self._report)))
                if type(port := value.get("port")) is int:
                    self._ports.add(port)
        apps = [self._app(slug, table) for slug, table in tables]
        return tuple(app for app in apps if app is not None)

    def _app(self, slug: str, table: Table) -> AppSpec | None:
        source = self._source(table)
        port = self._port(table) if table.has("source") else None
        if port is None and table.has("port"):
            table.problem("port", "is given, but there is no source to serve on it.", "Leave it out.")
        url = self._url(slug, table, port)
        internal_url = self._internal_url(table)
        if internal_url is None and port is not None:
            internal_url = f"http://127.0.0.1:{port}"
        icon = table.text("icon") or ""
        if len(icon) > _MAX_ICON:
            table.problem("icon", "is too long.", "Write one emoji or up to two letters.")
        secrets = self._secrets(table)
        env = self._env(table)
        open_to, people, rights, browser = (
            self._open_to(table),
            self._people(table),
            self._portal_api(table),
            self._browser(table),
        )
        python = self._python(slug, table)
        start_timeout = table.seconds("start_timeout", _START_TIMEOUT, longest=_LONGEST_START)
        drain_timeout = table.seconds("drain_timeout", _DRAIN_TIMEOUT, longest=_LONGEST_DRAIN)
        memory = table.size("memory")
        env_file = table.text("env_file")
        user = self._user(slug, table)
        for key in ("python", "start_timeout", "drain_timeout", "memory", "user", "env_file"):
            if table.has(key) and not table.has("source"):
                table.problem(key, "is given, but the portal does not start this app.", "Set it where the app runs.")
        tenants = table.texts("tenants")
        title = table.text("title") or slug.replace("-", " ").capitalize()
        description = table.text("description") or ""
        required = table.flag("required")
        if url is None:
            return None
        return AppSpec(
            slug=slug,
            title=title,
            url=url,
            description=description,
            icon=icon,
            source=source,
            internal_url=internal_url,
            port=port,
            open_to=open_to,
            provider=table.text("provider"),
            tenants=None if tenants is None else frozenset(tenants),
            people=people,
            portal_api=rights,
            browser=browser,
            start=self._start(table),
            required=required,
            env=env,
            secrets=secrets,
            python=python,
            start_timeout=start_timeout,
            drain_timeout=drain_timeout,
            memory=memory,
            user=user,
            env_file=None if env_file is None else str(self._folder / env_file),
        )

    def _source(self, table: Table) -> str | None:
        source = table.text("source")
        if source is None:
            if not table.has("source") and not table.has("url"):
                table.problem("source", "is missing, and so is url.", "Write what to run, or where it runs already.")
            return None
        path = self._folder / source
        mode = _mode_of(path)
        if mode is None:
            return str(path)
        if stat.S_ISDIR(mode):
            try:
                app_file_of(path)
            except NotASpace as error:
                fix = "Name the folder of a Space of Gradio, with its app in it, or the app's own file."
                table.problem("source", f"names {source!r}, which cannot be run: {error}", fix)
            except OSError:  # its own user may read it, and the app will say what is wrong with it
                pass
            return str(path)
        if stat.S_ISREG(mode):
            return str(path)
        if source.endswith(".py") or not _MODULE.fullmatch(source):
            table.problem("source", f"names {source!r}, which is not there.", f"Paths begin at {self._folder}.")
        return source

    def _python(self, slug: str, table: Table) -> str | None:
        written = table.text("python")
        if written is None:
            return None
        # Not resolved: the python of a virtual environment is a link, and knows where it is by its name.
        path = self._folder / written
        mode = _mode_of(path)
        if mode is not None and not (stat.S_ISREG(mode) and mode & _EXECUTABLE):
            made = path.parent.name == "bin" and path.name.startswith("python")
            if made and self._unmade:
                return str(path)
            how = f"Make it with `portal apps install {slug}`, or write" if made else "Write"
            table.problem(
                "python",
                f"names {written!r}, which is no program.",
                f"{how} venv/bin/python; it begins at {self._folder}.",
            )
        return str(path)

    def _user(self, slug: str, table: Table) -> str | None:
        numbers = self._portal.app_uids
        if table.has("user") or numbers is None or not table.has("source"):
            return table.user("user")
        return str(uid_for(slug, numbers))

    def _port(self, table: Table) -> int:
        port = table.port("port")
        if port is not None:
            if port in self._portal.own_ports:
                table.problem("port", "is the portal's own port.", "Choose another.")
            return port
        port = self._portal.apps_port
        while port in self._ports:
            port += 1
        self._ports.add(port)
        if port > MAX_PORT:
            table.problem("port", "is missing, and there is none left to give.", "Lower portal.apps_port.")
        return port

    def _url(self, slug: str, table: Table, port: int | None) -> str | None:
        written = table.text("url")
        if written is None:
            template = self._portal.apps_url
            if template is None:
                if table.has("source"):
                    table.problem("url", "is missing, and there is no portal.apps_url.", "Write one of the two.")
                return None
            if table.has("url") or port is None:
                return None
            written = template.replace("{app}", slug).replace("{port}", str(port))
            if problem_of(written, path="plain") is not None:
                return None  # noted once, at the template
        fault = problem_of(written, path="plain")
        if fault is not None:
            table.problem("url", *fault)
            return None
        return normalised(written)

    def _internal_url(self, table: Table) -> str | None:
        url = table.text("internal_url")
        fault = None if url is None else problem_of(url, path="plain")
        if fault is not None:
            table.problem("internal_url", *fault)
            return None
        return None if url is None else normalised(url)

    def _open_to(self, table: Table) -> frozenset[str]:
        roles = table.texts("open_to") or ()
        for role in roles:
            if role not in self._roles and role != EVERYONE:
                table.problem("open_to", f"names {role!r}, which is no role.", choices(role, self._roles | {EVERYONE}))
        if len(roles) > MOST_ROLES:
            table.problem("open_to", f"names more than {MOST_ROLES} roles.", "Make one role for several groups.")
        return frozenset(roles)

    def _people(self, table: Table) -> frozenset[str]:
        people = table.texts("people") or ()
        for address in people:
            local, _, domain = address.rpartition("@")
            if not local or not domain or "@" in local or not address.isascii() or " " in address:
                table.problem("people", f"names {address!r}, which is no e-mail address.", "Write name@example.com.")
        return frozenset(address.casefold() for address in people)

    def _portal_api(self, table: Table) -> frozenset[str]:
        rights = table.texts("portal_api") or ()
        for right in rights:
            if right not in API_RIGHTS:
                table.problem("portal_api", f"names {right!r}, which is no right.", choices(right, API_RIGHTS))
        return frozenset(rights)

    def _browser(self, table: Table) -> tuple[str, ...]:
        features = table.texts("browser") or ()
        for feature in features:
            if feature not in GRANTABLE:
                table.problem(
                    "browser", f"names {feature!r}, which no frame can be given.", choices(feature, GRANTABLE)
                )
        return features

    def _start(self, table: Table) -> str:
        start = table.text("start") or "/"
        if is_local_path(start):
            return start
        table.problem(
            "start", "is not a path that an address can carry.", "Begin it with one slash: /ui, or /ui?view=api."
        )
        return "/"

    def _env(self, table: Table) -> tuple[tuple[str, str], ...]:
        values = table.mapping("env") or {}
        pairs: list[tuple[str, str]] = []
        for name, value in values.items():
            key = f"env.{name}"
            if not VARIABLE.fullmatch(name) or _OURS.fullmatch(name):
                table.problem(key, "cannot be given to an app.", "Choose another name.")
            elif _SECRET_NAME.search(name):
                table.problem(key, "looks like a secret, and secrets do not stand in the file.", "List it in secrets.")
            elif type(value) is not str or "\0" in value:
                table.problem(key, "must be a text.", f'Write {name} = "…".')
            else:
                pairs.append((name, value))
        if pairs and not table.has("source"):
            table.problem("env", "is given, but the portal does not start this app.", "Set it where the app runs.")
        return tuple(pairs)

    def _secrets(self, table: Table) -> tuple[str, ...]:
        names = table.texts("secrets") or ()
        for name in names:
            if not VARIABLE.fullmatch(name) or _OURS.fullmatch(name) or name in self._withheld:
                table.problem("secrets", f"names {shown(name)}, which no app is given.", "Write names of variables.")
            elif table.has("source") and self._portal.apps_run_by == "portal" and self._variables.get(name) is None:
                table.problem(
                    "secrets",
                    f"names {shown(name)}, which is not set.",
                    'Set it in the environment or .env; where units run the apps, say portal.apps_run_by = "systemd".',
                )
        if names and not table.has("source"):
            table.problem("secrets", "is given, but the portal does not start this app.", "Set it where the app runs.")
        return names


def _mode_of(path: Path) -> int | None:
    """Return the mode of *path*, 0 where nothing is; ``None`` where only others, such as its own user, may look."""
    try:
        return path.stat().st_mode
    except PermissionError:
        return None
    except (OSError, ValueError):
        return 0
