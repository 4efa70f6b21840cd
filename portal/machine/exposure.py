"""Files of the portal or of another app that an app's user may read or change; checked before anything starts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.env_files import LARGEST, EnvFileError, read_env_file
from portal.errors import Problem
from portal.machine.code_locations import installation, interpreter_at, source_of
from portal.machine.env_file_checks import EnvFiles
from portal.machine.file_permissions import GuardedPath, first_changeable, guarded_path
from portal.machine.users import UNKNOWN_USER, Account, Accounts
from portal.settings import SIGN_IN_HOOK, Settings

WORKING_FOLDER: Final = "(the working folder)"
"""In place of a key, if the folder and not the file can be changed."""
_SECRET_FILES: Final = frozenset({"PORTAL_DATABASE_URL_FILE", "PORTAL_RATE_LIMIT_STORAGE_FILE"})
"""Variables of files that may contain a password, without a name that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalFiles:
    """The portal's own files; absolute paths."""

    here: Path
    """The working folder."""
    config: Path
    """``portal.toml``."""
    secret: tuple[Path, ...]
    """Files with the portal's secrets: ``.env`` and those named by ``<NAME>_FILE`` variables."""
    trusted: tuple[Path, ...] = ()
    """Files of the working folder that control the portal: ``.env`` and the sign-in hook."""


def files_of(config: Path, *, here: Path, variables: Mapping[str, str]) -> PortalFiles:
    """Return what apps must not change: *config*, files named by *variables*, ``.env`` and the hook in *here*."""
    secret = [
        here / value.strip() for name, value in sorted(variables.items()) if _names_a_secret(name) and value.strip()
    ]
    hook = here.joinpath(*variables.get(SIGN_IN_HOOK, "").partition(":")[0].strip().split("."))
    modules = () if hook == here else (hook.with_suffix(".py"), hook / "__init__.py")
    return PortalFiles(here=here, config=config, secret=(here / ".env", *secret), trusted=(here / ".env", *modules))


def exposed(settings: Settings, accounts: Accounts, files: PortalFiles) -> tuple[Problem, ...]:
    """Return what users of apps may read or change but must not; what cannot be read is skipped."""
    found = (
        *env_file_problems(settings, accounts, files, by_units=settings.apps_run_by == "systemd"),
        *_changeable_files(settings, accounts, files),
        *_readable_secrets(accounts, files),
        *(_changeable_code(settings, accounts, files) if accounts.apps else ()),
    )
    return tuple({str(one): one for one in found}.values())


def env_file_problems(
    settings: Settings, accounts: Accounts, files: PortalFiles, *, by_units: bool
) -> tuple[Problem, ...]:
    """Return problems of env files; *by_units*: apps run as systemd units, whose users may not exist yet."""
    units = [app.slug for app in settings.catalogue if by_units and app.source is not None]
    known = dict.fromkeys(units, UNKNOWN_USER) | dict(accounts.apps)
    env_files = EnvFiles(accounts=known, secret=files.secret, place=str(files.config))
    found = map(env_files.problem_of, settings.catalogue)
    return tuple(one for one in found if one is not None)


def _changeable_files(settings: Settings, accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    trusted = dict.fromkeys((*files.trusted, *files.secret))
    egress = settings.egress
    authorities = (("portal.ca_file", egress.authorities), (egress.bundle_name, egress.bundle))
    reported: set[Path] = set()
    for what, path in (
        ("(the file)", files.config),
        ("portal.apps_dir", settings.homes),
        *((what, path) for what, path in authorities if path is not None),
        *((WORKING_FOLDER if path in files.trusted else str(path), path) for path in trusted),
    ):
        found = first_changeable((guarded_path(files.here / path),), accounts.apps.items())
        if found is None or (path in trusted and found[2] in reported):
            continue
        reported.add(found[2])
        yield _changeable(what, *found, place=str(files.config))


def _changeable(key: str, slug: str, account: Account, path: Path, *, place: str, fix: str | None = None) -> Problem:
    return Problem(
        place=place,
        key=key,
        what=f"can be changed by the app {slug}, which runs as {account} and may write to {path}.",
        fix=fix or f"Give {path} to root with chown, and close it with chmod go-w.",
    )


def _readable_secrets(accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    for path in files.secret:
        file = guarded_path(path)
        for slug, account in accounts.apps.items():
            if file.readable_by(account):
                yield Problem(
                    place=str(files.config),
                    key=str(path),
                    what=f"contains secrets of the portal and can be read by the app {slug}, which runs as {account}.",
                    fix="Close it with chmod 600, and give it to the portal's user with chown.",
                )
                break


def _changeable_code(settings: Settings, accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    """Yield code that another app may change.  An app may change its own code: that code runs as its own user."""
    place = str(files.config)
    ours = {"(the installation)": installation(here=files.here)}
    if settings.apps_run_by == "portal":  # units have working folders of their own
        # The portal's processes look for modules in their working folder first.
        ours[WORKING_FOLDER] = iter((guarded_path(files.here, adding=True),))
    for what, places in ours.items():
        found = first_changeable(places, accounts.apps.items())
        if found is not None:
            yield _changeable(what, *found, place=place)
    interpreters: dict[str, tuple[GuardedPath, ...]] = {}
    for app in settings.catalogue:
        own = accounts.apps.get(app.slug)
        others = [(slug, one) for slug, one in accounts.apps.items() if own is None or one.uid != own.uid]
        python = app.python
        if python is not None and python not in interpreters:
            interpreters[python] = tuple(interpreter_at(files.here / python))
        for key, code in (("source", source_of(app)), ("python", interpreters.get(python or "", ()))):
            found = first_changeable(code, others)
            if found is not None:
                fix = f"Keep it where only root or the user of {app.slug} may write, such as a folder of root's."
                yield _changeable(f"apps.{app.slug}.{key}", *found, place=place, fix=fix)


def _names_a_secret(name: str) -> bool:
    return name in _SECRET_FILES or (name.endswith("_FILE") and "SECRET" in name)


def env_values(files: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return every value in the env *files*, for redaction; ``None`` if this user cannot read one of them."""
    values: list[str] = []
    for name in files:
        if name is None:
            continue
        try:
            with Path(name).open("rb") as file:
                values += read_env_file(file.read(LARGEST + 1)).values()
        except FileNotFoundError:
            continue
        except (OSError, EnvFileError):
            return None
    return tuple(values)
