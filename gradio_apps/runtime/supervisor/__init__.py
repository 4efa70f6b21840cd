"""The supervisor: keeps the app processes of one machine.

It opens every app's listening socket itself and hands it down, so a connection waits in the
backlog instead of failing while an app starts, crashes or is started again.
"""
