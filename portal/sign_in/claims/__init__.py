"""Careful reading of claims: what the readings of all presets have in common.

Pure.  How one make of provider is read stands in its preset, ``portal.sign_in.provider_types.<make>``.
"""
