"""The supervisor: runs the app processes of one machine.

It opens every app's listening socket and passes it on, so a connection waits in the backlog instead of
failing while an app starts, crashes or restarts.
"""
