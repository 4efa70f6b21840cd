"""``portal init``: writes a first ``portal.toml`` and ``.env``, from a few questions or from options.

Nothing is written before the whole passes the checks of ``portal check``. Existing files are replaced only
with ``--force``, and kept under another name.
"""

import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from portal.cli.initial_files import CLIENT_SECRET, PROVIDER, Answers, dotenv, portal_toml
from portal.cli.messages import examples
from portal.cli.prompts import Questions
from portal.configuration import load
from portal.contract.egress import read_egress
from portal.contract.slugs import RULE, is_slug
from portal.errors import Problem, SettingsError
from portal.machine.failure import CommandFailed
from portal.machine.problems import format_problems
from portal.machine.terminal import plain
from portal.rules.provider_paths import BACK_CHANNEL_LOGOUT, CALLBACK, FRONT_CHANNEL_LOGOUT, provider_path
from portal.settings import Secret, Settings
from portal.sign_in.provider_types import PROVIDER_TYPES
from portal.sign_in.provider_types.base import Option, ProviderType
from portal.sign_in.provider_types.oidc import OIDC
from portal.sign_in.providers.listed_scopes import scopes_with_groups

TOML: Final = "portal.toml"
ENV: Final = ".env"
_YES: Final = frozenset({"y", "yes"})
_NO: Final = frozenset({"n", "no"})
_UNFILLED: Final = "to-be-filled-in-0123456789"
"""A client secret for the check of the rest; never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitFlags:
    """The answers that options give."""

    url: str | None
    apps_url: str | None
    provider_type: str | None
    issuer: str | None
    provider: tuple[str, ...]
    client_id: str | None
    client_secret_file: str | None
    title: str | None
    app: tuple[str, ...]
    trust_apps: bool
    units: bool


@click.command(
    epilog=examples(
        "portal init",
        "portal init --url https://portal.example.com --type okta --provider domain=company.okta.com --client-id 0oa1",
    )
)
@click.option("--url", metavar="URL", help="The portal's address in browsers.")
@click.option("--apps-url", metavar="TEMPLATE", help="The apps' addresses in browsers, with {app} or {port}.")
@click.option(
    "--type",
    "--preset",  # its earlier name
    "provider_type",
    metavar="NAME",
    help=f"Type of the identity provider: {', '.join(PROVIDER_TYPES)}.  [default: {OIDC.id}]",
)
@click.option("--issuer", metavar="URL", help="The identity provider, exactly as in its iss claim.")
@click.option(
    "--provider",
    metavar="KEY=VALUE",
    multiple=True,
    help="Another setting of that provider type, like domain=company.okta.com; may be repeated.",
)
@click.option("--client-id", metavar="ID", help="The portal's client id at the provider.")
@click.option(
    "--client-secret-file",
    metavar="FILE",
    help="Read the client secret from this file; - reads standard input.  [default: fill it in later]",
)
@click.option("--title", metavar="TEXT", help="The portal's name on its pages.")
@click.option("--app", metavar="SLUG=SOURCE", multiple=True, help="An app to serve; may be repeated.")
@click.option("--trust-apps", is_flag=True, help="Allow apps to run as the portal's own user.")
@click.option("--units", is_flag=True, help="Let systemd run the apps, each as a user of its own.")
@click.option("--force", is_flag=True, help="Replace existing files; they are kept under another name.")
def init(*, force: bool, **flags: Any) -> int:
    """Write a first portal.toml and .env into this folder.

    At a terminal it asks for what the options leave open.
    """
    folder = Path.cwd()
    present = [name for name in (TOML, ENV) if (folder / name).exists() or (folder / name).is_symlink()]
    if present and not force:
        raise CommandFailed(
            f"{' and '.join(present)} {'is' if len(present) == 1 else 'are'} here already. Nothing was written. "
            "Use another folder, or --force, which keeps the old files under another name."
        )
    answers, settings = _checked_answers(InitFlags(**flags), folder)
    answers = replace(answers, scopes=scopes_with_groups(replace(settings, egress=read_egress(os.environ))))
    toml = portal_toml(answers)
    written = {ENV: dotenv(answers, secret_key=Secret(secrets.token_urlsafe(48))), TOML: toml}
    old = [_set_aside(folder / name) for name in present]
    for name, text in written.items():
        _write(folder / name, text, mode=0o600 if name == ENV else 0o644)
    for name in old:
        click.echo(f"The old file is now {name}.")
    click.echo("\n".join(_next_steps(answers, replaced=bool(old))))
    return 0


def _checked_answers(flags: InitFlags, folder: Path) -> tuple[Answers, Settings]:
    """Return answers that make a valid configuration, and its settings; at a terminal, ask until they do.

    Raises:
        CommandFailed: an answer is missing or wrong, and there is no terminal.
    """
    asks = sys.stdin.isatty() and flags.client_secret_file != "-"  # noqa: S105 - standard input
    questions = Questions(asks=asks)
    while True:
        answers = _answers(flags, questions)
        try:
            settings = _check(folder, portal_toml(answers))
        except CommandFailed as failure:
            if not asks:
                raise
            questions.again(f"{plain(str(failure))}\n\nPlease answer again; Enter keeps the value in brackets.")
        else:
            return answers, settings


def _answers(flags: InitFlags, questions: Questions) -> Answers:
    url = questions.ask("--url", "The portal's address in browsers, like https://portal.example.com", given=flags.url)
    types = (
        f"The type of identity provider: {', '.join(PROVIDER_TYPES)} (empty: {OIDC.id}, any OpenID Connect provider)"
    )
    type_id = questions.ask("--type", types, given=flags.provider_type, optional=True, check=_provider_type) or OIDC.id
    settings = _provider_options(flags, PROVIDER_TYPES[type_id])
    options = [
        (
            option.key,
            questions.ask(
                _flag(option), f"{option.key}: {option.meaning} Like {option.example}", given=settings.get(option.key)
            ),
        )
        for option in PROVIDER_TYPES[type_id].options
        if option.required or option.key in settings
    ]
    client_id = questions.ask("--client-id", "The portal's client id at the provider", given=flags.client_id)
    title = questions.ask(
        "--title", "The portal's name on its pages (empty: Gradio Portal)", given=flags.title, optional=True
    )
    apps = _ask_for_apps(questions) if questions.asks and not flags.app else _apps(flags.app)
    apps_url = questions.ask(
        "--apps-url",
        "The apps' addresses in browsers, like https://{app}.apps.example.com",
        given=flags.apps_url,
        optional=not apps,
    )
    trust_apps = flags.trust_apps or (bool(apps) and not flags.units and _trusts_apps(questions))
    questions.require_all()
    return Answers(
        url=url or "",
        apps_url=apps_url,
        provider_type=type_id,
        options=tuple((key, value) for key, value in options if value is not None),
        client_id=client_id or "",
        client_secret=_client_secret(flags.client_secret_file, questions),
        title=title or "Gradio Portal",
        apps=apps,
        trust_apps=trust_apps,
        units=flags.units,
    )


def _trusts_apps(questions: Questions) -> bool:
    question = (
        "Apps may run as the portal's own user, and can then read its database, keys and environment. "
        "Answer yes if you trust them as much as the portal (empty: no)"
    )
    return questions.ask("--trust-apps", question, optional=True, check=_yes_or_no) in _YES


def _yes_or_no(word: str) -> None:
    if word not in _YES | _NO:
        raise CommandFailed("Answer yes or no.")


def _provider_type(name: str) -> None:
    if name not in PROVIDER_TYPES:
        raise CommandFailed(f"There is no provider type called {name!r}. There are: {', '.join(PROVIDER_TYPES)}.")


def _flag(option: Option) -> str:
    return "--issuer" if option.key == "issuer" else f"--provider {option.key}=…"


def _provider_options(flags: InitFlags, provider_type: ProviderType) -> dict[str, str]:
    """Return the settings that options give for a provider of this type, by key."""
    known = {option.key for option in provider_type.options}
    given = {} if flags.issuer is None else {"issuer": flags.issuer}
    for one in flags.provider:
        key, separator, value = one.partition("=")
        if not separator or not value:
            raise CommandFailed(f"--provider {one} is not KEY=VALUE, like domain=company.okta.com.")
        if key in given:
            raise CommandFailed(f"--provider {key} is given twice.")
        given[key] = value
    unknown = sorted(given.keys() - known)
    if unknown:
        raise CommandFailed(
            f"{provider_type.label} does not have the setting {' and '.join(unknown)}. "
            f"It has: {', '.join(sorted(known)) or 'none'}."
        )
    return given


def _ask_for_apps(questions: Questions) -> tuple[tuple[str, str], ...]:
    """Return the apps that the person names one after the other."""
    apps: list[str] = []
    while one := questions.ask(
        f"--app {len(apps) + 1}",
        f"An app to serve, as SLUG=SOURCE, like forecast=apps/forecast.py (empty: {'no more' if apps else 'none'})",
        optional=True,
        check=lambda text: _apps([*apps, text]),
    ):
        apps.append(one)
    return _apps(apps)


def _apps(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    apps: dict[str, str] = {}
    for one in given:
        slug, _, source = one.partition("=")
        if not is_slug(slug) or not source:
            raise CommandFailed(f"--app {one} is not SLUG=SOURCE, like forecast=apps/forecast.py. A slug has {RULE}.")
        if slug in apps:
            raise CommandFailed(f"--app {slug} is given twice.")
        apps[slug] = source
    return tuple(apps.items())


def _client_secret(file: str | None, questions: Questions) -> Secret | None:
    """Return the client secret. It is never an argument: every user of the machine could see it."""
    if file is None:
        text = questions.ask_secretly("The client secret")
    else:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CommandFailed(f"The client secret cannot be read from {file}: {reason}.") from error
        if not text.strip():
            raise CommandFailed(f"There is no client secret in {file}.")
    return Secret(text.strip()) if text.strip() else None


def _check(folder: Path, toml: str) -> Settings:
    """Return the settings that *toml* gives.

    Raises:
        CommandFailed: lists every problem; nothing was written.
    """
    # In the same folder, because paths in it are relative to that.
    trial = folder / f".{TOML}.{secrets.token_hex(8)}"
    variables = {"PORTAL_SECRET_KEY": secrets.token_urlsafe(48), CLIENT_SECRET: _UNFILLED}
    try:
        _write(trial, toml, mode=0o600)
        return load(variables, path=trial)
    except SettingsError as error:
        raise CommandFailed(f"Nothing was written: {format_problems(_without_trial(error.problems, trial))}") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def _without_trial(problems: tuple[Problem, ...], trial: Path) -> tuple[Problem, ...]:
    return tuple(
        Problem(place=one.place.replace(str(trial), TOML), key=one.key, what=one.what, fix=one.fix) for one in problems
    )


def _set_aside(path: Path) -> str:
    """Rename *path* to an unused name; return that."""
    number = 1
    while (old := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(old)
    return old.name


def _write(path: Path, text: str, *, mode: int) -> None:
    """Create *path*; never through a link, never over a file.

    Raises:
        CommandFailed: it cannot be created.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise CommandFailed(f"{path.name} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _next_steps(answers: Answers, *, replaced: bool) -> list[str]:
    steps: list[str] = []
    if replaced:
        steps.append(
            "The secret key is new. If the portal has a database already, set PORTAL_SECRET_KEY in .env to the "
            "new key, a comma and the old one."
        )
    url = answers.url.rstrip("/")
    steps.append(f"Register the callback at the provider: {url}{provider_path(PROVIDER, CALLBACK)}")
    logout = PROVIDER_TYPES[answers.provider_type].logout
    if logout.back_channel:
        steps.append(f"Register the back-channel logout there too: {url}{provider_path(PROVIDER, BACK_CHANNEL_LOGOUT)}")
    elif logout.front_channel:
        steps.append(
            f"Register the front-channel logout there too: {url}{provider_path(PROVIDER, FRONT_CHANNEL_LOGOUT)}"
        )
    if answers.client_secret is None:
        steps.append(f"Write the client secret into .env, after {CLIENT_SECRET}=")
    steps.append("Set in portal.toml who gets which role, and which roles open which app.")
    steps += ["portal check", "portal config systemd" if answers.units else "portal serve"]
    return ["portal.toml and .env are written. Next:", *(f"  {n}. {step}" for n, step in enumerate(steps, start=1))]
