"""Where people prove who they are: one flow per family of providers, one entry per provider.

What each provider's claims mean is ``portal.claims``; what follows from them is ``portal.policy``.
"""
