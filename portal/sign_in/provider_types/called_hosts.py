"""Which addresses the portal calls for one provider, according to its configuration and provider type.  Pure."""

from contextlib import suppress

from portal.settings import ProviderSpec
from portal.sign_in.provider_types import type_of


def called_urls(spec: ProviderSpec) -> tuple[str, ...]:
    """Return the addresses, each once; those that only its metadata names are not included."""
    ends = spec.endpoints
    urls = [spec.discovery or spec.issuer] if ends is None else [ends.token, ends.jwks, ends.userinfo]
    with suppress(ValueError):  # without endpoints nothing is called
        urls += [call.url(spec) for call in type_of(spec).calls]
    return tuple(dict.fromkeys(url for url in urls if url))
