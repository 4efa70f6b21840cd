"""The sections ``[roles.<name>]``: what gives which role, and what the role may do at the portal's API.

A rule that can never be true is a problem here rather than a person turned away later, so
expressions are compiled and looked through at load.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from portal.catalogue import EVERYONE
from portal.configuration.documented import keys_under
from portal.configuration.report import Report, choices
from portal.configuration.tables import Table
from portal.policy import API_RIGHTS, RoleRule

ROLE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:-]{0,62}[A-Za-z0-9])?")
ADMIN: Final = "admin"
_TEXT_SECOND: Final = frozenset({"contains", "ends_with", "starts_with"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The rules, and the rights of each role."""

    rules: tuple[RoleRule, ...]
    rights: Mapping[str, frozenset[str]]

    @property
    def names(self) -> frozenset[str]:
        """The names of all roles."""
        return frozenset(rule.role for rule in self.rules)

    def with_admin_by(self, claim_role: str, *, provider: str) -> "Roles":
        """Return these roles and, unless there is one already, ``admin`` for those with *claim_role* at *provider*."""
        if ADMIN in self.names:
            return self
        rule = RoleRule(role=ADMIN, when=f"contains(roles, {quoted(claim_role)})", provider=provider)
        return Roles(rules=(*self.rules, rule), rights={**self.rights, ADMIN: frozenset(API_RIGHTS)})


def quoted(text: str) -> str:
    """Return *text* as a literal of JMESPath: a raw string, or, where that cannot hold it, a JSON literal."""
    if "'" not in text and "\\" not in text:
        return f"'{text}'"
    return "`" + json.dumps(text).replace("`", "\\u0060") + "`"


def read_roles(values: Mapping[str, object], *, has_hook: bool = False, report: Report) -> Roles:
    """Read all of ``[roles]``: per name one table, or a list of tables any one of which gives the role.

    A role that nothing in its table gives is a problem, unless there is a sign-in hook that may.
    """
    rules: list[RoleRule] = []
    rights: dict[str, frozenset[str]] = {}
    for name, value in values.items():
        at = f"roles.{name}"
        if not ROLE_NAME.fullmatch(name):
            report.file(at, "is no name for a role.", "Use up to 64 letters, digits, spaces and . _ : -.")
        elif name == EVERYONE:
            report.file(at, "is taken: it means everyone signed in.", "Choose another name.")
        elif type(value) is dict:
            table = Table(value, at=at, known=keys_under("roles.<name>"), report=report)
            rules.append(_rule(name, table, rights, has_hook=has_hook))
        elif type(value) is list and value and all(type(one) is dict for one in value):
            for index, one in enumerate(value):
                table = Table(one, at=f"{at}[{index}]", known=keys_under("roles.<name>"), report=report)
                rules.append(_rule(name, table, rights, has_hook=has_hook))
        else:
            report.file(at, "must be a table.", f"Write a section [{at}] with when or groups.")
    return Roles(rules=tuple(rules), rights=rights)


def _rule(name: str, table: Table, rights: dict[str, frozenset[str]], *, has_hook: bool) -> RoleRule:
    when = table.text("when")
    groups = table.texts("groups")
    if not table.has("when") and not groups and not has_hook:
        table.problem("when", "is missing, and so are groups: nothing gives this role.", "Write when or groups.")
    if when is not None:
        fault = fault_of_expression(when)
        if fault is not None:
            table.problem("when", *fault)
    given = table.texts("rights")
    for right in given or ():
        if right not in API_RIGHTS:
            table.problem("rights", f"names {right!r}, which is no right.", choices(right, API_RIGHTS))
    if given is not None:
        rights[name] = rights.get(name, frozenset()) | (frozenset(given) & API_RIGHTS.keys())
    elif name == ADMIN:
        rights.setdefault(name, frozenset(API_RIGHTS))
    return RoleRule(role=name, when=when, groups=frozenset(groups or ()), provider=table.text("provider"))


def fault_of_expression(expression: str) -> tuple[str, str] | None:
    """Return what is wrong with *expression* and how to mend it, or ``None``."""
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError as error:
        where = str(error).splitlines()[0].rstrip(".:")
        return f"is no JMESPath: {where}.", "See jmespath.org; text stands in single quotes."
    for node in _nodes(parsed):
        fault = _fault_of_node(node)
        if fault is not None:
            return fault
    return None


def _nodes(node: object) -> Iterator[Mapping[str, object]]:
    if isinstance(node, Mapping):
        yield node
        children = node.get("children", ())
        for child in children if isinstance(children, list | tuple) else ():
            yield from _nodes(child)


def _fault_of_node(node: Mapping[str, object]) -> tuple[str, str] | None:
    if node.get("type") == "field" and " " in str(node.get("value")):
        return _double_quotes(node)
    if node.get("type") != "function_expression":
        return None
    name, children = str(node.get("value")), node.get("children")
    if name not in Functions.FUNCTION_TABLE:
        return f"calls {name}, which is no function of JMESPath.", choices(name, Functions.FUNCTION_TABLE)
    signature = Functions.FUNCTION_TABLE[name]["signature"]
    arguments = children if isinstance(children, list) else []
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not signature[-1].get("variadic")):
        return f"calls {name} with {len(arguments)} arguments.", f"It takes {len(signature)}."
    if name in _TEXT_SECOND and arguments[1].get("type") == "field":
        return _double_quotes(arguments[1])
    return None


def _double_quotes(node: Mapping[str, object]) -> tuple[str, str]:
    value = str(node.get("value"))
    # The commonest mistake: in JMESPath, double quotes name a claim, and the rule is silently never true.
    return f"compares with a claim called {value!r}.", f"Text stands in single quotes: {quoted(value)}."
