"""Which scopes providers list, asked only if the configuration leaves a doubt."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from portal.settings import ProviderSpec, Settings
from portal.sign_in.provider_types.scopes import is_settled, missing_scopes, requested_scopes
from portal.sign_in.providers.base import Provider
from portal.sign_in.providers.registry import build_providers
from portal.sign_in.wanted_claims import claims_read_by_settings

_AT_ONCE: Final = 8


def offered_scopes(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return, by the ids of providers, the scopes that their metadata lists.

    Only providers are asked of which a claim is read that may need a scope that is not requested.  A provider that does
    not answer, or lists none, is omitted.  Takes at most one budget of a browser's request.
    """
    uncertain = [one for one in build_providers(settings).values() if _is_uncertain(one.spec, settings)]
    if not uncertain:
        return {}
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        scopes_by_id = dict(zip((one.spec.id for one in uncertain), pool.map(scopes_of, uncertain), strict=True))
    return {provider: scopes for provider, scopes in scopes_by_id.items() if scopes}


def scopes_with_groups(settings: Settings) -> tuple[str, ...]:
    """Return the scopes with which the first provider of *settings* sends groups; none if the configured ones do.

    The provider is asked what it offers, unless that is known; none if it does not answer.
    """
    provider = next(iter(build_providers(settings).values()))
    spec = provider.spec
    if is_settled(spec, "groups") or spec.endpoints is not None:
        return ()
    missing = missing_scopes(spec, {"groups": ("roles",)}, offered=scopes_of(provider))
    return next(((*requested_scopes(spec), one.scope) for one in missing), ())


def scopes_of(provider: Provider) -> frozenset[str]:
    """Return the scopes that the metadata of *provider* lists; none if it does not answer."""
    return provider.diagnostics().scopes or frozenset()


def _is_uncertain(spec: ProviderSpec, settings: Settings) -> bool:
    unrequested = claims_read_by_settings(settings, spec).keys() - frozenset(requested_scopes(spec))
    return any(not is_settled(spec, claim) for claim in unrequested)
