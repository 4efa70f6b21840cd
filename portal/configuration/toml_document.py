"""The file: from its TOML text to four sections, whatever is in it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from portal.configuration.report import Report
from portal.errors import choices

_SECTIONS: Final = frozenset({"apps", "portal", "providers", "roles"})


def read_document(file: Path, *, must_exist: bool, report: Report) -> Mapping[str, object] | None:
    """Return the content of *file*; empty if it may be absent and is; ``None`` after noting that it cannot be read."""
    if not must_exist and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        fix = "Correct PORTAL_CONFIG, or create the file with `portal init`."
        report.file("(the file)", f"cannot be read: {error.strerror}.", fix)
    except UnicodeDecodeError:
        report.file("(the file)", "is not UTF-8 text.", "Save it as UTF-8.")
    except tomllib.TOMLDecodeError as error:
        # The message names line and column, and does not repeat the text there: it may be a secret.
        at = str(error).rpartition("(")[2].rstrip(")")
        report.file("(the file)", *_problem_of_toml(str(error), at))
    return None


def _problem_of_toml(message: str, at: str) -> tuple[str, str]:
    """Return what is wrong and how to fix it, from the *message* of tomllib about the line and column *at*."""
    if message.startswith("Cannot declare"):
        return f"has a section a second time {at}.", "Write each section once, with all of its keys."
    if message.startswith("Cannot overwrite"):
        return f"has a key a second time {at}.", "Leave one of the two out."
    return f"is not TOML {at}.", "Fix that line; texts are in double quotes."


def sections(document: Mapping[str, object], *, report: Report) -> Mapping[str, Mapping[str, object]]:
    """Return the tables ``portal``, ``roles`` and ``apps`` of *document*, empty if absent; note other sections."""
    for name in document:
        if name not in _SECTIONS:
            report.file(name, "is not a section.", choices(name, _SECTIONS))
    tables: dict[str, Mapping[str, object]] = {}
    for name in ("portal", "roles", "apps"):
        value = document.get(name, {})
        if type(value) is not dict:
            report.file(name, "must be a table.", f"Write a section [{name}].")
        tables[name] = value if type(value) is dict else {}
    return tables


def variables_named_by(document: Mapping[str, object]) -> frozenset[str]:
    """Return the variables that ``[[providers]]`` name, so that nothing else uses them."""
    keys = ("client_id_env", "client_secret_env")
    return frozenset(value for one in _providers(document) for key in keys if isinstance(value := one.get(key), str))


def ids_of(document: Mapping[str, object]) -> frozenset[str]:
    """Return the ids in ``[[providers]]``, of providers with problems too."""
    return frozenset(value for one in _providers(document) if isinstance(value := one.get("id"), str))


def _providers(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    providers = document.get("providers")
    return [one for one in providers if isinstance(one, Mapping)] if isinstance(providers, list) else []
