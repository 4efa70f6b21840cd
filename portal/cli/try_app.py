"""``portal try``: one app as it is, behind the demo provider, open to every sample person."""

import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.options import examples
from portal.contract.env_files import EnvFileError, read_env_file
from portal.contract.missing_variable import variable_in
from portal.contract.slugs import slug_from
from portal.demo import running
from portal.demo.setup import SAMPLE_ROLES, Sample, SampleApp
from portal.errors import choices
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.ports import chosen_ports
from portal.rules.browser_features import GRANTABLE

HANDED: Final = "handed.env"
"""What the app is handed, in the trial's folder while it runs."""

_LONGEST_SLUG: Final = 50
_COMMON: Final = frozenset({"app", "demo", "index", "main", "run", "src"})
"""File names that say nothing about the app; the folder says more."""


@click.command(epilog=examples("portal try app.py", "portal try my-space --env HF_TOKEN --browser microphone,camera"))
@click.argument("app", type=options.PATH, metavar="APP", help="A file like app.py, or the folder of a Space.")
@click.option(
    "--env",
    multiple=True,
    metavar="NAME",
    help="Give the app this variable of your environment; may be repeated. It sees no other.",
)
@click.option("--env-file", type=options.PATH, metavar="FILE", help="Give the app the NAME=value lines of this file.")
@click.option(
    "--browser",
    default="",
    show_default=False,
    metavar="FEATURES",
    help="Browser features for its frame, such as microphone,camera.",
)
@options.demo
def try_app(
    *,
    app: Path,
    env: tuple[str, ...],
    env_file: Path | None,
    browser: str,
    port: int,
    no_browser: bool,
    plain_names: bool,
    data_dir: Path | None,
) -> int:
    """Start one Gradio app, unmodified, behind the demo provider."""
    source = source_at(app)
    slug = slug_of(source)
    variables = variables_for(env, file=env_file, environ=os.environ)
    folder = (data_dir or default_folder(source, port=port, environ=os.environ)).absolute()
    sample_app = SampleApp(
        slug=slug,
        title=title_of(slug),
        source=str(source),
        open_to=("everyone", *SAMPLE_ROLES),
        browser=features_in(browser),
        env_file=HANDED if variables else None,
    )
    sample = Sample(
        name=f"{source.name} behind the portal",
        folder=folder,
        ports=chosen_ports(port, apps=1),
        apps=(sample_app,),
        landing=(slug,),
        plain_names=plain_names,
    )
    command = f"portal try {shlex.quote(str(app))}"

    def failed(log: str) -> None:
        missing = variable_in(log)
        if missing is not None and missing not in variables:
            raise CommandFailed(
                f"{source.name} needs the variable {missing}, and sees only what it is handed. Set it and say "
                f"--env {missing}, or name a file that has it with --env-file.",
                exit_code=ENDED,
            )

    with handed(variables, folder=folder):
        return running.run(
            sample,
            command=command,
            browser=not no_browser,
            hidden=tuple(variables.values()),
            failed=failed,
        )


def variables_for(names: Iterable[str], *, file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the app is handed: what *file* says, and over that the variables of *environ* called *names*.

    Raises:
        CommandFailed: one is not set or cannot be handed on, or the file cannot be used; no value is shown.
    """
    try:
        lines = {} if file is None else dict(read_env_file(file.read_bytes()))
    except (OSError, EnvFileError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CommandFailed(f"The file {file} cannot be used: {why}.") from error
    given: dict[str, str] = {}
    for name in names:
        if "=" in name:
            raise CommandFailed("--env takes the name of a variable, and no value: set it before, and say its name.")
        if name not in environ:
            raise CommandFailed(f"The variable {name} is not set. Set it, or leave --env {name} out.")
        if not _can_be_handed(name, environ[name]):
            raise CommandFailed(
                f"The variable {name} cannot be handed to an app: its value must be one line of text, and names that "
                "begin with PORTAL_, LISTEN_ or LD_ are none of an app's."
            )
        given[name] = environ[name]
    return lines | given


def _can_be_handed(name: str, value: str) -> bool:
    """Say whether an app would be handed just that."""
    with suppress(EnvFileError):
        return read_env_file(as_env_file({name: value})) == {name: value}
    return False


def as_env_file(variables: Mapping[str, str]) -> bytes:
    """Return *variables* as the lines of an ``env_file``; in quotes, so that space around a value stays."""
    return "".join(f'{name}="{value}"\n' for name, value in variables.items()).encode("utf-8", "surrogateescape")


@contextmanager
def handed(variables: Mapping[str, str], *, folder: Path) -> Iterator[None]:
    """Keep *variables* in *folder*, which becomes this user's alone, until the block ends.

    Raises:
        CommandFailed: they cannot be written there.
    """
    place = folder / HANDED
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if variables:
            with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as lines:
                lines.write(as_env_file(variables))
    except OSError as error:
        problem = f"The folder {folder} cannot be used: {error.strerror}. Choose another with --data-dir."
        raise CommandFailed(problem) from error
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def features_in(text: str) -> tuple[str, ...]:
    """Return the browser's features that *text* names, between commas.

    Raises:
        CommandFailed: one is not known.
    """
    features = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for feature in features:
        if feature not in GRANTABLE:
            raise CommandFailed(
                f"--browser names {feature!r}, which no frame can be given. {choices(feature, GRANTABLE)}"
            )
    return features


def source_at(path: Path) -> Path:
    """Return the absolute path of the app at *path*.

    Raises:
        CommandFailed: nothing there can be run.
    """
    found = path.absolute()
    if found.is_dir():
        if not any((found / name).is_file() for name in ("README.md", "app.py")):
            raise CommandFailed(f"The folder {path} has neither a README.md, as Spaces have, nor an app.py.")
        return found
    if not found.is_file():
        raise CommandFailed(f"There is no file {path}.")
    if found.suffix != ".py":
        raise CommandFailed(f"{path} is no Python file. Give a file like app.py, or the folder of a Space.")
    return found


def slug_of(source: Path) -> str:
    """Return a name for addresses, from the file's name, or the folder's where the file's says nothing."""
    stem = source.stem if source.is_file() or source.suffix == ".py" else source.name
    name = source.parent.name if stem.lower() in _COMMON and source.parent.name else stem
    slug = slug_from(name, longest=_LONGEST_SLUG) or slug_from(stem, longest=_LONGEST_SLUG) or "app"
    return "portal-app" if slug == "portal" else slug  # portal.demo.localhost is the portal itself


def title_of(slug: str) -> str:
    """Return a title for the app."""
    return slug.replace("-", " ").capitalize()


def default_folder(source: Path, *, port: int, environ: Mapping[str, str]) -> Path:
    """Return where this app's trial keeps its things: the user's cache, so that nothing is left beside the app.

    Raises:
        CommandFailed: the user has no home folder.
    """
    of_user = environ.get("XDG_CACHE_HOME") or ""
    try:
        cache = Path(of_user) if of_user.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:  # a user number without a name, as in a container, and no HOME
        raise CommandFailed("You have no home folder. Say where to keep the trial's files with --data-dir.") from error
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:12]
    return cache / "gradio-portal" / f"try-{digest}-{port or 'any'}"
