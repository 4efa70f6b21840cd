"""``portal explain``: which roles and apps a person's claims give, and why."""

import json
import sys
from pathlib import Path

import click

from portal.cli import options
from portal.cli.messages import examples, print_report
from portal.errors import choices
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.sign_in import explanation


@click.command(
    epilog=examples(
        "portal explain --claims claims.json",
        "portal explain --claims - --tenant acme --json < claims.json",
        "portal explain --provider github --claims user.json --answer emails=emails.json",
    )
)
@click.option("--claims", required=True, metavar="FILE", help="Verified claims as a JSON object; - reads stdin.")
@click.option("--userinfo", metavar="FILE", help="The answer of the userinfo endpoint, if it is in a file of its own.")
@click.option(
    "--answer",
    "answers",
    multiple=True,
    metavar="NAME=FILE",
    help="An answer of the provider's API, such as emails=emails.json for GitHub; may be repeated.",
)
@click.option("--provider", metavar="ID", help="The provider of the claims, if they do not name it.")
@click.option("--tenant", metavar="ID", help="Only this tenant.")
@options.as_json
@options.config
def explain(
    *,
    claims: str,
    userinfo: str | None,
    answers: tuple[str, ...],
    provider: str | None,
    tenant: str | None,
    as_json: bool,
    config: Path | None,
) -> int:
    """Show which roles and apps a person's claims give, and why.

    The exit code is 1 if these claims sign no one in, or the person is not in that tenant.
    """
    claims_of_person = read_claims(claims)
    userinfo_of_person = None if userinfo is None else read_claims(userinfo)
    api_answers = dict(map(_answer, answers))
    settings, _ = configured(config)
    if provider is not None and settings.provider(provider) is None:
        known = [spec.id for spec in settings.providers]
        raise CommandFailed(f"no provider is called {provider!r}. {choices(provider, known)}")
    explained = explanation.explain(
        settings,
        claims_of_person,
        userinfo=userinfo_of_person,
        answers=api_answers,
        provider_id=provider,
        tenant=tenant,
    )
    if as_json:
        click.echo(json.dumps(explained.to_json(), indent=2, ensure_ascii=False))
    else:
        print_report([explained.as_text()])
    return 0 if explained.tenants else ENDED


def read_claims(name: str) -> dict[str, object]:
    """Return the JSON object in the file *name*; ``-`` is standard input.

    Raises:
        CommandFailed: it cannot be read, or is not a JSON object.
    """
    claims = _read_json(name)
    if not isinstance(claims, dict):
        raise CommandFailed(f"{name} must hold one JSON object: the claims of one person.")
    return claims


def _answer(text: str) -> tuple[str, object]:
    name, separator, file = text.partition("=")
    if not name or not separator or not file:
        raise CommandFailed(f"--answer {text!r} is not NAME=FILE, such as emails=emails.json.")
    return name, _read_json(file)


def _stdin() -> bytes:
    buffer = getattr(sys.stdin, "buffer", None)  # a test's text has none
    return sys.stdin.read().encode() if buffer is None else buffer.read()


def _read_json(name: str) -> object:
    try:
        # json.loads detects the encoding of bytes: UTF-8 with or without a byte-order mark, UTF-16, UTF-32.
        value: object = json.loads(_stdin() if name == "-" else Path(name).read_bytes())
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"{name} is not JSON.") from error
    return value
