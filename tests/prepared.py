"""What every portal of a test would make anew and always the same: an empty database, and compiled templates."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from portal.settings import Secret, Settings
from portal.storage.database import Database

_SQLITE: Final = "sqlite:///"


class Compiled(BytecodeCache):
    """Templates that were compiled in this process."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED: Final = Compiled()


def prepared(settings: Settings) -> Settings:
    """Return *settings* for a portal whose embedded database is there now, empty and up to date.

    Templates are compiled once from now on.
    """
    Flask.jinja_options = {"bytecode_cache": _COMPILED}
    url = settings.database_url.reveal()
    file = Path(url.removeprefix(_SQLITE))
    if url.startswith(_SQLITE) and file.parent.is_dir() and not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(_empty())
    return settings


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "portal.db"
        database = Database(Secret(f"{_SQLITE}{file}"))
        database.upgrade()
        database.close()
        assert [one.name for one in file.parent.glob("portal.db-*")] == [], "everything is in the file"
        return file.read_bytes()
