"""The sections ``[roles.<name>]``: what gives which role, and what the role may do at the portal's API.

A rule that can never be true is a problem here rather than a person turned away later, so
expressions are compiled and looked through at load.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from portal.configuration.documented import keys_under
from portal.configuration.expressions import problem_of_expression, problem_of_names, quoted
from portal.configuration.report import Report
from portal.configuration.tables import Table
from portal.errors import choices
from portal.rules.catalogue import EVERYONE
from portal.rules.policy import API_RIGHTS, RoleRule
from portal.sign_in.claims.values import compared

ROLE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:-]{0,62}[A-Za-z0-9])?")
ADMIN: Final = "admin"


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
        when = compared(when)
        problem = problem_of_expression(when) or problem_of_names(when)
        if problem is not None:
            table.problem("when", *problem)
    given = table.texts("rights")
    for right in given or ():
        if right not in API_RIGHTS:
            table.problem("rights", f"names {right!r}, which is no right.", choices(right, API_RIGHTS))
    if given is not None:
        rights[name] = rights.get(name, frozenset()) | (frozenset(given) & API_RIGHTS.keys())
    elif name == ADMIN:
        rights.setdefault(name, frozenset(API_RIGHTS))
    return RoleRule(
        role=name, when=when, groups=frozenset(map(compared, groups or ())), provider=table.text("provider")
    )
