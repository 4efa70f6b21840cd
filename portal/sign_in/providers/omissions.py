"""Logs what was too long or withheld by the provider: how much is missing, without names."""

import logging
from dataclasses import replace
from typing import Final

from portal.rules.identity import Identity
from portal.settings import ProviderSpec
from portal.sign_in.provider_types.sign_out import NO_TOKEN, SignOutRequest, SignOutRule

_log: Final = logging.getLogger("portal.providers")


def log_omissions(identity: Identity, *, spec: ProviderSpec) -> None:
    """Log how many groups of *identity* are missing, if any, and which claims could not be read."""
    number = sum(one.groups_left_out for one in identity.affiliations)
    if number:
        _log.warning("groups left out", extra={"fields": {"provider": spec.id, "at_least": number}})
    if identity.unread:
        _log.warning("claims not read", extra={"fields": {"provider": spec.id, "claims": list(identity.unread)}})


def log_omitted_hint(url: str | None, request: SignOutRequest, *, sign_out: SignOutRule, spec: ProviderSpec) -> None:
    """Log that the ID token of *request* was too long for the *url* of *sign_out*, if a shorter one would be in it."""
    if request.id_token_hint is None or (url is not None and request.id_token_hint in url):
        return
    shorter = sign_out(spec, replace(request, id_token_hint=NO_TOKEN))
    if shorter is not None and NO_TOKEN in shorter:
        fields = {"provider": spec.id, "characters": len(request.id_token_hint)}
        _log.warning("ID token left out of the sign-out", extra={"fields": fields})
