"""Declarations of settings: what reads the configuration, names its keys and writes the tables of the documents."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, MISSING, Field, dataclass
from pathlib import PurePath
from typing import Any, Final

from portal.configuration.environment import Variables
from portal.configuration.report import Report
from portal.configuration.tables import Bounded, Table

REQUIRED: Final = "required"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a section of ``portal.toml``."""

    key: str
    read: Callable[[Table, str], object]
    """Returns the value of a key, or ``None`` if it is absent or, with a problem noted, wrong."""
    meaning: str
    example: str
    """A TOML value as it is written."""
    _: KW_ONLY
    left_out: str | None = None
    """What holds without the setting, in words; ``None``: the default of the section's field, or none."""
    older_keys: tuple[str, ...] = ()
    variable: str | None = None
    """The environment variable that wins over the file."""
    variable_note: str = ""
    """What else the documents say of the variable."""
    variable_left_out: str = "the file"


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable that stands for no key of ``portal.toml``."""

    name: str
    meaning: str
    left_out: str
    example: str

    def row(self) -> str:
        """Return the row of ``docs/settings.md`` about this."""
        return row(self.name, self.meaning, self.left_out, self.example)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of ``portal.toml`` and its settings, in the order of the documents."""

    name: str
    """Dotted, like ``portal`` or ``apps.<slug>``."""
    settings: tuple[Setting, ...]
    spec: Any = None
    """The dataclass that has a setting's default at the field of the same name."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys that may be in the section."""
        return frozenset(key for one in self.settings for key in (one.key, *one.older_keys))

    def table(
        self,
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
        named = {one.key: one.variable for one in self.settings if one.variable is not None}
        winning = {key: (name, text) for key, name in named.items() if variables and (text := variables.get(name))}
        return Table(values, at=at, known=known or self.keys, report=report, variables=winning)

    def read(self, table: Table) -> dict[str, Any]:
        """Return the value of every setting in *table*, by its key; the default where it is absent or wrong."""
        values = {one.key: one.read(table, one.key) for one in self.settings}
        return {key: default_of(self.spec, key) if value is None else value for key, value in values.items()}

    def rows(self) -> Iterator[str]:
        """Yield the rows of ``docs/settings.md`` about the settings."""
        for one in self.settings:
            default = None if one.left_out else default_of(self.spec, one.key)
            meaning, text = one.meaning, one.left_out or toml(default)
            if isinstance(one.read, Bounded) and type(default) is int:
                meaning, text = f"{meaning} {one.read.bounds}", one.read.text(default)
            yield row(f"{self.name}.{one.key}", meaning, text, one.example)
            for key in one.older_keys:
                yield row(f"{self.name}.{key}", f"An earlier name of {one.key}.", one.key, one.example)

    def variables(self) -> Iterator[Variable]:
        """Yield the environment variables that win over the settings."""
        for one in self.settings:
            if one.variable is not None:
                meaning = f"{self.name}.{one.key}{one.variable_note}; wins over the file."
                example = one.example.strip('[]"').replace('"', "")
                yield Variable(one.variable, meaning, one.variable_left_out, example)


def default_of(spec: Any, name: str) -> object:
    """Return the default of the field *name* of the dataclass *spec*; ``None`` if there is none."""
    field: Field[object] | None = None if spec is None else spec.__dataclass_fields__.get(name)
    if field is None or (field.default is MISSING and field.default_factory is MISSING):
        return None
    return field.default if field.default_factory is MISSING else field.default_factory()


def toml(value: object) -> str:
    """Return *value* as TOML writes it; "none" for ``None`` and the empty text."""
    match value:
        case None | "":
            return "none"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case tuple() | frozenset():
            texts = (str(one).removesuffix("/32").removesuffix("/128") for one in value)  # networks of one address
            return f"[{', '.join(map(toml, texts))}]"
        case str() | PurePath():
            return f'"{value}"'
        case _:
            raise TypeError(f"{value!r} has no text in TOML: declare what holds without the setting in words")


def row(name: str, *cells: str) -> str:
    """Return the row of a table of the documents about the setting *name*; its example is the last of *cells*."""
    *texts, example = cells
    return f"| `{name}` | {' | '.join(texts).replace('<', '&lt;')} | `{example}` |"
