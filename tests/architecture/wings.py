"""The wings of the portal: which there are, which may import which, and their picture for ``docs/architecture.md``."""

import ast
from collections.abc import Iterator
from itertools import pairwise
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
    "access": frozenset({"http_client", "sign_in", "storage"}),
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
    """Draw the wings as SVG, each above those it imports; an arrow that others imply is left out."""
    rows, arrows = _rows()
    across = max(len(row) for row in rows)
    at = {
        name: (round(_WIDE * (across - len(row) + 2 * place + 1) / 2), _HIGH * above + _BOX[1])
        for above, row in enumerate(reversed(rows))
        for place, name in enumerate(row)
    }
    width, ground = _WIDE * across, _HIGH * len(rows)
    lines = [_line(*((x, y + side * _BOX[1] // 2) for (x, y), side in _stops(arrow, at))) for arrow in arrows]
    lines += [_line((at[wing][0], at[wing][1] + _BOX[1] // 2), (at[wing][0], ground)) for wing in rows[0]]
    boxes = [_box(name, *where) for name, where in at.items() if "/" not in name]
    words = f"every wing may use: {', '.join(reversed(FOUNDATION))}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {ground + 60}" role="img">',
            "<title>The wings of the portal; an arrow means imports</title>",
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">',
            '<path d="M0 0 8 4 0 8z" fill="#5b6b66"/></marker>',
            '<rect width="100%" height="100%" rx="12" fill="#f5f4f0"/>',
            f'<g fill="none" stroke="#5b6b66" stroke-width="1.5" marker-end="url(#tip)">{"".join(lines)}</g>',
            '<g font-family="system-ui, sans-serif" font-size="14" text-anchor="middle">',
            *boxes,
            f'<rect x="16" y="{ground}" width="{width - 32}" height="44" rx="8" fill="#0f6b5f"/>',
            f'<text x="{width // 2}" y="{ground + 27}" fill="#fff">{words}</text>',
            "</g></svg>\n",
        )
    )


_WIDE: Final = 180
_HIGH: Final = 72
_BOX: Final = (152, 36)


def _rows() -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of the picture from the lowest up, and the arrows: each by what it passes, row by row."""
    level: dict[str, int] = {}
    for wing, below in WINGS.items():
        level[wing] = max((level[one] + 1 for one in below), default=0)
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    arrows: list[list[str]] = []
    for wing, below in WINGS.items():
        rows[level[wing]].append(wing)
        implied: frozenset[str] = frozenset().union(*(_reached_from(one) for one in below))
        for one in sorted(below - implied):
            bends = [f"{wing}/{one}/{row}" for row in range(level[wing] - 1, level[one], -1)]
            arrows.append([wing, *bends, one])
            for bend in bends:
                rows[int(bend.rpartition("/")[2])].append(bend)
    for turn in range(12):  # each row is put in the order of what it is connected with: few arrows cross then
        for near, row in pairwise(rows if turn % 2 else rows[::-1]):
            row.sort(key=lambda name: _middle(name, near, arrows))
    return rows, arrows


def _middle(name: str, near: list[str], arrows: list[list[str]]) -> float:
    ends = [pair for arrow in arrows if name in arrow for pair in pairwise(arrow) if name in pair]
    places = [near.index(one) / len(near) for pair in ends for one in pair if one in near]
    return sum(places) / len(places) if places else 0.5


def _stops(arrow: list[str], at: dict[str, tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int]]:
    for place, name in enumerate(arrow):
        if place:
            yield at[name], -1
        if place < len(arrow) - 1:
            yield at[name], 1


def _line(*points: tuple[int, int]) -> str:
    (x, y), *rest = points
    path = f"M{x} {y}"
    for number, (right, down) in enumerate(rest):
        half = (y + down) // 2
        path += f"C{x} {half} {right} {half} {right} {down}" if number % 2 == 0 else f"L{right} {down}"
        x, y = right, down
    return f'<path d="{path}"/>'


def _box(name: str, x: int, y: int) -> str:
    width, height = _BOX
    return (
        f'<rect x="{x - width // 2}" y="{y - height // 2}" width="{width}" height="{height}" rx="8" fill="#fff"'
        f' stroke="#0f6b5f"/><text x="{x}" y="{y + 5}" fill="#1a1f1d">{name}</text>'
    )


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
