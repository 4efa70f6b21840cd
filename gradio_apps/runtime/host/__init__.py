"""The host: turns somebody's source into an ASGI app without editing it.

``launch()`` runs as the author wrote it and is stopped at the server.  What the source may be:
:mod:`~gradio_apps.runtime.host.source`; how the process is laid out:
:mod:`~gradio_apps.runtime.host.process`.
"""

from gradio_apps.runtime.host.hosted import HostedApp, State
from gradio_apps.runtime.host.process import ServerThread, run
from gradio_apps.runtime.host.source import Source, SourceError, read_source

__all__ = ["HostedApp", "ServerThread", "Source", "SourceError", "State", "read_source", "run"]
