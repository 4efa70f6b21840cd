"""What a worker does when it starts."""

import json
from pathlib import Path

import pytest

from portal.clock import system_clock
from portal.rules.catalogue import EVERYONE, Catalogue
from portal.settings import Secret
from portal.storage.database import Database
from tests.builders import an_app
from tests.portal.store_deployment import a_deployment
from tests.portal.web.test_app import SECRET, run_wsgi

CODE = """
import json, sqlite3, time
import wsgi
until = time.monotonic() + 60
while time.monotonic() < until:
    with sqlite3.connect("portal.db") as connection:
        rows = connection.execute("SELECT app, end_reason FROM app_sessions").fetchall()
        living = connection.execute("SELECT count(*) FROM sign_ins WHERE ended_at IS NULL").fetchone()
    if any(reason for _, reason in rows):
        break
    time.sleep(0.05)
print(json.dumps([sorted(rows), living[0]]))
"""
PROVIDER = {
    "OPENID_PROVIDER_URL": "https://id.example.com",
    "OAUTH_CLIENT_ID": "portal",
    "OAUTH_CLIENT_SECRET": "client-secret",
}


@pytest.mark.usefixtures("processes")
def test_it_ends_what_the_configuration_does_not_allow_any_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'portal.db'}"
    database = Database(Secret(url))
    database.upgrade()
    open_to_all = an_app(slug="reports", open_to=frozenset({EVERYONE}))
    deployment = a_deployment(database, tmp_path, catalogue=Catalogue((an_app(), open_to_all)))
    begun = deployment.sign_in(now=system_clock())
    deployment.open(begun, now=system_clock())
    deployment.open(begun, app=open_to_all, now=system_clock())
    database.close()
    (tmp_path / "portal.toml").write_text(
        '[portal]\nurl = "http://127.0.0.1:7800"\napps_url = "http://{app}.localhost:7810"\n'
        '[apps.reports]\ntitle = "Reports"\nopen_to = ["everyone"]\nurl = "http://reports.localhost:7810"\n'
    )
    ended = run_wsgi(tmp_path, CODE, PORTAL_SECRET_KEY=SECRET, PORTAL_DATABASE_URL=url, **PROVIDER)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [[["forecast", "denied"], ["reports", None]], 1]
