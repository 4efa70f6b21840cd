"""The generated part of ``docs/audit.md``: each event with its fields."""

from portal.access.audit_events import DECLARATIONS, EVENT_KINDS, Declaration

TITLES = {
    "access": "Who came and went (`access`)",
    "changes": "What others changed (`changes`)",
    "refusals": "What was refused (`refusals`)",
}


def events() -> str:
    """Return a section for each kind, and in it each event with the table of its fields."""
    sections = []
    for kind in EVENT_KINDS:
        sections.append(f"### {TITLES[kind]}")
        sections += [_event(event.value, one) for event, one in DECLARATIONS.items() if one.kind == kind]
    return "\n\n".join(sections)


def _event(name: str, declaration: Declaration) -> str:
    title = f"#### `{name}`\n\n{declaration.meaning}"
    if not declaration.fields:
        return f"{title} It has no fields of its own."
    rows = [f"| `{one.name}` | {one.kind} | {one.meaning} |" for one in declaration.fields]
    return "\n".join([title, "", "| Field | Kind | Meaning |", "|---|---|---|", *rows])
