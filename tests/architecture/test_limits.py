"""``docs/limits.md`` lists every limit of the code once, with the number that the code has."""

import ast
import re

import pytest

from tests.architecture.pages import page
from tests.architecture.sources import Module, modules_of
from tests.architecture.test_docs_numbers import ROWS as TIMES
from tests.architecture.test_docs_numbers import constant, value_of

LIMITS = page("docs/limits.md")
TABLES = (
    "What providers say of people",
    "Signing in",
    "Apps and their sessions",
    "Configuration and commands",
    "Between the portal's own processes",
)
ROWS = [row for table in TABLES for row in LIMITS.rows(table)]
IDS = [row[4].strip("`") for row in ROWS]
CHARACTERS = LIMITS.rows("Characters")
CALLED_SO = re.compile(r"_?(?:MAX|MOST|LONGEST|LARGEST|SHORTEST|SMALLEST|FEWEST|LEAST|MIN|HIGHEST)(?:_[A-Z_]+)?")
"""How a constant is called that something is held to."""
FACTS = {
    "gradio_apps.runtime.channel._LONGEST": "a time that one process tells another",
    "gradio_apps.runtime.supervisor.document._HIGHEST_ID": "of the system",
    "gradio_apps.runtime.supervisor.document._HIGHEST_PORT": "of TCP",
    "gradio_apps.serve._LONGEST_GRACE": "a time that the supervisor tells an app",
    "gradio_apps.serve._LONGEST_PAUSE": "the same",
    "portal.machine.ports._HIGHEST": "of TCP",
    "portal.configuration.addresses._MAX_HOST": "of DNS",
    "portal.configuration.app_users.HIGHEST_UID": "of the system",
    "portal.configuration.portal_table._LONGEST_RETENTION": "a time",
    "portal.configuration.portal_table._LONGEST_SIGN_IN": "a time, as long as browsers keep a cookie",
    "portal.configuration.tables.MAX_PORT": "of TCP",
    "portal.contract.env_files._SHORTEST_QUOTED": "two quotes",
    "portal.contract.argument_types._MOST_DIGITS": "more than any number of an option has",
    "portal.contract.logout_tokens.MAX_LIFETIME": "a time, of the specification",
    "portal.contract.loopback._MAX_HOST": "of DNS",
    "portal.deployment.sites.LARGEST_BODY": "for nginx and Caddy, a little more than what the portal takes",
    "portal.sign_in.providers.id_token.MAX_AGE": "a time, in docs/codes.md",
    "portal.web.app_health._LONGEST": "a time that one app has to answer",
}
"""What is called so and is no limit of ours on what people, providers and apps may bring, and why."""


def limits_in(module: Module) -> list[str]:
    names = (
        node.target.id
        for node in module.tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )
    return [f"{module.name}.{name}" for name in names if CALLED_SO.fullmatch(name)]


@pytest.mark.parametrize(
    ("how_much", "where"), [(row[1], row[4]) for row in ROWS], ids=[row[4].strip("`") for row in ROWS]
)
def test_the_number_is_that_of_the_code(how_much: str, where: str) -> None:
    assert constant(where.strip("`")) == value_of(how_much)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_it_says_why_and_what_is_seen(row: list[str]) -> None:
    assert all(len(cell) > 2 for cell in row[2:4])


def test_every_limit_stands_there_once() -> None:
    listed = [row[-1].strip("`") for row in (*ROWS, *TIMES)]
    found = {
        name for package in ("portal", "gradio_apps") for module in modules_of(package) for name in limits_in(module)
    }

    assert sorted(found - set(listed) - FACTS.keys()) == [], "list them in docs/limits.md"
    assert sorted(name for name in FACTS if name not in found) == []
    assert sorted({name for name in listed if listed.count(name) > 1}) == []


@pytest.mark.parametrize("where", [row[3].strip("`") for row in CHARACTERS])
def test_what_may_stand_in_a_name_is_a_pattern_of_the_code(where: str) -> None:
    assert isinstance(constant(where), re.Pattern)
