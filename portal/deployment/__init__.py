"""Configuration files for other programs, as text: nginx, Caddy and systemd.

Pure: from :class:`~portal.settings.Settings` to text.  Writing it down is the command line's work.
"""
