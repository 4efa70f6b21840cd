"""Calls to identity providers: the authorization code flow, its two proofs of identity, and diagnostics.

``portal.sign_in.provider_types`` says what each provider's claims mean, ``portal.rules.policy`` what follows from them.
"""
