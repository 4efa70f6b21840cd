"""Which addresses the portal calls for one provider, as far as its configuration and its provider type tell; pure."""

from contextlib import suppress

from portal.settings import ProviderSpec
from portal.sign_in.provider_types import type_of


def called_urls(spec: ProviderSpec) -> tuple[str, ...]:
    """Return the addresses, without repetition; what only its metadata names is not among them."""
    ends = spec.endpoints
    named = [spec.discovery or spec.issuer] if ends is None else [ends.token, ends.jwks, ends.userinfo]
    with suppress(ValueError):  # without endpoints nothing will be asked
        named += [call.url(spec) for call in type_of(spec).calls]
    return tuple(dict.fromkeys(url for url in named if url))
