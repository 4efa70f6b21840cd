"""Gunicorn's settings: ``gunicorn -c python:portal.server.settings --bind … portal.wsgi:app``.

The names are gunicorn's.  The command line may add addresses, processes and threads, and wins.
"""

import os

from portal.server.request_reader import LARGEST_LINE

worker_class = "portal.server.worker.Worker"
threads = 16
worker_connections = 4096
keepalive = 5
loglevel = "warning"
"""And no access log: it would hold queries."""

control_socket_disable = True
"""Else one is opened under the home directory."""
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - gunicorn's heartbeat file, opened and unlinked at once
"""A slow disk must not look like a hanging worker."""

limit_request_line = 0
"""The worker has looked at it: ``portal.server.request_reader``."""
limit_request_field_size = LARGEST_LINE
forwarder_headers = ""
"""No ``SCRIPT_NAME`` from a proxy, and so from its clients: the portal lives at the root of its host."""
