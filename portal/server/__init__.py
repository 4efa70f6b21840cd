"""Gunicorn's settings, and a worker that gives a request a thread only when all of it has arrived.

The arbiter imports this package and forks workers from itself, also when a new version is installed meanwhile; so
nothing of the portal's own code is imported here.
"""
