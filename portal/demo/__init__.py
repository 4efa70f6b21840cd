"""The demo: an OpenID provider with four sample people and no passwords, and the sample apps behind it.

It speaks the real authorization code flow with PKCE so that the demo exercises what
production does.  Nothing of the portal imports it: it is a process of its own, reached
over HTTP like any other provider.
"""
