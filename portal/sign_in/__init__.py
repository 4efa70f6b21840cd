"""Signing in: provider types, providers, claims, admission and the company's hook."""
