"""The portal for a WSGI server: ``gunicorn -c python:portal.server.settings wsgi:app``.

``portal.wsgi`` builds it.
"""

from portal.wsgi import app

__all__ = ["app"]
