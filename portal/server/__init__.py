"""How gunicorn serves the portal: its settings, and a worker that gives a thread to a request when it is whole.

The arbiter imports this package and forks workers from itself, also when a new version is installed meanwhile; so
nothing of the portal's own code is imported here.
"""
