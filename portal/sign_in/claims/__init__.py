"""Careful reading of claims: what the readings of all provider types have in common.

Pure.  How one make of provider is read stands in its provider type, ``portal.sign_in.provider_types.<make>``.
"""
