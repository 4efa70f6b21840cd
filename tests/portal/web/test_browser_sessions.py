"""Browser sessions, with a test for each known pitfall of Flask-Session."""

import json
import os
import pickle
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.errors import StoreUnavailable
from portal.settings import DAY
from portal.storage.session_store import BrowserSession, SessionStore, UnreadableSession
from portal.web.browser_sessions import (
    csrf_ok,
    csrf_token,
    current_sign_in_id,
    end_session,
    install_sessions,
    new_session,
)
from tests.builders import NOW, settings_for

HTTPS = "https://portal.example.com"


class MovingClock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def app(tmp_path: Path, clock: MovingClock) -> Iterator[Flask]:
    made = an_app_with_sessions(tmp_path, clock)
    yield made
    store_of(made).close()


def an_app_with_sessions(data_dir: Path, clock: MovingClock, *, url: str = HTTPS) -> Flask:
    app = Flask("test", static_folder=None)
    install_sessions(app, settings_for(data_dir, url=url), clock=clock)

    @app.get("/page")
    def page() -> str:
        return "no session needed"

    @app.get("/who")
    def who() -> dict[str, object]:
        return {"sign_in": current_sign_in_id()}

    @app.get("/form")
    def form() -> dict[str, str]:
        return {"csrf": csrf_token()}

    @app.post("/submit/<token>")
    def submit(token: str) -> dict[str, bool]:
        return {"ok": csrf_ok(token)}

    @app.post("/start/<sign_in_id>")
    def start(sign_in_id: str) -> dict[str, str]:
        with new_session(sign_in_id):
            if sign_in_id == "failing":
                raise StoreUnavailable("the database is away")
        return {"csrf": csrf_token()}

    @app.post("/end")
    def end() -> str:
        end_session()
        return "ended"

    @app.get("/task")
    def task() -> str:
        app.extensions["task"]()
        return "done"

    @app.errorhandler(StoreUnavailable)
    def unavailable(error: StoreUnavailable) -> tuple[str, int]:
        return "unavailable", error.status

    return app


def store_of(app: Flask) -> SessionStore:
    store = app.session_interface
    assert isinstance(store, SessionStore)
    return store


def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("__Host-portal")
    return "" if cookie is None else cookie.value


def set_cookie(client: FlaskClient, value: str) -> None:
    client.set_cookie("__Host-portal", value, secure=True)


def csrf_in(response: TestResponse) -> str:
    body = response.json
    assert isinstance(body, dict)
    return str(body["csrf"])


def rows(data_dir: Path) -> dict[str, str]:
    if not (data_dir / "sessions.db").exists():
        return {}
    with closing(sqlite3.connect(data_dir / "sessions.db")) as connection:
        return dict(connection.execute("SELECT id, data FROM sessions").fetchall())


def execute(data_dir: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(data_dir / "sessions.db", isolation_level=None)) as connection:
        connection.execute(statement, values)


def sent_cookie(response: TestResponse, name: str = "__Host-portal") -> dict[str, str]:
    (header,) = [value for value in response.headers.getlist("Set-Cookie") if value.startswith(f"{name}=")]
    morsel = SimpleCookie(header)[name]
    return {"value": morsel.value, **{key: str(value) for key, value in morsel.items() if value}}


