"""A new secret key takes over from an old one, and the old one can go."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from portal.access.app_credentials import AppCredentials
from portal.settings import Secret, Settings
from portal.sign_in.providers.base import Renewal
from portal.storage import tables
from portal.storage.database import Database
from portal.storage.resealing import SEALED, ResealResult, reseal
from portal.storage.sealing import Sealer
from portal.web.services import build_services
from tests.builders import NOW, an_identity, settings_for
from tests.portal.store_deployment import REFRESH_TOKEN

OLD, NEW, LOST = Secret("o" * 20 + "ld-key-of-somebody"), Secret("n" * 20 + "ew-key-of-somebody"), Secret("x" * 43)


def under(tmp_path: Path, *keys: Secret) -> Settings:
    return settings_for(tmp_path / "data", secret_keys=keys)


Stored = tuple[str, bool, str | None, Renewal | None]


def kept(settings: Settings) -> Stored:
    """What the portal reads of what it keeps: a secret, whether its keys are good, a hint for sign-out, a token."""
    built = build_services(settings, clock=lambda: NOW, providers={})
    try:
        with built.database.read() as connection:
            row = connection.execute(sa.select(tables.sign_ins)).one()
        opened = Sealer(settings.secret_keys, purpose="ID tokens").open(row.id_token)
        return (
            built.credentials.secret_of("forecast").reveal(),
            built.keys.is_readable(),
            None if opened is None else opened.decode(),
            built.sign_ins.renewal_in(row),
        )
    finally:
        built.database.close()


@pytest.fixture
def before(tmp_path: Path) -> Stored:
    built = build_services(under(tmp_path, OLD), clock=lambda: NOW, providers={})
    built.sign_ins.begin(
        an_identity(), tenant="acme", browser="Firefox", now=NOW, id_token="the-id-token", renewal=REFRESH_TOKEN
    )
    built.keys.ensure(NOW)
    secret = built.credentials.secret_of("forecast").reveal()
    built.database.close()
    return secret, True, "the-id-token", REFRESH_TOKEN


def resealed(settings: Settings) -> ResealResult:
    database = Database(settings.database_url)
    try:
        return reseal(database, settings.secret_keys)
    finally:
        database.close()


def test_the_old_key_can_be_removed_when_everything_is_sealed_again(tmp_path: Path, before: Stored) -> None:
    assert kept(under(tmp_path, NEW, OLD)) == before
    assert resealed(under(tmp_path, NEW, OLD)) == ResealResult(anew=4, lost=0)

    assert kept(under(tmp_path, NEW)) == before


def test_twice_is_once(tmp_path: Path, before: Stored) -> None:
    del before
    resealed(under(tmp_path, NEW, OLD))

    assert resealed(under(tmp_path, NEW, OLD)) == ResealResult(anew=0, lost=0)
    assert resealed(under(tmp_path, NEW)) == ResealResult(anew=0, lost=0)


def test_a_value_that_no_key_opens_is_only_counted(tmp_path: Path, before: Stored) -> None:
    assert resealed(under(tmp_path, NEW, LOST)) == ResealResult(anew=0, lost=4)
    assert kept(under(tmp_path, OLD)) == before


def test_what_changes_meanwhile_is_not_undone(tmp_path: Path, before: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app's secret is made anew between the look and the change."""
    settings = under(tmp_path, NEW, OLD)
    database = Database(settings.database_url)
    rotated: list[str] = []
    write = database.write

    def write_after_somebody_else() -> object:
        if not rotated:
            rotated.append("")
            credentials = AppCredentials(database, Sealer(settings.secret_keys, purpose="app credentials"))
            rotated[0] = credentials.rotate("forecast").reveal()
        return write()

    monkeypatch.setattr(database, "write", write_after_somebody_else)
    assert reseal(database, settings.secret_keys) == ResealResult(anew=3, lost=0)
    database.close()

    assert kept(under(tmp_path, NEW))[0] == rotated[0] != before[0]


def test_no_sealed_column_is_forgotten() -> None:
    said = re.findall(r'Column\("(\w+)".*#.*\bsealed\b', inspect.getsource(tables))

    assert sorted(said) == sorted(column.name for column, _ in SEALED)


def test_a_new_client_secret_at_a_provider_ends_no_sign_in(tmp_path: Path) -> None:
    settings = under(tmp_path, OLD)
    built = build_services(settings, clock=lambda: NOW)
    sign_in = built.sign_ins.begin(an_identity(), tenant="acme", browser="Firefox", now=NOW)
    built.database.close()
    (provider,) = settings.providers
    changed = replace(settings, providers=(replace(provider, client_secret=LOST),))
    built = build_services(changed, clock=lambda: NOW + 60)

    assert built.sign_ins.peek(sign_in.id, now=NOW + 60) is not None
    built.database.close()
