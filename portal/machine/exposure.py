"""What an app's user could read or change that is the portal's or another app's, before anything is started."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.egress import Egress
from portal.contract.env_files import LARGEST, EnvFileError, read_env_file
from portal.errors import Problem
from portal.machine.code_locations import installation, interpreter_at, source_of
from portal.machine.env_file_checks import EnvFiles
from portal.machine.file_permissions import GuardedPath, first_open, place_of
from portal.machine.users import NOT_YET, Account, Accounts
from portal.settings import SIGN_IN_HOOK, Settings

WORKING_FOLDER: Final = "(the working folder)"
"""Stands for a key where it is not the file that is open."""
_PLACES: Final = frozenset({"PORTAL_DATABASE_URL_FILE", "PORTAL_RATE_LIMIT_STORAGE_FILE"})
"""Files that may hold a password, by a name that does not say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalFiles:
    """Where what is the portal's own stands; absolute paths."""

    here: Path
    """The working folder."""
    config: Path
    """``portal.toml``, by its absolute path."""
    secret: tuple[Path, ...]
    """Files with the portal's secrets: ``.env``, and those that ``<NAME>_FILE`` variables name."""
    obeyed: tuple[Path, ...] = ()
    """Where the portal looks in its working folder for what it does as it is told there: ``.env``, the sign-in hook."""


def files_of(config: Path, *, here: Path, variables: Mapping[str, str]) -> PortalFiles:
    """Return what is to be kept from apps: *config*, files that *variables* name, ``.env`` and the hook in *here*."""
    named = [
        here / value.strip() for name, value in sorted(variables.items()) if _names_a_secret(name) and value.strip()
    ]
    hook = here.joinpath(*variables.get(SIGN_IN_HOOK, "").partition(":")[0].strip().split("."))
    modules = () if hook == here else (hook.with_suffix(".py"), hook / "__init__.py")
    return PortalFiles(here=here, config=config, secret=(here / ".env", *named), obeyed=(here / ".env", *modules))


def exposed(settings: Settings, accounts: Accounts, files: PortalFiles) -> tuple[Problem, ...]:
    """Return what is open to users of apps that must not be; what cannot be looked at is passed over."""
    found = (
        *env_file_problems(settings, accounts, files, by_units=settings.apps_run_by == "systemd"),
        *_changed(settings, accounts, files),
        *_readable(accounts, files),
        *(_steered(settings, accounts, files) if accounts.apps else ()),
    )
    return tuple({str(one): one for one in found}.values())


def env_file_problems(
    settings: Settings, accounts: Accounts, files: PortalFiles, *, by_units: bool
) -> tuple[Problem, ...]:
    """Return what is wrong with files of variables; *by_units*: of apps of units, whose users may not be there."""
    units = [app.slug for app in settings.catalogue if by_units and app.source is not None]
    known = dict.fromkeys(units, NOT_YET) | dict(accounts.apps)
    looked = EnvFiles(accounts=known, secret=files.secret, place=str(files.config))
    found = map(looked.problem_of, settings.catalogue)
    return tuple(one for one in found if one is not None)


def _changed(settings: Settings, accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    obeyed = dict.fromkeys((*files.obeyed, *files.secret))
    authorities = [(what, path) for what, path in _authorities(settings.egress) if path is not None]
    told: set[Path] = set()
    for what, path in (
        ("(the file)", files.config),
        ("portal.apps_dir", settings.homes),
        *authorities,
        *((WORKING_FOLDER if path in files.obeyed else str(path), path) for path in obeyed),
    ):
        found = first_open((place_of(files.here / path),), accounts.apps.items())
        if found is None or (path in obeyed and found[2] in told):
            continue
        told.add(found[2])
        yield _changeable(what, *found, place=str(files.config))


def _changeable(what: str, slug: str, account: Account, named: Path, *, place: str) -> Problem:
    return Problem(
        place=place,
        key=what,
        what=f"can be changed by the app {slug}, which runs as {account}: {named} is open to it.",
        fix=f"Give {named} to root, with chown, and close it with chmod go-w.",
    )


def _authorities(egress: Egress) -> tuple[tuple[str, Path | None], ...]:
    return (("portal.ca_file", egress.authorities), (egress.bundle_name, egress.bundle))


def _readable(accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    for path in files.secret:
        file = place_of(path)
        for slug, account in accounts.apps.items():
            if file.read_by(account):
                yield Problem(
                    place=str(files.config),
                    key=str(path),
                    what=f"holds secrets of the portal, and can be read by the app {slug}, which runs as {account}.",
                    fix="Close it: chmod 600, and chown it to the portal's user.",
                )
                break


def _steered(settings: Settings, accounts: Accounts, files: PortalFiles) -> Iterator[Problem]:
    """Yield whose code others could change.  An app's own is its own: it runs as whom it would be changed by."""
    place = str(files.config)
    ours = {"(the installation)": installation(here=files.here)}
    if settings.apps_run_by == "portal":  # units have working folders of their own
        # The portal's processes look for modules in their working folder first.
        ours[WORKING_FOLDER] = iter((place_of(files.here, adding=True),))
    for what, places in ours.items():
        found = first_open(places, accounts.apps.items())
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
            found = first_open(code, others)
            if found is not None:
                slug, account, named = found
                yield Problem(
                    place=place,
                    key=f"apps.{app.slug}.{key}",
                    what=f"can be changed by the app {slug}, which runs as {account}: {named} is open to it.",
                    fix=f"Keep it where only root, or the user of {app.slug}, may write, such as a folder of root's.",
                )


def _names_a_secret(name: str) -> bool:
    return name in _PLACES or (name.endswith("_FILE") and "SECRET" in name)


def env_values(files: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return every value in the env files *files*, to be hidden; ``None`` where one cannot be read by this user."""
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
