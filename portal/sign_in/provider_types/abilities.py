"""A provider type's abilities in words, for ``portal providers`` and the documentation."""

from portal.sign_in.provider_types.base import ProviderType


def format_proof(provider_type: ProviderType) -> str:
    """Return what proves who signed in."""
    return "a signed ID token" if provider_type.flow == "openid" else "its API"


def format_sign_out(provider_type: ProviderType) -> str:
    """Return where a sign-out takes effect."""
    return "here only" if provider_type.sign_out is None else "here and there"


def format_logout(provider_type: ProviderType) -> str:
    """Return the channel by which the provider reports that a person has signed out there."""
    logout = provider_type.logout
    channels = [name for name, has in (("back", logout.back_channel), ("front", logout.front_channel)) if has]
    return " or ".join(channels) or "none"


def format_refresh(provider_type: ProviderType) -> str:
    """Return with what people's claims are read again there while they are signed in."""
    refresh = provider_type.refresh
    if refresh.by_access_token:
        return "its API"
    requested = [*refresh.scopes, *(f"{name}={value}" for name, value in refresh.params)]
    by = f", requested by {' and '.join(requested)}" if requested else ""
    return f"a refresh token{by}{', given with the first consent' if refresh.once else ''}"


def abilities_row(provider_type: ProviderType) -> tuple[str, ...]:
    """Return the cells about *provider_type* in ``docs/providers/README.md``."""
    names = (f"`{provider_type.id}`", format_proof(provider_type), format_sign_out(provider_type))
    return (*names, format_logout(provider_type), format_refresh(provider_type))
