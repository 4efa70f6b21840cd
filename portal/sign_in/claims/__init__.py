"""Careful reading of claims, shared by all provider types in ``portal.sign_in.provider_types``.  Pure."""
