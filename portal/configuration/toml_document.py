"""The file itself: TOML text into four sections, whatever somebody wrote into it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from portal.configuration.report import Report
from portal.errors import choices

_SECTIONS: Final = frozenset({"apps", "portal", "providers", "roles"})


def read_document(file: Path, *, must_exist: bool, report: Report) -> Mapping[str, object] | None:
    """Return what *file* says; empty where it may be absent and is; ``None`` after noting that it cannot be read."""
    if not must_exist and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        report.file("(the file)", f"cannot be read: {error.strerror}.", "Fix PORTAL_CONFIG, or make the file.")
    except UnicodeDecodeError:
        report.file("(the file)", "is no UTF-8 text.", "Save it as UTF-8.")
    except tomllib.TOMLDecodeError as error:
        # The message names line and column; what stands there is not repeated, for it may be a secret.
        at = str(error).rpartition("(")[2].rstrip(")")
        report.file("(the file)", *_no_toml(str(error), at))
    return None


def _no_toml(said: str, at: str) -> tuple[str, str]:
    """Return what is wrong, and the fix, by what tomllib *said* of the place *at*."""
    if said.startswith("Cannot declare"):
        return f"has a section a second time {at}.", "Write each section once, with all of its keys."
    if said.startswith("Cannot overwrite"):
        return f"has a key a second time {at}.", "Leave one of the two out."
    return f"is no TOML {at}.", "Fix that line; texts stand in double quotes."


def sections(document: Mapping[str, object], *, report: Report) -> Mapping[str, Mapping[str, object]]:
    """Return the tables ``portal``, ``roles`` and ``apps`` of *document*, empty where absent; note other sections."""
    for name in document:
        if name not in _SECTIONS:
            report.file(name, "is no section.", choices(name, _SECTIONS))
    tables: dict[str, Mapping[str, object]] = {}
    for name in ("portal", "roles", "apps"):
        value = document.get(name, {})
        if type(value) is not dict:
            report.file(name, "must be a table.", f"Write a section [{name}].")
        tables[name] = value if type(value) is dict else {}
    return tables


def variables_named_by(document: Mapping[str, object]) -> frozenset[str]:
    """Return the variables that ``[[providers]]`` name, so that nothing else takes them for its own."""
    keys = ("client_id_env", "client_secret_env")
    return frozenset(value for one in _providers(document) for key in keys if isinstance(value := one.get(key), str))


def ids_of(document: Mapping[str, object]) -> frozenset[str]:
    """Return the ids in ``[[providers]]``, of sound providers or not."""
    return frozenset(value for one in _providers(document) if isinstance(value := one.get("id"), str))


def _providers(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    providers = document.get("providers")
    return [one for one in providers if isinstance(one, Mapping)] if isinstance(providers, list) else []
