"""A provider type's abilities in words, for ``portal providers`` and the documentation."""

from portal.sign_in.provider_types.base import ProviderType


def format_proof(provider_type: ProviderType) -> str:
    """Return what proves who signed in."""
    return "a signed ID token" if provider_type.flow == "openid" else "its API"


def format_sign_out(provider_type: ProviderType) -> str:
    """Return where a sign-out takes effect."""
    return "here only" if provider_type.sign_out is None else "here and there"


def format_refresh(provider_type: ProviderType) -> str:
    """Return how to get a refresh token there."""
    if provider_type.refresh is None:
        return "none"
    params = [f"{name}={value}" for name, value in provider_type.refresh.params]
    return ", ".join([*provider_type.refresh.scopes, *params]) or "always"


def abilities_row(provider_type: ProviderType) -> tuple[str, ...]:
    """Return the cells about *provider_type* in ``docs/providers/README.md``."""
    is_code = provider_type.refresh is not None and (provider_type.refresh.scopes or provider_type.refresh.params)
    refresh = f"`{format_refresh(provider_type)}`" if is_code else format_refresh(provider_type)
    return (f"`{provider_type.id}`", format_proof(provider_type), format_sign_out(provider_type), refresh)
