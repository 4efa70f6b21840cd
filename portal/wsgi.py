"""The portal for a WSGI server: ``gunicorn -c python:portal.server.settings portal.wsgi:app``.

Reads ``.env``, the environment and ``portal.toml`` of the working folder.  A configuration that
describes no safe portal ends the server with every problem on standard error, and no traceback.
"""

import atexit
import os
import sys
import time
from pathlib import Path

from flask import Flask

from portal.configuration import environment, load
from portal.errors import SettingsError, StoreUnavailable, StoreUnusable
from portal.settings import Settings
from portal.storage.database import Database
from portal.storage.instance_lock import hold, nobody_runs, say_answering
from portal.web.app import create_app
from portal.web.request_log import configure_logging
from portal.web.services import services

_STOP_SERVER = 4
"""Gunicorn's code for "the app cannot be loaded": it stops instead of trying again for ever."""

_PAUSE = 1.0
"""Seconds between two tries of a worker that finds no database."""


def _take_place(settings: Settings) -> None:
    """Say that a portal runs here, as long as this process lives.

    Raises:
        StoreUnavailable: one runs that has lost its database; an empty one must not take the lost one's place.
    """
    with nobody_runs(settings.data_dir) as alone:
        pass
    hold(settings.data_dir)
    database = Database(settings.database_url)
    if not alone and database.file is not None and not database.file.exists():
        raise StoreUnavailable("the database file is gone, or another worker is making it")
    database.close()


def _build() -> Flask:
    configure_logging()
    try:
        settings = load(environment(os.environ, Path.cwd()))
        _take_place(settings)
        built = create_app(settings)
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(_STOP_SERVER)
    except StoreUnusable as error:
        sys.stderr.write(f"The portal's database cannot be used: {error}\n")
        sys.exit(_STOP_SERVER)
    except (StoreUnavailable, OSError) as error:
        # The other workers go on; this one makes room for another try, at gunicorn's hands.
        sys.stderr.write(f"The portal waits for its database: {error}\n")
        time.sleep(_PAUSE)
        sys.exit(1)
    # Here and not in create_app: this runs in the worker, after the fork, which no thread survives.
    with built.app_context():
        outbox = services().outbox
    outbox.start()
    atexit.register(outbox.stop)
    say_answering(settings.data_dir)
    return built


app = _build()
