"""The portal for a WSGI server: ``gunicorn -c python:portal.server.settings portal.wsgi:app``.

Reads ``.env``, the environment and ``portal.toml`` of the working folder.  An invalid configuration
stops the server with every problem on standard error, and no traceback.
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
from portal.storage.instance_lock import exclusive_lock, record_ready_worker, shared_lock
from portal.web.app import create_app
from portal.web.request_log import configure_logging
from portal.web.services import services

_STOP_SERVER = 4
"""Gunicorn's code for "the app cannot be loaded": it stops instead of trying again."""

_PAUSE = 1.0
"""How long a worker without a database waits before it ends, in seconds."""


def _lock_data_dir(settings: Settings) -> None:
    """Hold the lock of a running portal until this process ends.

    Raises:
        StoreUnavailable: another worker runs and the database is missing; it must not be replaced by an empty one.
    """
    with exclusive_lock(settings.data_dir) as alone:
        pass
    shared_lock(settings.data_dir)
    database = Database(settings.database_url)
    if not alone and database.file is not None and not database.file.exists():
        raise StoreUnavailable("the database file is missing, or another worker is making it")
    database.close()


def _build() -> Flask:
    configure_logging()
    try:
        settings = load(environment(os.environ, Path.cwd()))
        _lock_data_dir(settings)
        built = create_app(settings)
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(_STOP_SERVER)
    except StoreUnusable as error:
        sys.stderr.write(f"The portal's database cannot be used: {error}\n")
        sys.exit(_STOP_SERVER)
    except (StoreUnavailable, OSError) as error:
        # The other workers go on; gunicorn starts a new one in place of this one.
        sys.stderr.write(f"The portal waits for its database: {error}\n")
        time.sleep(_PAUSE)
        sys.exit(1)
    # Not in create_app: threads must start in the worker, after the fork.
    with built.app_context():
        outbox, refresher, app_sessions = services().outbox, services().refresher, services().app_sessions
    outbox.start(first=app_sessions.revoke_all_denied)  # the configuration may have been changed
    refresher.start()
    atexit.register(outbox.stop)
    atexit.register(refresher.stop)
    record_ready_worker(settings.data_dir)
    return built


app = _build()
