"""The host: turns an author's source into an ASGI app without editing it.

``launch()`` runs as the author wrote it, up to the point where it would start a server.  For the kinds of source, see
:mod:`~gradio_apps.runtime.host.source`; for the threads of the process, :mod:`~gradio_apps.runtime.host.process`.
"""

from gradio_apps.runtime.host.hosted import HostedApp
from gradio_apps.runtime.host.process import ServerThread, run
from gradio_apps.runtime.host.source import Source, SourceError, read_source

__all__ = ["HostedApp", "ServerThread", "Source", "SourceError", "read_source", "run"]
