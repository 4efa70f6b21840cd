"""The portal for a WSGI server: ``gunicorn -c python:portal.server.settings wsgi:app``.

Only the name the server is given; what is built, and how, stands in ``portal.wsgi``.
"""

from portal.wsgi import app

__all__ = ["app"]
