"""Configuration files for other programs, as text: nginx, Caddy and systemd.

Pure: from :class:`~portal.settings.Settings` to text.  The command line writes the files.
"""
