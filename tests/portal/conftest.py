"""A fresh database for each test, on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from portal.settings import Secret
from portal.storage.database import Database
from tests.portal.storage import postgresql
from tests.portal.store_deployment import Deployment, a_deployment


@pytest.fixture(scope="session")
def postgresql_folder(processes: None) -> Iterator[Path]:
    """The folder of a running PostgreSQL's socket; it has an upgraded database ``template_portal``."""
    programs = postgresql.find_programs()
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail(postgresql.INSTALL)
        pytest.skip(postgresql.INSTALL)
    with postgresql.running(programs) as folder:
        with postgresql.connect(folder) as connection:
            connection.execute("CREATE DATABASE template_portal")
        _upgrade(f"postgresql://postgres@/template_portal?host={folder}")
        yield folder


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite file."""
    path = tmp_path_factory.mktemp("template") / "portal.db"
    _upgrade(f"sqlite:///{path}")
    return path


def _upgrade(url: str) -> None:
    database = Database(Secret(url))
    database.upgrade()
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secret]:
    """Address of an upgraded database that nobody else uses."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "portal.db")
        yield Secret(f"sqlite:///{tmp_path / 'portal.db'}")
        return
    folder = request.getfixturevalue("postgresql_folder")
    name = f"test_{uuid4().hex}"
    with postgresql.connect(folder) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_portal".encode())
        yield Secret(f"postgresql://postgres@/{name}?host={folder}")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(database_url: Secret) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def deployment(database: Database, tmp_path: Path) -> Deployment:
    return a_deployment(database, tmp_path)
