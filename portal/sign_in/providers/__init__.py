"""Where people prove who they are: one flow per family of providers, one entry per provider.

What each provider's claims mean is ``portal.sign_in.claims``; what follows from them is ``portal.rules.policy``.
"""
