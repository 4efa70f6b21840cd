"""Reads ``portal.toml`` and the environment into ``Settings``, or reports every problem at once.

Everything is read once, at the start.  Every problem is reported at once, with file, key and fix; no message repeats
a secret.
"""

from portal.configuration.addresses import cookie_mode, same_site
from portal.configuration.environment import environment
from portal.configuration.loading import load

__all__ = ["cookie_mode", "environment", "load", "same_site"]
