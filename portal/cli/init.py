"""``portal init``: a first ``portal.toml`` and ``.env``, from a few questions or from flags.

Nothing is written before the whole was checked as ``portal check`` would, and nothing that is
there is overwritten unless told; what is replaced is kept beside.
"""

import argparse
import os
import secrets
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from portal.cli.initial_files import CLIENT_SECRET, PROVIDER, Answers, dotenv, portal_toml
from portal.cli.prompts import Questions
from portal.configuration import load
from portal.contract.egress import read_egress
from portal.contract.slugs import RULE, is_slug
from portal.errors import Problem, SettingsError
from portal.machine.failure import CommandFailed
from portal.machine.problems import format_problems
from portal.machine.terminal import plain
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
"""Stands for the client secret while the rest is checked; never written."""


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("init", help="write a first portal.toml and .env into this folder")
    parser.add_argument("--url", metavar="URL", help="where browsers reach the portal")
    parser.add_argument("--apps-url", metavar="TEMPLATE", help="where browsers reach apps, over {app} and {port}")
    parser.add_argument(
        "--type",
        "--preset",  # its earlier name
        dest="provider_type",
        metavar="NAME",
        help=f"the type of the identity provider: {', '.join(PROVIDER_TYPES)} (default: {OIDC.id})",
    )
    parser.add_argument("--issuer", metavar="URL", help="the identity provider, exactly as it writes itself in iss")
    parser.add_argument(
        "--provider",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="what that make needs besides, like domain=company.okta.com; may be given several times",
    )
    parser.add_argument("--client-id", metavar="ID", help="the portal's client id there")
    parser.add_argument(
        "--client-secret-file", metavar="FILE", help="holds the client secret; - reads standard input (default: later)"
    )
    parser.add_argument("--title", metavar="TEXT", help="what the portal calls itself on its pages")
    parser.add_argument(
        "--app", metavar="SLUG=SOURCE", action="append", default=[], help="an app to serve; may be given several times"
    )
    parser.add_argument("--trust-apps", action="store_true", help="accept that apps run as the portal's own user")
    parser.add_argument("--units", action="store_true", help="systemd will run the apps, each as a user of its own")
    parser.add_argument("--force", action="store_true", help="replace files that are there; they are kept beside")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the two files, and say what to do next.

    Raises:
        CommandFailed: something is missing or wrong, or a file is there already.
    """
    folder = Path.cwd()
    present = [name for name in (TOML, ENV) if (folder / name).exists() or (folder / name).is_symlink()]
    if present and not options.force:
        raise CommandFailed(
            f"{' and '.join(present)} {'is' if len(present) == 1 else 'are'} here already. Nothing was written. "
            "Work in another folder, or say --force: what is replaced is kept beside."
        )
    answers, settings = _checked_answers(options, folder)
    answers = replace(answers, scopes=scopes_with_groups(replace(settings, egress=read_egress(os.environ))))
    toml = portal_toml(answers)
    written = {ENV: dotenv(answers, secret_key=Secret(secrets.token_urlsafe(48))), TOML: toml}
    kept = [_set_aside(folder / name) for name in present]
    for name, text in written.items():
        _write(folder / name, text, mode=0o600 if name == ENV else 0o644)
    for before in kept:
        print(f"What was there is now {before}.")
    print("\n".join(_next_steps(answers, kept=bool(kept))))
    return 0


def _checked_answers(options: argparse.Namespace, folder: Path) -> tuple[Answers, Settings]:
    """Return answers that the portal could run with, and what it reads in them; at a terminal, ask until they are.

    Raises:
        CommandFailed: something is missing or wrong, and there is no terminal to ask at.
    """
    asks = sys.stdin.isatty() and options.client_secret_file != "-"  # noqa: S105 - no secret: standard input
    questions = Questions(asks=asks)
    while True:
        answers = _answers(options, questions)
        try:
            settings = _check(folder, portal_toml(answers))
        except CommandFailed as failure:
            if not asks:
                raise
            questions.again(f"{plain(str(failure))}\n\nOnce more, please; Enter keeps what stands in brackets.")
        else:
            return answers, settings


def _answers(options: argparse.Namespace, questions: Questions) -> Answers:
    url = questions.ask("--url", "Where browsers reach the portal, like https://portal.example.com", given=options.url)
    makes = (
        f"The make of identity provider: {', '.join(PROVIDER_TYPES)} (empty: {OIDC.id}, any OpenID Connect provider)"
    )
    named = questions.ask("--type", makes, given=options.provider_type, optional=True, check=_provider_type) or OIDC.id
    given = _provider_options(options, PROVIDER_TYPES[named])
    format_problems = [
        (
            option.key,
            questions.ask(
                _flag(option), f"{option.key}: {option.meaning} Like {option.example}", given=given.get(option.key)
            ),
        )
        for option in PROVIDER_TYPES[named].options
        if option.required or option.key in given
    ]
    client_id = questions.ask("--client-id", "The portal's client id there", given=options.client_id)
    title = questions.ask(
        "--title", "What the portal is called (empty: Gradio Portal)", given=options.title, optional=True
    )
    apps = _asked_for_apps(questions) if questions.asks and not options.app else _apps(options.app)
    apps_url = questions.ask(
        "--apps-url",
        "Where browsers reach the apps, like https://{app}.apps.example.com",
        given=options.apps_url,
        optional=not apps,
    )
    trust_apps = options.trust_apps or (bool(apps) and not options.units and _trusted(questions))
    questions.require_all()
    return Answers(
        url=url or "",
        apps_url=apps_url,
        provider_type=named,
        options=tuple((key, value) for key, value in format_problems if value is not None),
        client_id=client_id or "",
        client_secret=_client_secret(options.client_secret_file, questions),
        title=title or "Gradio Portal",
        apps=apps,
        trust_apps=trust_apps,
        units=options.units,
    )


def _trusted(questions: Questions) -> bool:
    question = (
        "Apps may run as the portal's own user, and can then read its database, keys and environment: "
        "yes if you trust them as much as the portal (empty: no)"
    )
    return questions.ask("--trust-apps", question, optional=True, check=_yes_or_no) in _YES


def _yes_or_no(word: str) -> None:
    if word not in _YES | _NO:
        raise CommandFailed("Write yes or no.")


def _provider_type(name: str) -> None:
    if name not in PROVIDER_TYPES:
        raise CommandFailed(f"There is no provider type called {name!r}. There are: {', '.join(PROVIDER_TYPES)}.")


def _flag(option: Option) -> str:
    return "--issuer" if option.key == "issuer" else f"--provider {option.key}=…"


def _provider_options(options: argparse.Namespace, provider_type: ProviderType) -> dict[str, str]:
    """Return what flags say of a provider of this make, by key."""
    known = {option.key for option in provider_type.options}
    given = {} if options.issuer is None else {"issuer": options.issuer}
    for one in options.provider:
        key, separator, value = one.partition("=")
        if not separator or not value:
            raise CommandFailed(f"--provider {one} is not KEY=VALUE, like domain=company.okta.com.")
        if key in given:
            raise CommandFailed(f"--provider {key} is there twice.")
        given[key] = value
    unknown = sorted(given.keys() - known)
    if unknown:
        raise CommandFailed(
            f"{provider_type.label} takes no {' and no '.join(unknown)}. "
            f"It takes: {', '.join(sorted(known)) or 'nothing'}."
        )
    return given


def _asked_for_apps(questions: Questions) -> tuple[tuple[str, str], ...]:
    """Return the apps that the person names one after the other; those named before can be kept."""
    apps: list[str] = []
    while one := questions.ask(
        f"--app {len(apps) + 1}",
        f"An app to serve, as SLUG=SOURCE, like forecast=apps/forecast.py (empty: {'no more' if apps else 'none'})",
        optional=True,
        check=lambda text: _apps([*apps, text]),
    ):
        apps.append(one)
    return _apps(apps)


def _apps(given: list[str]) -> tuple[tuple[str, str], ...]:
    apps: dict[str, str] = {}
    for one in given:
        slug, _, source = one.partition("=")
        if not is_slug(slug) or not source:
            raise CommandFailed(f"--app {one} is not SLUG=SOURCE, like forecast=apps/forecast.py. A slug has {RULE}.")
        if slug in apps:
            raise CommandFailed(f"--app {slug} is there twice.")
        apps[slug] = source
    return tuple(apps.items())


def _client_secret(file: str | None, questions: Questions) -> Secret | None:
    """Return the client secret, which is never an argument: those are seen by everybody on the machine."""
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
    """Return what the portal will read in *toml*.

    Raises:
        CommandFailed: tells every problem at once; nothing was written.
    """
    # Beside where it will stand, because paths in it begin there; made anew, whatever stood at its name.
    trial = folder / f".{TOML}.{secrets.token_hex(8)}"
    variables = {"PORTAL_SECRET_KEY": secrets.token_urlsafe(48), CLIENT_SECRET: _UNFILLED}
    try:
        _write(trial, toml, mode=0o600)
        return load(variables, path=trial)
    except SettingsError as error:
        raise CommandFailed(f"Nothing was written: {format_problems(_named(error.problems, trial))}") from error
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def _named(problems: tuple[Problem, ...], trial: Path) -> tuple[Problem, ...]:
    return tuple(
        Problem(place=one.place.replace(str(trial), TOML), key=one.key, what=one.what, fix=one.fix) for one in problems
    )


def _set_aside(path: Path) -> str:
    """Rename *path* to a name that is free; return that."""
    number = 1
    while (kept := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(kept)
    return kept.name


def _write(path: Path, text: str, *, mode: int) -> None:
    """Make *path*; never through a link, never over a file.

    Raises:
        CommandFailed: it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise CommandFailed(f"{path.name} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _next_steps(answers: Answers, *, kept: bool) -> list[str]:
    steps: list[str] = []
    if kept:
        steps.append(
            "The secret key is a new one. If the portal has a database already, set PORTAL_SECRET_KEY in .env to the "
            "new key, a comma and the old one."
        )
    steps.append(f"Register the callback at the provider: {answers.url.rstrip('/')}/auth/oauth/{PROVIDER}/callback")
    if answers.client_secret is None:
        steps.append(f"Write the client secret into .env, after {CLIENT_SECRET}=")
    steps.append("Say in portal.toml who gets which role, and which apps are open to whom.")
    steps += ["portal check", "portal config systemd" if answers.units else "portal serve"]
    return ["portal.toml and .env are written. Next:", *(f"  {n}. {step}" for n, step in enumerate(steps, start=1))]
