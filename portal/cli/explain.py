"""``portal explain``: what the portal would make of somebody's claims, and why."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from portal.errors import choices
from portal.machine.failure import ENDED, CommandFailed
from portal.machine.problems import configured
from portal.sign_in.explanation import explain


def add_to(commands: Any) -> None:
    """Add this subcommand to *commands*."""
    parser = commands.add_parser("explain", help="say which roles and apps somebody's claims give, and why")
    parser.add_argument("--claims", required=True, metavar="FILE", help="verified claims as a JSON object; - for stdin")
    parser.add_argument("--userinfo", metavar="FILE", help="what the userinfo endpoint said, where it is kept apart")
    parser.add_argument(
        "--answer",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="an answer of the provider's API, such as emails=emails.json for GitHub; may be repeated",
    )
    parser.add_argument("--provider", metavar="ID", help="whose claims they are; needed where it is not clear")
    parser.add_argument("--tenant", metavar="ID", help="only this tenant")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of portal.toml or PORTAL_CONFIG")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the explanation; 1 if these claims would sign no one in, or the person is not in that tenant.

    Raises:
        CommandFailed: the claims cannot be read, the configuration has problems, or there is no such provider.
    """
    claims = read_claims(options.claims)
    userinfo = None if options.userinfo is None else read_claims(options.userinfo)
    answers = dict(map(_answer, options.answer))
    settings, _ = configured(options.config)
    if options.provider is not None and settings.provider(options.provider) is None:
        known = [spec.id for spec in settings.providers]
        raise CommandFailed(f"no provider is called {options.provider!r}. {choices(options.provider, known)}")
    explanation = explain(
        settings, claims, userinfo=userinfo, answers=answers, provider_id=options.provider, tenant=options.tenant
    )
    if options.json:
        print(json.dumps(explanation.to_json(), indent=2, ensure_ascii=False))
    else:
        print(explanation.as_text())
    return 0 if explanation.tenants else ENDED


def read_claims(name: str) -> dict[str, object]:
    """Return the JSON object in the file *name*, or on the standard input for ``-``.

    Raises:
        CommandFailed: there is none.
    """
    claims = _read_json(name)
    if not isinstance(claims, dict):
        raise CommandFailed(f"{name} must hold one JSON object: the claims of one person.")
    return claims


def _answer(said: str) -> tuple[str, object]:
    name, separator, file = said.partition("=")
    if not name or not separator or not file:
        raise CommandFailed(f"--answer {said!r} is no NAME=FILE, such as emails=emails.json.")
    return name, _read_json(file)


def _stdin() -> bytes:
    buffer = getattr(sys.stdin, "buffer", None)  # none where a test put a text in its place
    return sys.stdin.read().encode() if buffer is None else buffer.read()


def _read_json(name: str) -> object:
    try:
        # From bytes, because json then takes what any system writes: UTF-8 with a byte-order mark or not, UTF-16.
        value: object = json.loads(_stdin() if name == "-" else Path(name).read_bytes())
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"{name} holds no JSON.") from error
    return value
