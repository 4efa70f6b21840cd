"""The sections ``[roles.<name>]``: which rules give a role, and what the role may do at the portal's API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from portal.configuration.declaration import Section, Setting
from portal.configuration.expressions import problem_of_expression, problem_of_names, quoted
from portal.configuration.report import Report
from portal.configuration.tables import Table, some_of
from portal.rules.catalogue import EVERYONE
from portal.rules.policy import API_RIGHTS, RoleRule
from portal.sign_in.claims.values import compared

ROLE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:-]{0,62}[A-Za-z0-9])?")
ADMIN: Final = "admin"


def _when(table: Table, key: str) -> str | None:
    """Return the expression *key*, as claims are compared; note what is wrong with it."""
    text = table.text(key)
    when = None if text is None else compared(text)
    problem = None if when is None else problem_of_expression(when) or problem_of_names(when)
    if problem is not None:
        table.problem(key, *problem)
    return when


def _groups(table: Table, key: str) -> frozenset[str]:
    return frozenset(map(compared, table.texts(key) or ()))


class RoleSection(Section, name="roles.<name>", spec=RoleRule):
    """``[roles.<name>]``."""

    when = Setting(_when, "\"contains(roles, 'Tenant Admin')\"")
    """JMESPath over the verified claims of one tenant. It gives the role if its result is exactly true."""
    groups = Setting(_groups, '["AI-Analysts"]')
    """Names of groups at the provider that give the role. Names are compared exactly, however Unicode composes
    their letters (NFC). Either when or one of the groups is enough."""
    provider = Setting(Table.text, '"company"', default_text="every provider")
    """Id of the one provider this rule is for, or "*" for every provider. Required if there are several providers."""
    rights = Setting(
        some_of(API_RIGHTS), '["audit:read", "sign-ins:read"]', default_text="all for the role admin; else none"
    )
    """What the role may do at the portal's API, through apps that list it in portal_api: audit:read, sign-ins:end,
    sign-ins:read."""


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
    """Read all of ``[roles]``: per name one table, or a list of tables; any one of them gives the role.

    A table without a rule is a problem, unless there is a sign-in hook, which may give the role.
    """
    rules: list[RoleRule] = []
    rights: dict[str, frozenset[str]] = {}
    for name, value in values.items():
        at = f"roles.{name}"
        if not ROLE_NAME.fullmatch(name):
            report.file(at, "is not a name for a role.", "Use up to 64 letters, digits, spaces and . _ : -.")
        elif name == EVERYONE:
            report.file(at, "is taken: it means everyone signed in.", "Choose another name.")
        elif type(value) is dict:
            rules.append(_rule(name, RoleSection.table(value, at=at, report=report), rights, has_hook=has_hook))
        elif type(value) is list and value and all(type(one) is dict for one in value):
            for index, one in enumerate(value):
                table = RoleSection.table(one, at=f"{at}[{index}]", report=report)
                rules.append(_rule(name, table, rights, has_hook=has_hook))
        else:
            report.file(at, "must be a table.", f"Write a section [{at}] with when or groups.")
    return Roles(rules=tuple(rules), rights=rights)


def _rule(name: str, table: Table, rights: dict[str, frozenset[str]], *, has_hook: bool) -> RoleRule:
    rule = RoleSection.read(table)
    if not table.has("when") and not rule["groups"] and not has_hook:
        table.problem("when", "is missing, and so are groups: nothing gives this role.", "Write when or groups.")
    listed: tuple[str, ...] | None = rule.pop("rights")
    if listed is not None:
        rights[name] = rights.get(name, frozenset()) | (frozenset(listed) & API_RIGHTS.keys())
    elif name == ADMIN:
        rights.setdefault(name, frozenset(API_RIGHTS))
    return RoleRule(role=name, **rule)
