"""The guard: ASGI middleware around a whole app, closed by default.

It handles tickets, sessions and HTTP.  It knows the paths of Gradio, and does not import it.
"""

from gradio_apps.runtime.guard.api import NoApiToken, ScopedPortalApi
from gradio_apps.runtime.guard.middleware import Guard
from gradio_apps.runtime.guard.settings import GuardSettings, GuardSettingsError, guard_settings_from

__all__ = ["Guard", "GuardSettings", "GuardSettingsError", "NoApiToken", "ScopedPortalApi", "guard_settings_from"]
