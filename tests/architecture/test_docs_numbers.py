"""The times and limits of ``docs/architecture.md`` are those of the constants it names."""

import importlib
from typing import Any

import pytest

from tests.architecture.pages import page

ROWS = page("docs/architecture.md").rows("Times and limits")
UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400, "KiB": 1 << 10, "MiB": 1 << 20}


def constant(name: str) -> Any:
    """Return the value of *name*: a module and attributes of it; a class means its default instance."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            value = getattr(value() if isinstance(value, type) else value, attribute)
        return value
    raise LookupError(name)


def value_of(text: str) -> float | str:
    number, _, unit = text.partition(" ")
    if unit and unit not in UNITS:
        return text
    return float(number) * UNITS.get(unit, 1)


@pytest.mark.parametrize(("how_much", "where"), [row[1:] for row in ROWS], ids=[row[2].strip("`") for row in ROWS])
def test_the_number_is_that_of_the_code(how_much: str, where: str) -> None:
    assert constant(where.strip("`")) == value_of(how_much)
