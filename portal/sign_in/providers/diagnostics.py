"""What keeps people from signing in at a provider, or from getting all they should, told from what it says of itself.

Pure.  What a provider promises is only told here; what holds is decided when somebody signs in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from portal.settings import ProviderSpec, algorithm_named
from portal.sign_in.provider_types import preset_of
from portal.sign_in.provider_types.scopes import never_said, scopes_asked, scopes_missing
from portal.sign_in.provider_types.sign_out import NO_TOKEN, Leaving
from portal.sign_in.providers.base import Survey

_WAY_THERE: Final = "Check its address, and the way out: HTTPS_PROXY, NO_PROXY, portal.ca_file."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcoming:
    """One thing that is not as it should be."""

    what: str
    mend: str
    blocks: bool = True
    """Whether nobody can sign in."""


def shortcomings_of(
    spec: ProviderSpec, survey: Survey, *, wanted: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Shortcoming, ...]:
    """Return what *survey* shows to be missing at the provider *spec*, the worst first.

    *wanted* are the claims that the configuration reads, with the keys that read them.
    """
    if survey.problem is not None:
        mend = mend_of_issuer(spec, survey) or _WAY_THERE
        return (Shortcoming(what=survey.problem, mend=mend),)
    found = [
        *_of_client(survey),
        *_of_signatures(spec, survey),
        *_of_request(spec, survey),
        *_of_scopes(spec, survey, wanted or {}),
        *_of_claims(spec, survey),
        *cautions_on(spec),
    ]
    return tuple(sorted(found, key=lambda one: not one.blocks))


def cautions_on(spec: ProviderSpec) -> Iterator[Shortcoming]:
    """Yield what the configuration leaves unproved at the provider *spec*, whatever that says of itself."""
    if spec.issuer_of_token:
        written = "OAUTH_COGNITO_USER_POOL_ID" if spec.variables else "user_pool_id"
        yield Shortcoming(
            what="its user pool is not written, so whichever its domain's ID tokens name is believed. Their signature "
            "is checked against the keys that AWS publishes for that pool, and they must be made for this client; but "
            "anyone who takes over the domain can let people of another pool in, with any address and group.",
            mend=f"Write {written}, like eu-west-2_Ab12Cd34E: the User pool ID in the console's overview of the pool.",
            blocks=False,
        )

    if spec.assumes_email:
        yield Shortcoming(
            what='email_verified = "assume": an address of which it does not say whether it is verified counts as '
            "verified. Anyone who can write an address into their account there gets what it opens here.",
            mend="Keep it only if people cannot change their address there.",
            blocks=False,
        )


def mend_of_issuer(spec: ProviderSpec, survey: Survey) -> str | None:
    """Return what to write where the metadata is of another issuer than the configured one; ``None`` where it is not.

    Accounts are kept under the issuer, so it is the operator's to say, and not the metadata's.
    """
    named = survey.issuer
    if named is None or survey.problem is None or named == spec.called(named).issuer:
        return None
    document = survey.discovery
    if spec.preset == "oidc" and document is not None and not _same_host(named, document):
        written = f'issuer = "{named}" and discovery = "{document}" in its [[providers]]'
    elif "OPENID_PROVIDER_URL" in spec.variables:
        written = f'OPENID_PROVIDER_URL="{named}"'
    else:
        options = preset_of(spec).options
        issuer = next((f'{one.key} = "{named}"' for one in options if one.form == "issuer"), None)
        if issuer is not None:
            written = f"{issuer} in its [[providers]]"
            if spec.variables:
                written = f'{written}, with preset = "{spec.preset}", in place of {spec.variables[0]} and the others'
        else:
            bases = [one.variable if spec.variables else one.key for one in options if one.form == "base"]
            written = f'{bases[0]} so that it is "{named}"' if bases else f'"{named}"'
    return f"If that is the provider you mean, write its issuer to the letter, last slash and all: {written}."


def _same_host(one: str, other: str) -> bool:
    return urlsplit(one).hostname == urlsplit(other).hostname


def usable_algorithms(spec: ProviderSpec, survey: Survey) -> frozenset[str]:
    """Return the algorithms that are accepted, that a key is there for, and that the provider does not deny using."""
    keyed = frozenset[str]().union(*survey.keys)
    said = survey.signing_algorithms
    promised = keyed if said is None else frozenset(map(algorithm_named, said))
    return keyed & promised & frozenset(spec.algorithms)


def _of_client(survey: Survey) -> Iterator[Shortcoming]:
    if survey.client_problem is not None:
        yield Shortcoming(
            what=survey.client_problem,
            mend="Check client id and client secret, and token_endpoint_auth_method if the client is registered for "
            "another than is used."
            if survey.client_refused
            else _WAY_THERE,
        )
    if survey.request_problem is not None:
        yield Shortcoming(
            what=f"{survey.request_problem}.",
            mend="Register the callback above there, to the letter, for this client id; check scopes as well.",
        )
    if survey.callback_unclear is not None:
        yield Shortcoming(
            what=f"whether the callback is registered does not show before a person signs in: "
            f"{survey.callback_unclear}.",
            mend="Open the address below in a browser, and sign in there.",
            blocks=False,
        )


def _of_signatures(spec: ProviderSpec, survey: Survey) -> Iterator[Shortcoming]:
    if preset_of(spec).flow != "openid" or spec.issuer_of_token or usable_algorithms(spec, survey):
        return
    says = "nothing" if survey.signing_algorithms is None else _listed(survey.signing_algorithms)
    keyed = _listed(frozenset[str]().union(*survey.keys))
    yield Shortcoming(
        what=f"ID tokens cannot be verified: it names {says} for them and has keys for {keyed}; accepted are "
        f"{_listed(spec.algorithms)}.",
        mend="Have it sign with RS256 or ES256, or write algorithms in its [[providers]].",
    )


def _of_request(spec: ProviderSpec, survey: Survey) -> Iterator[Shortcoming]:
    if preset_of(spec).pkce and survey.challenge_methods is not None and "S256" not in survey.challenge_methods:
        yield Shortcoming(
            what="it does not list S256 for PKCE; a challenge is sent all the same.",
            mend="Nothing, if signing in works: it may be accepted, or passed over.",
            blocks=False,
        )
    asked = frozenset(scopes_asked(spec))
    unknown = asked - (survey.scopes or asked)  # an empty list says nothing
    if unknown:
        yield Shortcoming(
            what=f"it does not list the scopes {_listed(unknown)}; they are asked for all the same.",
            mend="Add them to the client there, or leave them out of scopes.",
            blocks=False,
        )


def _of_scopes(spec: ProviderSpec, survey: Survey, wanted: Mapping[str, tuple[str, ...]]) -> Iterator[Shortcoming]:
    # What its metadata does not list at all may be offered all the same.
    offered = survey.scopes or None
    for what in never_said(spec, wanted):
        yield Shortcoming(what=what, mend="Give the role by another claim, with when.", blocks=False)
    for one in scopes_missing(spec, wanted, offered=offered):
        yield Shortcoming(what=one.what, mend=one.fix, blocks=False)


def _of_claims(spec: ProviderSpec, survey: Survey) -> Iterator[Shortcoming]:
    preset, ends = preset_of(spec), survey.endpoints
    if ends is None:
        return
    if preset.flow == "openid" and preset.asks_userinfo and ends.userinfo is None:
        yield Shortcoming(
            what="it names no userinfo endpoint.",
            mend="Have it put groups and roles into the ID token.",
            blocks=False,
        )
    leaving = Leaving(end_session=ends.end_session, id_token_hint=NO_TOKEN, post_logout_redirect_uri="", state="")
    if preset.sign_out is not None and preset.sign_out(spec, leaving) is None:
        yield Shortcoming(
            what="it names no end-session endpoint: signing out ends here, and the sign-in there goes on.",
            mend="Switch sign-out on there, if it can be.",
            blocks=False,
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
