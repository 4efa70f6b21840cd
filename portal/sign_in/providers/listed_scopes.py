"""Which scopes providers list, asked of those alone where the configuration leaves a doubt."""

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

    Asked is only a provider of which a claim is read that may need a scope which is not asked for; one that does not
    answer, or lists none, is left out.  Takes as long as one request of a browser may make a provider take.
    """
    doubtful = [one for one in build_providers(settings).values() if _is_doubtful(one.spec, settings)]
    if not doubtful:
        return {}
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        listed = dict(zip((one.spec.id for one in doubtful), pool.map(scopes_of, doubtful), strict=True))
    return {provider: scopes for provider, scopes in listed.items() if scopes}


def scopes_with_groups(settings: Settings) -> tuple[str, ...]:
    """Return what to ask the first provider of *settings* for so that it tells groups; nothing where that is as it is.

    It is asked what it offers, unless that is known; one that does not answer is left as it is.
    """
    provider = next(iter(build_providers(settings).values()))
    spec = provider.spec
    if is_settled(spec, "groups") or spec.endpoints is not None:
        return ()
    missing = missing_scopes(spec, {"groups": ("roles",)}, offered=scopes_of(provider))
    return next(((*requested_scopes(spec), one.scope) for one in missing), ())


def scopes_of(provider: Provider) -> frozenset[str]:
    """Return the scopes that the metadata of *provider* lists; none where it does not answer."""
    return provider.diagnostics().scopes or frozenset()


def _is_doubtful(spec: ProviderSpec, settings: Settings) -> bool:
    unasked = claims_read_by_settings(settings, spec).keys() - frozenset(requested_scopes(spec))
    return any(not is_settled(spec, claim) for claim in unasked)
