"""The wings of the portal: which there are, which may import which, and their picture for ``docs/architecture.md``."""

import ast
from typing import Final

from tests.architecture.sources import modules_of

FOUNDATION: Final[dict[str, frozenset[str]]] = {
    "contract": frozenset(),
    "clock": frozenset(),
    "errors": frozenset(),
    "rules": frozenset({"contract"}),
    "settings": frozenset({"contract", "rules"}),
}
"""What every wing may import, and what each of these imports itself."""

WINGS: Final[dict[str, frozenset[str]]] = {
    "http_client": frozenset(),
    "server": frozenset(),
    "supervisor_socket": frozenset(),
    "storage": frozenset(),
    "sign_in": frozenset({"http_client"}),
    "access": frozenset({"http_client", "storage"}),
    "configuration": frozenset({"sign_in"}),
    "deployment": frozenset({"configuration"}),
    "web": frozenset({"access", "http_client", "server", "sign_in", "storage", "supervisor_socket"}),
    "doctor": frozenset({"access", "configuration", "http_client", "sign_in"}),
    "wsgi": frozenset({"configuration", "storage", "web"}),
    "machine": frozenset({"access", "configuration", "deployment", "storage", "supervisor_socket", "web"}),
    "demo": frozenset({"configuration", "machine"}),
    "cli": frozenset(
        {
            "access",
            "configuration",
            "demo",
            "deployment",
            "doctor",
            "machine",
            "sign_in",
            "storage",
            "supervisor_socket",
            "web",
        }
    ),
}
"""Each wing above the foundation, and the wings it imports besides the foundation.

A wing is a package or a module of ``portal``.  It stands below those that import it, so no arrow runs back.
"""


def wing_of(module: str) -> str:
    """Return the wing of a module of ``portal``; of ``portal`` itself the empty string."""
    return module.removeprefix("wsgi").removeprefix("portal").removeprefix(".").split(".")[0]


def allowed_for(wing: str) -> frozenset[str]:
    """Return every wing that *wing* may import."""
    if wing in FOUNDATION:
        return FOUNDATION[wing]
    return WINGS[wing] | FOUNDATION.keys()


def picture() -> str:
    """Draw the wings as a Mermaid flowchart; an arrow that others imply is left out."""
    lines = ["flowchart TD"]
    for wing, below in reversed(WINGS.items()):
        implied = frozenset().union(*(_reached_from(one) for one in below)) if below else frozenset()
        direct = sorted(below - implied)
        lines += [f"  {wing} --> {one}" for one in direct] or [f"  {wing}"]
    lines += ["  subgraph foundation [every wing may use these]"]
    lines += [f"    {wing} --> {one}" for wing, below in reversed(FOUNDATION.items()) for one in _direct(below)]
    lines += [f"    {wing}" for wing, below in FOUNDATION.items() if not below]
    lines += ["  end"]
    lines += [f"  {wing} --> foundation" for wing, below in WINGS.items() if not below]
    return "\n".join(("```mermaid", *lines, "```"))


def _direct(below: frozenset[str]) -> list[str]:
    implied: frozenset[str] = frozenset().union(*(FOUNDATION[one] for one in below))
    return sorted(below - implied)


def _reached_from(wing: str) -> frozenset[str]:
    return WINGS[wing].union(*(_reached_from(one) for one in WINGS[wing]))


def table() -> str:
    """Return the table of the wings: each with the first sentence of its own docstring."""
    rows = [f"| `{_place(wing)}` | {_purpose(wing)} |" for wing in (*reversed(WINGS), *reversed(FOUNDATION))]
    return "\n".join(("| wing | what it is for |", "|---|---|", *rows))


def _place(wing: str) -> str:
    [module] = [one for one in modules_of("portal") if one.name == f"portal.{wing}"]
    return f"portal/{wing}/" if module.path.name == "__init__.py" else f"portal/{wing}.py"


def _purpose(wing: str) -> str:
    [module] = [one for one in modules_of("portal") if one.name == f"portal.{wing}"]
    return (ast.get_docstring(module.tree) or "").splitlines()[0].replace("``", "`")
