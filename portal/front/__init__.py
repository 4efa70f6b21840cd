"""What stands in front of portal and apps, and around them: configurations of other people's programs, as text.

Pure: from :class:`~portal.settings.Settings` to text.  Writing it down is the command line's work.
"""