class TestSignedIn:
    def test_a_session_carries_the_sign_in(self, app: Flask) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")

        assert client.get("/who").json == {"sign_in": "sign-in-1"}
        assert browser(app).get("/who").json == {"sign_in": None}

    def test_the_cookie_is_host_bound_and_unreadable_to_scripts(self, app: Flask) -> None:
        cookie = sent_cookie(browser(app).post("/start/sign-in-1"))

        assert cookie.pop("expires")
        assert len(cookie.pop("value")) == 43
        assert cookie == {"path": "/", "secure": "True", "httponly": "True", "samesite": "Lax"}

    def test_where_browsers_take_no_secure_cookies_it_goes_without(self, tmp_path: Path, clock: MovingClock) -> None:
        app = an_app_with_sessions(tmp_path, clock, url="http://127.0.0.1:7800")
        client = app.test_client()
        cookie = sent_cookie(client.post("/start/sign-in-1"), "portal")

        assert "secure" not in cookie
        assert client.get("/who").json == {"sign_in": "sign-in-1"}
        assert sent_cookie(client.post("/end"), "portal")["expires"].startswith("Thu, 01 Jan 1970")
        store_of(app).close()

    def test_the_id_is_rotated_and_nothing_of_the_old_session_survives(self, app: Flask, tmp_path: Path) -> None:
        """
        Session fixation: an id known before the sign-in is worth nothing after it.
        """
        client = browser(app)
        old_token = csrf_in(client.get("/form"))
        old_cookie = cookie_of(client)
        new_token = csrf_in(client.post("/start/sign-in-1"))

        assert old_cookie
        assert cookie_of(client) != old_cookie
        assert new_token != old_token
        assert len(rows(tmp_path)) == 1
        stranger = browser(app)
        set_cookie(stranger, old_cookie)
        assert stranger.get("/who").json == {"sign_in": None}

    def test_signing_in_again_rotates_again(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        first = cookie_of(client)
        client.post("/start/sign-in-2")

        assert cookie_of(client) != first
        assert client.get("/who").json == {"sign_in": "sign-in-2"}
        assert len(rows(tmp_path)) == 1

    def test_a_sign_in_that_fails_leaves_the_browser_as_it_was(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        assert client.post("/start/failing").status_code == 503
        assert (cookie_of(client), rows(tmp_path)) == ("", {})
        client.post("/start/sign-in-1")
        before, cookie = rows(tmp_path), cookie_of(client)
        assert client.post("/start/failing").status_code == 503
        assert (rows(tmp_path), cookie_of(client)) == (before, cookie)
        assert client.get("/who").json == {"sign_in": "sign-in-1"}

    def test_the_browser_does_not_choose_the_id(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        set_cookie(client, "chosen-by-the-browser")
        client.post("/start/sign-in-1")

        assert cookie_of(client) != "chosen-by-the-browser"
        assert sha256(b"chosen-by-the-browser").hexdigest() not in rows(tmp_path)

    def test_ending_removes_the_row_and_the_cookie(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        cookie = cookie_of(client)
        removal = sent_cookie(client.post("/end"))

        # Browsers ignore the removal of a __Host- cookie that lacks Secure or the path.
        assert {name: removal[name] for name in ("value", "path", "secure")} == {
            "value": "",
            "path": "/",
            "secure": "True",
        }
        assert rows(tmp_path) == {}
        set_cookie(client, cookie)
        assert client.get("/who").json == {"sign_in": None}

    def test_a_session_ends_with_its_time_and_use_does_not_prolong_it(self, app: Flask, clock: MovingClock) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        cookie = cookie_of(client)

        for day in range(30):
            clock.now = NOW + day * DAY
            set_cookie(client, cookie)
            assert client.get("/who").json == {"sign_in": "sign-in-1"}, day
        clock.now = NOW + 30 * DAY
        set_cookie(client, cookie)
        assert client.get("/who").json == {"sign_in": None}


class TestAtRest:
    def test_ids_lie_hashed(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        content = b"".join(path.read_bytes() for path in tmp_path.glob("sessions.db*"))

        assert cookie_of(client).encode() not in content
        assert set(rows(tmp_path)) == {sha256(cookie_of(client).encode()).hexdigest()}

    def test_values_are_two_strings_as_json(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        token = csrf_in(client.post("/start/sign-in-1"))
        (data,) = rows(tmp_path).values()

        assert json.loads(data) == {"sign-in": "sign-in-1", "csrf": token}

    def test_the_file_is_private(self, app: Flask, tmp_path: Path) -> None:
        browser(app).post("/start/sign-in-1")

        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("sessions.db*")} == {0o600}

    def test_a_planted_pickle_is_not_run(self, app: Flask, tmp_path: Path) -> None:
        """
        Flask-Session's own decoder would.
        """

        class Bomb:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(tmp_path / "it ran"),)

        client = browser(app)
        client.post("/start/sign-in-1")
        for planted in (pickle.dumps(Bomb()), pickle.dumps(Bomb(), protocol=0).decode("latin-1")):
            execute(tmp_path, "UPDATE sessions SET data = ?", planted)
            assert client.get("/who").json == {"sign_in": None}

        assert not (tmp_path / "it ran").exists()
        assert store_of(app).serializer is None

    @pytest.mark.parametrize(
        "planted", ["", "[]", "5", "null", '{"sign-in": 5}', '{"sign-in": ["a"]}', "{", "[" * 100_000, b"\x80"], ids=str
    )
    def test_an_invalid_session_is_none(self, app: Flask, tmp_path: Path, planted: object) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        execute(tmp_path, "UPDATE sessions SET data = ?", planted)

        assert client.get("/who").json == {"sign_in": None}
        assert client.post("/submit/x").json == {"ok": False}

    def test_more_sessions_than_a_file_cache_would_keep(self, app: Flask, tmp_path: Path) -> None:
        first = browser(app)
        first.post("/start/sign-in-1")
        for number in range(600):
            browser(app).post(f"/start/other-{number}")

        assert first.get("/who").json == {"sign_in": "sign-in-1"}
        assert len(rows(tmp_path)) == 601

    def test_expired_sessions_are_dropped_in_passing(self, app: Flask, tmp_path: Path, clock: MovingClock) -> None:
        for _ in range(3):
            browser(app).post("/start/sign-in-1")
        clock.now = NOW + 31 * DAY
        browser(app).post("/start/sign-in-2")

        assert len(rows(tmp_path)) == 1


class TestWrites:
    def test_reading_writes_nothing(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        execute(tmp_path, "CREATE TABLE writes (id TEXT)")
        execute(tmp_path, "CREATE TRIGGER a AFTER INSERT ON sessions BEGIN INSERT INTO writes VALUES (1); END")
        execute(tmp_path, "CREATE TRIGGER b AFTER UPDATE ON sessions BEGIN INSERT INTO writes VALUES (1); END")
        answers = [client.get(path) for path in ("/page", "/who", "/form", "/nowhere")]
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            assert connection.execute("SELECT count(*) FROM writes").fetchone() == (0,)
        assert [answer.headers.getlist("Set-Cookie") for answer in answers] == [[]] * 4

    def test_strangers_get_no_session_until_a_form_needs_one(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        for path in ("/page", "/who", "/nowhere"):
            assert "Set-Cookie" not in client.get(path).headers
        client.post("/submit/x")
        client.post("/end")
        assert rows(tmp_path) == {}

        client.get("/form")
        assert len(rows(tmp_path)) == 1

    def test_pages_that_looked_at_the_session_vary_by_cookie(self, app: Flask) -> None:
        client = browser(app)

        assert "Cookie" not in client.get("/page").headers.get("Vary", "")
        assert "Cookie" in client.get("/who").headers["Vary"]
        assert "Cookie" in client.post("/start/sign-in-1").headers["Vary"]
        assert "Cookie" in client.post("/end").headers["Vary"]

    def test_a_slow_request_does_not_bring_a_session_back(self, app: Flask, tmp_path: Path) -> None:
        """
        It was read before the sign-out and written after it.  Flask-Session would write it anew, and the old
        cookie would work again; here the row stays gone and the browser gets no hint.
        """
        client = browser(app)
        client.post("/start/sign-in-1")
        cookie = cookie_of(client)
        slow, answered = browser(app), threading.Event()
        set_cookie(slow, cookie)
        has_read = threading.Event()

        def write_late() -> None:
            session["csrf"] = session["csrf"] + "x"
            has_read.set()
            answered.wait(60)

        app.extensions["task"] = write_late
        late: list[TestResponse] = []
        thread = threading.Thread(target=lambda: late.append(slow.get("/task")))
        thread.start()
        assert has_read.wait(60)
        client.post("/end")
        answered.set()
        thread.join()

        assert late[0].status_code == 200
        assert "Set-Cookie" not in late[0].headers
        assert rows(tmp_path) == {}
        set_cookie(client, cookie)
        assert client.get("/who").json == {"sign_in": None}

    def test_writers_at_once_do_not_fail_and_leave_one_of_their_states(self, app: Flask, tmp_path: Path) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        cookie, barrier = cookie_of(client), threading.Barrier(6)

        def write() -> None:
            barrier.wait(60)
            session["csrf"] = "a new one"

        app.extensions["task"] = write
        statuses: list[int] = []

        def run() -> None:
            other = browser(app)
            set_cookie(other, cookie)
            statuses.append(other.get("/task").status_code)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert statuses == [200] * 6
        assert [json.loads(data) for data in rows(tmp_path).values()] == [{"sign-in": "sign-in-1", "csrf": "a new one"}]

    def test_two_processes_share_the_sessions(self, app: Flask, tmp_path: Path, clock: MovingClock) -> None:
        other = an_app_with_sessions(tmp_path, clock)
        client, elsewhere = browser(app), browser(other)
        client.post("/start/sign-in-1")
        set_cookie(elsewhere, cookie_of(client))

        assert elsewhere.get("/who").json == {"sign_in": "sign-in-1"}
        store_of(other).close()

    def test_a_forked_worker_uses_connections_of_its_own(self, app: Flask) -> None:
        client = browser(app)
        client.post("/start/sign-in-1")
        assert store_of(app)._idle
        store_of(app).leave_connections()

        assert not store_of(app)._idle
        assert client.get("/who").json == {"sign_in": "sign-in-1"}


class TestCSRF:
    def test_the_token_stays_the_same_and_is_the_sessions_own(self, app: Flask) -> None:
        client, other = browser(app), browser(app)
        token = csrf_in(client.get("/form"))
        other.get("/form")

        assert csrf_in(client.get("/form")) == token
        assert client.post(f"/submit/{token}").json == {"ok": True}
        assert other.post(f"/submit/{token}").json == {"ok": False}
        assert browser(app).post(f"/submit/{token}").json == {"ok": False}

    def test_a_session_without_a_token_accepts_none(self, app: Flask) -> None:
        with app.test_request_context():
            assert not any(csrf_ok(presented) for presented in ("", None, "None", 0, b""))

    @pytest.mark.parametrize("presented", ["", None, 5, b"x", "é", "\udce9", ["a"]], ids=repr)
    def test_other_values_are_refused_whatever_they_are(self, app: Flask, presented: object) -> None:
        with app.test_request_context():
            token = csrf_token()

            assert not csrf_ok(presented)
            assert csrf_ok(token)


class TestBrokenStore:
    @pytest.fixture
    def broken(self, app: Flask, tmp_path: Path) -> FlaskClient:
        """A browser that is signed in, and a store that broke since."""
        client = browser(app)
        client.post("/start/sign-in-1")
        store_of(app).close()
        for path in tmp_path.glob("sessions.db-*"):
            path.unlink()
        (tmp_path / "sessions.db").write_bytes(b"no database" * 1000)
        return client

    def test_a_page_that_needs_the_session_says_so(self, broken: FlaskClient) -> None:
        """
        Flask reads the session before it looks for error pages; raising there would be a plain 500.
        """
        for answer in (broken.get("/who"), broken.get("/form"), broken.post("/start/x"), broken.post("/end")):
            assert (answer.status_code, answer.text) == (503, "unavailable")
            assert "Set-Cookie" not in answer.headers

    def test_other_pages_work(self, broken: FlaskClient) -> None:
        assert broken.get("/page").status_code == 200

    def test_strangers_see_nothing_of_it_until_they_need_a_session(self, broken: FlaskClient, app: Flask) -> None:
        assert broken.application is app
        stranger = browser(app)

        assert stranger.get("/page").status_code == 200
        assert stranger.get("/who").json == {"sign_in": None}

    def test_a_sign_in_that_cannot_be_stored_does_not_happen(self, broken: FlaskClient, app: Flask) -> None:
        assert broken.application is app
        answer = browser(app).post("/start/sign-in-1")

        assert (answer.status_code, answer.text) == (503, "unavailable")
        assert "Set-Cookie" not in answer.headers

    def test_a_form_whose_token_cannot_be_kept_is_not_shown(self, broken: FlaskClient, app: Flask) -> None:
        assert broken.application is app
        answer = browser(app).get("/form")

        assert answer.status_code == 503
        assert "csrf" not in answer.text
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_sign_out_forgets_the_cookie_all_the_same(self, app: Flask, tmp_path: Path) -> None:
        """
        The store breaks between reading the session and removing it.
        """

        def break_then_end() -> None:
            assert current_sign_in_id() == "sign-in-1"
            execute(tmp_path, "ALTER TABLE sessions RENAME TO elsewhere")
            end_session()

        app.extensions["task"] = break_then_end
        client = browser(app)
        client.post("/start/sign-in-1")
        answer = client.get("/task")

        assert answer.status_code == 200
        assert sent_cookie(answer)["value"] == ""

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, clock: MovingClock) -> None:
        (tmp_path / "file").write_text("in the way")
        app = an_app_with_sessions(tmp_path / "file", clock)
        client = browser(app)
        set_cookie(client, "x" * 43)

        assert client.get("/who").status_code == 503
        assert client.get("/page").status_code == 200

    def test_a_file_whose_tables_cannot_be_made(self, app: Flask, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
            connection.execute("CREATE VIEW sessions AS SELECT 1 AS id")
        client = browser(app)

        assert client.post("/start/sign-in-1").status_code == 503

    def test_an_unreadable_session_refuses_every_use(self) -> None:
        unreadable = UnreadableSession()
        for use in (
            lambda: unreadable["a"],
            lambda: unreadable.get("a"),
            lambda: unreadable.update({"a": "b"}),
            lambda: "a" in unreadable,
            lambda: list(unreadable),
            lambda: bool(unreadable),
            unreadable.clear,
            lambda: unreadable.pop("a"),
        ):
            with pytest.raises(StoreUnavailable):
                use()


class TestHostileCookies:
    @pytest.mark.parametrize(
        "value", ["", " ", "x" * 5000, "a%00b", "'; DROP TABLE sessions; --", "../../etc/passwd", "é", '"quoted"']
    )
    def test_any_cookie_is_at_most_a_stranger(self, app: Flask, tmp_path: Path, value: str) -> None:
        browser(app).post("/start/sign-in-1")
        client = browser(app)
        answer = client.get("/who", headers={"Cookie": f"__Host-portal={value}".encode().decode("latin-1")})

        assert answer.json == {"sign_in": None}
        assert len(rows(tmp_path)) == 1

    def test_the_hash_of_an_id_is_no_id(self, app: Flask, tmp_path: Path) -> None:
        """
        Who reads the file learns no cookie from it.
        """
        browser(app).post("/start/sign-in-1")
        client = browser(app)
        (stored,) = rows(tmp_path)
        set_cookie(client, stored)

        assert client.get("/who").json == {"sign_in": None}


def test_a_session_is_true_while_it_has_values() -> None:
    held = BrowserSession(sid="a")

    assert not held
    held["csrf"] = "b"
    assert held
    held.clear()
    assert not held
    assert held.modified
