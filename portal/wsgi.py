"""The portal for a WSGI server: ``gunicorn portal.wsgi:app``, or ``wsgi:app`` in a checkout.

Reads ``.env``, the environment and ``portal.toml`` of the working folder.  A configuration that
describes no safe portal ends the server with every problem on standard error, and no traceback.
"""

import atexit
import os
import sys
from pathlib import Path

from flask import Flask

from portal.app import create_app
from portal.configuration import environment, load
from portal.errors import SettingsError, StoreUnavailable
from portal.services import services
from portal.views.request_log import configure_logging

_STOP_SERVER = 4
"""Gunicorn's code for "the app cannot be loaded": it stops instead of trying again for ever."""


def _build() -> Flask:
    configure_logging()
    try:
        built = create_app(load(environment(os.environ, Path.cwd())))
    except SettingsError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(_STOP_SERVER)
    except StoreUnavailable as error:
        sys.stderr.write(f"The portal's database cannot be used: {error}\n")
        sys.exit(_STOP_SERVER)
    # Here and not in create_app: this runs in the worker, after the fork, which no thread survives.
    with built.app_context():
        outbox = services().outbox
    outbox.start()
    atexit.register(outbox.stop)
    return built


app = _build()
