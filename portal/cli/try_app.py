"""``portal try``: one unmodified app behind the demo provider, open to every sample person."""

import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from portal.cli import options
from portal.cli.messages import examples
from portal.contract.env_files import EnvFileError, read_env_file
from portal.contract.missing_variable import variable_in
from portal.contract.slugs import slug_from
from portal.demo import running
from portal.demo.setup import SAMPLE_ROLES, Sample, SampleApp
from portal.errors import choices
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.ports import chosen_ports
from portal.rules.browser_features import GRANTABLE

ENV_FILE: Final = "app.env"
"""The app's variables, in the trial's folder while it runs."""

_LONGEST_SLUG: Final = 50
_COMMON: Final = frozenset({"app", "demo", "index", "main", "run", "src"})
"""File names that do not identify an app."""


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
        env_file=ENV_FILE if variables else None,
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
                f"{source.name} needs the variable {missing}. Set it and add --env {missing}, or use --env-file with a "
                "file that has it.",
                exit_code=ENDED,
            )

    with env_file_in(folder, variables):
        return running.run(
            sample,
            command=command,
            browser=not no_browser,
            hidden=tuple(variables.values()),
            failed=failed,
        )


def variables_for(names: Iterable[str], *, file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the app's variables: those in *file*, and over them those of *environ* called *names*.

    Raises:
        CommandFailed: one is not set or not allowed, or the file cannot be used; no value is shown.
    """
    try:
        lines = {} if file is None else dict(read_env_file(file.read_bytes()))
    except (OSError, EnvFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandFailed(f"The file {file} cannot be used: {reason}.") from error
    values: dict[str, str] = {}
    for name in names:
        if "=" in name:
            raise CommandFailed(
                "--env takes the name of a variable, not a value: set the variable, then give its name."
            )
        if name not in environ:
            raise CommandFailed(f"The variable {name} is not set. Set it, or leave --env {name} out.")
        if not _is_allowed(name, environ[name]):
            raise CommandFailed(
                f"The variable {name} cannot be given to an app: its value must be one line of text, and its name must "
                "not begin with PORTAL_, LISTEN_ or LD_."
            )
        values[name] = environ[name]
    return lines | values


def _is_allowed(name: str, value: str) -> bool:
    """Return whether an app would get exactly this variable."""
    with suppress(EnvFileError):
        return read_env_file(as_env_file({name: value})) == {name: value}
    return False


def as_env_file(variables: Mapping[str, str]) -> bytes:
    """Return *variables* as the lines of an ``env_file``; quoted, to keep spaces around a value."""
    return "".join(f'{name}="{value}"\n' for name, value in variables.items()).encode("utf-8", "surrogateescape")


@contextmanager
def env_file_in(folder: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Keep *variables* in a private file in *folder* until the block ends.

    Raises:
        CommandFailed: the file cannot be written.
    """
    file = folder / ENV_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        if variables:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as lines:
                lines.write(as_env_file(variables))
    except OSError as error:
        problem = f"The folder {folder} cannot be used: {error.strerror}. Choose another with --data-dir."
        raise CommandFailed(problem) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def features_in(text: str) -> tuple[str, ...]:
    """Return the browser features that *text* lists, between commas.

    Raises:
        CommandFailed: one is not known.
    """
    features = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for feature in features:
        if feature not in GRANTABLE:
            raise CommandFailed(
                f"--browser: {feature!r} is not a feature that a frame can get. {choices(feature, GRANTABLE)}"
            )
    return features


def source_at(path: Path) -> Path:
    """Return the absolute path of the app at *path*.

    Raises:
        CommandFailed: there is no app.
    """
    source = path.absolute()
    if source.is_dir():
        if not any((source / name).is_file() for name in ("README.md", "app.py")):
            raise CommandFailed(f"The folder {path} has neither a README.md, as Spaces have, nor an app.py.")
        return source
    if not source.is_file():
        raise CommandFailed(f"There is no file {path}.")
    if source.suffix != ".py":
        raise CommandFailed(f"{path} is not a Python file. Give a file like app.py, or the folder of a Space.")
    return source


def slug_of(source: Path) -> str:
    """Return a name for addresses: the file's, or the folder's where the file's is a usual one."""
    stem = source.stem if source.is_file() or source.suffix == ".py" else source.name
    name = source.parent.name if stem.lower() in _COMMON and source.parent.name else stem
    slug = slug_from(name, longest=_LONGEST_SLUG) or slug_from(stem, longest=_LONGEST_SLUG) or "app"
    return "portal-app" if slug == "portal" else slug  # portal.demo.localhost is the portal itself


def title_of(slug: str) -> str:
    """Return a title for the app."""
    return slug.replace("-", " ").capitalize()


def default_folder(source: Path, *, port: int, environ: Mapping[str, str]) -> Path:
    """Return the folder of this app's trial, in the user's cache.

    Raises:
        CommandFailed: the user has no home folder.
    """
    of_user = environ.get("XDG_CACHE_HOME") or ""
    try:
        cache = Path(of_user) if of_user.startswith("/") else Path.home() / ".cache"
    except RuntimeError as error:  # neither HOME nor an entry in passwd, as in a container
        raise CommandFailed("You have no home folder. Choose a folder for the trial with --data-dir.") from error
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:12]
    return cache / "gradio-portal" / f"try-{digest}-{port or 'any'}"
