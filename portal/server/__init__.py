"""Gunicorn's settings, and a worker that gives a request a thread only when all of it has arrived.

Gunicorn's arbiter imports this package and forks workers from itself, even after a new version was installed.  So it
imports none of the portal's code.
"""
