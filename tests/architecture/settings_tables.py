"""The tables of the settings in the documents, from their declarations; a setting's meaning is its docstring there."""

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import PurePath

from portal.configuration.all_settings import SECTIONS, VARIABLES
from portal.configuration.declaration import REQUIRED, Section, Variable, default_of
from portal.configuration.tables import Count, Duration, with_unit
from portal.sign_in.provider_types.base import ProviderType
from tests.architecture.sources import modules_of

COLUMNS = ("Meaning", "Default", "Example")


def settings_of(*sections: type[Section]) -> str:
    """Return the table of the settings of *sections*."""
    return _table("Key", *COLUMNS, rows=(row for one in sections for row in _rows_of(one)))


def settings_of_type(provider_type: ProviderType) -> str:
    """Return the table of the settings of providers of *provider_type*."""
    return _table("Key", "Variable", *COLUMNS, rows=_rows_of_type(provider_type))


def variables() -> str:
    """Return the table of the environment variables."""
    meanings = {
        one.variable: f"{section.name}.{key}{one.variable_note}; wins over the file."
        for section in SECTIONS
        for key, one in section.settings().items()
    }
    for module in modules_of("portal/configuration"):
        attributes = vars(importlib.import_module(module.name))
        for name, meaning in _docstrings(module.tree).items():
            if isinstance(one := attributes.get(name), Variable):
                meanings[one.name] = meaning
    return _table(
        "Variable", *COLUMNS, rows=(_row(one.name, meanings[one.name], one.default, one.example) for one in VARIABLES)
    )


def _rows_of(section: type[Section]) -> Iterator[str]:
    [tree] = ast.parse(inspect.getsource(section)).body
    meanings = _docstrings(tree)
    for key, one in section.settings().items():
        meaning, default = meanings[key], default_of(section.spec, key)
        if isinstance(one.read, Count | Duration):
            meaning = f"{meaning} {one.read.bounds}"
        if isinstance(one.read, Duration) and isinstance(default, int):
            default = with_unit(default)
        yield _row(f"{section.name}.{key}", meaning, one.default_text or toml(default), one.example)
        for older in one.older_keys:
            yield _row(f"{section.name}.{older}", f"An earlier name of {key}.", key, one.example)


def _rows_of_type(provider_type: ProviderType) -> Iterator[str]:
    def row(key: str, variable: str | None, meaning: str, default: str, example: str) -> str:
        return _row(key, "" if variable is None else f"`{variable}`", meaning, default, example)

    own = provider_type.variables is not None
    yield row(
        "client_id",
        provider_type.client_id_variable if own else None,
        "The portal's client id there.",
        REQUIRED,
        "portal",
    )
    yield row(
        "client_secret_env",
        provider_type.client_secret_variable if own else None,
        "The client secret; in the file, the name of the variable that holds it.",
        REQUIRED,
        "COMPANY_CLIENT_SECRET",
    )
    for one in provider_type.options:
        yield row(one.key, one.variable, one.meaning, one.default, one.example)
    if provider_type.name_variable is not None:
        about_name = "Its name on its button, in addresses and in its callback."
        yield row("id", provider_type.name_variable, about_name, provider_type.id, "company")
    scopes = " ".join(provider_type.scopes)
    default = REQUIRED if provider_type.scopes_required else scopes or "none"
    yield row("scopes", provider_type.scopes_variable, "Scopes to ask for.", default, scopes or "profile email")


def _docstrings(tree: ast.AST) -> Mapping[str, str]:
    """Return the docstrings below assignments in the body of *tree*, each in one line, by the assigned names."""
    body = tree.body if isinstance(tree, ast.ClassDef | ast.Module) else []
    found: dict[str, str] = {}
    for before, node in pairwise(body):
        match before, node:
            case (
                (ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


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
            raise TypeError(f"{value!r} has no text in TOML: write in the declaration what holds without the setting")


def _table(*columns: str, rows: Iterator[str]) -> str:
    return "\n".join((f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows))


def _row(name: str, *cells: str) -> str:
    *texts, example = cells
    return f"| `{name}` | {' | '.join(texts).replace('<', '&lt;')} | `{example}` |"
