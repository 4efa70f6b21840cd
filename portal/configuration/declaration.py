"""Declarations of settings: each is one assignment, and the docstring below it is its meaning in the documents.

The readers of the configuration, the keys they accept and the tables of the documents all come from them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, MISSING, Field, dataclass
from typing import Any, ClassVar, Final

from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Table

REQUIRED: Final = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a section of ``portal.toml``."""

    read: Callable[[Table, str], object]
    """Returns the value of a key, or ``None`` if it is absent or, with a problem noted, wrong."""
    example: str
    """A TOML value as it is written."""
    _: KW_ONLY
    default_text: str | None = None
    """Text for the column "Default"; ``None`` shows the default of the field."""
    older_keys: tuple[str, ...] = ()
    variable: str | None = None
    """The environment variable that wins over the file."""
    variable_note: str = ""
    """What else the documents say of the variable."""
    variable_default: str = "the file"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable that is not the name of a key of ``portal.toml``."""

    name: str
    default: str
    """What holds without the variable: its value, or words."""
    example: str


class Section:
    """A section of ``portal.toml``: a subclass with its settings as attributes, in the order of the documents."""

    name: ClassVar[str]
    """Dotted, like ``portal`` or ``apps.<slug>``."""
    spec: ClassVar[Any]
    """The dataclass that has a setting's default at the field of the same name."""

    def __init_subclass__(cls, *, name: str, spec: Any) -> None:
        cls.name, cls.spec = name, spec

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """Return the settings by their keys."""
        return {key: one for key, one in vars(cls).items() if isinstance(one, Setting)}

    @classmethod
    def keys(cls) -> frozenset[str]:
        """Return the keys that may be in the section."""
        return frozenset(name for key, one in cls.settings().items() for name in (key, *one.older_keys))

    @classmethod
    def table(
        cls,
        values: Mapping[str, object],
        *,
        at: str,
        report: Report,
        variables: Variables | None = None,
        known: frozenset[str] | None = None,
    ) -> Table:
        """Return *values*, which are at the dotted key *at*, for reading; those in *variables* win.

        Every key that is not *known*, by default a key of the section, is noted as a problem.
        """
        named = {key: one.variable for key, one in cls.settings().items() if one.variable is not None}
        winning = {key: (name, text) for key, name in named.items() if variables and (text := variables.get(name))}
        return Table(values, at=at, known=known or cls.keys(), report=report, variables=winning)

    @classmethod
    def read(cls, table: Table) -> dict[str, Any]:
        """Return the value of every setting in *table*, by its key; the default if it is absent or wrong."""
        values = {key: one.read(table, key) for key, one in cls.settings().items()}
        return {key: default_of(cls.spec, key) if value is None else value for key, value in values.items()}

    @classmethod
    def variables(cls) -> Iterator[Variable]:
        """Yield the environment variables that win over the settings."""
        for one in cls.settings().values():
            if one.variable is not None:
                yield Variable(one.variable, one.variable_default, one.example.strip('[]"').replace('"', ""))


def default_of(spec: Any, name: str) -> object:
    """Return the default of the field *name* of the dataclass *spec*; ``None`` if there is none."""
    field: Field[object] | None = spec.__dataclass_fields__.get(name)
    if field is None or (field.default is MISSING and field.default_factory is MISSING):
        return None
    return field.default if field.default_factory is MISSING else field.default_factory()
