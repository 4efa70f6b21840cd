"""The demo: an OpenID provider with four sample people and no passwords, and the sample apps.

It uses the authorization code flow with PKCE, as production does.  The portal does not import it: it is a separate
process, reached over HTTP like any other provider.
"""
