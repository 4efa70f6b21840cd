"""Gunicorn's settings: ``gunicorn -c python:portal.server.settings --bind … portal.wsgi:app``.

The names are gunicorn's.  Options of the command line override them.
"""

import os

from portal.server.request_reader import LARGEST_LINE

worker_class = "portal.server.worker.Worker"
threads = 16
worker_connections = 4096
keepalive = 5
loglevel = "warning"
"""There is no access log: it would hold query strings."""

control_socket_disable = True
"""Otherwise gunicorn opens one in the home directory."""
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - gunicorn's heartbeat file, opened and unlinked at once
"""A slow disk must not look like a hanging worker."""

limit_request_line = 0
"""``portal.server.request_reader`` checks it."""
limit_request_field_size = LARGEST_LINE
forwarder_headers = ""
"""No ``SCRIPT_NAME`` from a proxy or its clients: the portal is at the root of its host."""
