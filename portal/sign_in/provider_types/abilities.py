"""What providers of a make can do besides signing people in, in words: for the command, and the pages of providers."""

from portal.sign_in.provider_types.base import Preset


def proof_in_words(preset: Preset) -> str:
    """Return what proves who came."""
    return "a signed ID token" if preset.flow == "openid" else "its API"


def sign_out_in_words(preset: Preset) -> str:
    """Return where a sign-out reaches."""
    return "here only" if preset.sign_out is None else "here and there"


def refresh_in_words(preset: Preset) -> str:
    """Return how a refresh token is had there."""
    if preset.refresh is None:
        return "none"
    params = [f"{name}={value}" for name, value in preset.refresh.params]
    return ", ".join([*preset.refresh.scopes, *params]) or "always"


def abilities_row(preset: Preset) -> tuple[str, ...]:
    """Return the cells about *preset* in ``docs/providers/README.md``."""
    told = preset.refresh is not None and (preset.refresh.scopes or preset.refresh.params)
    refresh = f"`{refresh_in_words(preset)}`" if told else refresh_in_words(preset)
    return (f"`{preset.id}`", proof_in_words(preset), sign_out_in_words(preset), refresh)
