"""What keeps people from signing in at a provider, or from getting all they should, according to its metadata.

Pure.  Metadata is only for display here; a sign-in checks the facts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portal.settings import ProviderSpec, algorithm_named
from portal.sign_in.provider_types import type_of
from portal.sign_in.provider_types.scopes import missing_scopes, requested_scopes, unavailable_groups
from portal.sign_in.provider_types.sign_out import NO_TOKEN, SignOutRequest
from portal.sign_in.providers.base import ProviderDiagnostics

_CHECK_CONNECTION: Final = "Check its address and the proxy settings: HTTPS_PROXY, NO_PROXY, portal.ca_file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limitation:
    """A problem with a provider, and how to fix it."""

    what: str
    fix: str
    blocks: bool = True
    """Whether it keeps everyone from signing in."""


def limitations_of(
    spec: ProviderSpec, diagnostics: ProviderDiagnostics, *, wanted: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Limitation, ...]:
    """Return the problems of the provider *spec* in *diagnostics*, those that block sign-in first.

    *wanted* are the claims that the configuration reads, with the keys that read them.
    """
    if diagnostics.problem is not None:
        fix = fix_for_issuer(spec, diagnostics) or _CHECK_CONNECTION
        return (Limitation(what=diagnostics.problem, fix=fix),)
    limitations = [
        *_of_client(diagnostics),
        *_of_signatures(spec, diagnostics),
        *_of_request(spec, diagnostics),
        *_of_scopes(spec, diagnostics, wanted or {}),
        *_of_claims(spec, diagnostics),
        *cautions_on(spec),
    ]
    return tuple(sorted(limitations, key=lambda one: not one.blocks))


def cautions_on(spec: ProviderSpec) -> Iterator[Limitation]:
    """Yield what the configuration leaves unproved at the provider *spec*, whatever its metadata says."""
    caution = type_of(spec).caution
    if caution is not None and (of_type := caution(spec)) is not None:
        yield Limitation(what=of_type[0], fix=of_type[1], blocks=False)
    if spec.assumes_email:
        yield Limitation(
            what='email_verified = "assume": an address counts as verified unless the provider says that it is not. '
            "Anyone who can write an address into their account there gets the access of that address here.",
            fix="Keep it only if people cannot change their address there.",
            blocks=False,
        )


def fix_for_issuer(spec: ProviderSpec, diagnostics: ProviderDiagnostics) -> str | None:
    """Return what to write if the metadata is of another issuer than the configured one; ``None`` if it is not.

    Accounts are stored by issuer, so the operator decides about it, and not the metadata.
    """
    named = diagnostics.issuer
    if named is None or diagnostics.problem is None or named == spec.with_issuer(named).issuer:
        return None
    document = diagnostics.discovery
    if spec.provider_type == "oidc" and document is not None and not _same_host(named, document):
        written = f'issuer = "{named}" and discovery = "{document}" in its [[providers]]'
    elif "OPENID_PROVIDER_URL" in spec.variables:
        written = f'OPENID_PROVIDER_URL="{named}"'
    else:
        options = type_of(spec).options
        issuer = next((f'{one.key} = "{named}"' for one in options if one.form == "issuer"), None)
        if issuer is not None:
            written = f"{issuer} in its [[providers]]"
            if spec.variables:
                written = (
                    f'{written}, with type = "{spec.provider_type}", in place of {spec.variables[0]} and the others'
                )
        else:
            bases = [one.variable if spec.variables else one.key for one in options if one.form == "base"]
            written = f'{bases[0]} so that it is "{named}"' if bases else f'"{named}"'
    return f"If that is the provider you mean, write its issuer exactly, including a last slash: {written}."


def _same_host(one: str, other: str) -> bool:
    return urlsplit(one).hostname == urlsplit(other).hostname


def usable_algorithms(spec: ProviderSpec, diagnostics: ProviderDiagnostics) -> frozenset[str]:
    """Return the accepted algorithms that the provider has a key for and does not leave out of its list."""
    keyed = frozenset[str]().union(*diagnostics.keys)
    written = diagnostics.signing_algorithms
    listed = keyed if written is None else frozenset(map(algorithm_named, written))
    return keyed & listed & frozenset(spec.algorithms)


def _of_client(diagnostics: ProviderDiagnostics) -> Iterator[Limitation]:
    if diagnostics.client_problem is not None:
        yield Limitation(
            what=diagnostics.client_problem,
            fix="Check client id and client secret, and token_endpoint_auth_method if the client is registered for "
            "another one."
            if diagnostics.client_refused
            else _CHECK_CONNECTION,
        )
    if diagnostics.request_problem is not None:
        yield Limitation(
            what=f"{diagnostics.request_problem}.",
            fix="Register the callback above there, exactly, for this client id. Check the scopes as well.",
        )
    if diagnostics.callback_unclear is not None:
        yield Limitation(
            what=f"it is not known before a sign-in whether the callback is registered: "
            f"{diagnostics.callback_unclear}.",
            fix="Open the address below in a browser, and sign in there.",
            blocks=False,
        )


def _of_signatures(spec: ProviderSpec, diagnostics: ProviderDiagnostics) -> Iterator[Limitation]:
    if type_of(spec).flow != "openid" or spec.issuer_of_token or usable_algorithms(spec, diagnostics):
        return
    says = "nothing" if diagnostics.signing_algorithms is None else _listed(diagnostics.signing_algorithms)
    keyed = _listed(frozenset[str]().union(*diagnostics.keys))
    yield Limitation(
        what=f"ID tokens cannot be verified: it lists {says} for them and has keys for {keyed}. The portal accepts "
        f"{_listed(spec.algorithms)}.",
        fix="Have it sign with RS256 or ES256, or write algorithms in its [[providers]].",
    )


def _of_request(spec: ProviderSpec, diagnostics: ProviderDiagnostics) -> Iterator[Limitation]:
    if type_of(spec).pkce and diagnostics.challenge_methods is not None and "S256" not in diagnostics.challenge_methods:
        yield Limitation(
            what="it does not list S256 for PKCE; the portal sends a challenge all the same.",
            fix="Nothing, if signing in works: it may accept or ignore it.",
            blocks=False,
        )
    asked = frozenset(requested_scopes(spec))
    unknown = asked - (diagnostics.scopes or asked)  # an empty list means nothing
    if unknown:
        yield Limitation(
            what=f"it does not list the scopes {_listed(unknown)}; the portal requests them all the same.",
            fix="Add them to the client there, or leave them out of scopes.",
            blocks=False,
        )


def _of_scopes(
    spec: ProviderSpec, diagnostics: ProviderDiagnostics, wanted: Mapping[str, tuple[str, ...]]
) -> Iterator[Limitation]:
    # Without a list of scopes in its metadata, any may be offered.
    offered = diagnostics.scopes or None
    for what in unavailable_groups(spec, wanted):
        yield Limitation(what=what, fix="Give the role by another claim, with when.", blocks=False)
    for one in missing_scopes(spec, wanted, offered=offered):
        yield Limitation(what=one.what, fix=one.fix, blocks=False)


def _of_claims(spec: ProviderSpec, diagnostics: ProviderDiagnostics) -> Iterator[Limitation]:
    provider_type, ends = type_of(spec), diagnostics.endpoints
    if ends is None:
        return
    if provider_type.flow == "openid" and provider_type.asks_userinfo and ends.userinfo is None:
        yield Limitation(
            what="its metadata has no userinfo endpoint.",
            fix="Have it put groups and roles into the ID token.",
            blocks=False,
        )
    request = SignOutRequest(
        end_session=ends.end_session, id_token_hint=NO_TOKEN, post_logout_redirect_uri="", state=""
    )
    if provider_type.sign_out is not None and provider_type.sign_out(spec, request) is None:
        yield Limitation(
            what="it has no end-session endpoint: signing out here does not sign out there.",
            fix="Turn on sign-out there, if that is possible.",
            blocks=False,
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
