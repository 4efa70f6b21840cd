"""What a provider said of somebody, as an operator has it in files: the claims that a sign-in would have made of it.

Pure.  The same shape as in ``portal.sign_in.providers``: claims, with each answer of an API under its call's name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from portal.errors import CallbackRejected
from portal.sign_in.claims.merging import merge_userinfo
from portal.sign_in.provider_types.base import ApiCall, ProviderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of somebody; all of it is taken as verified."""

    claims: Mapping[str, object]
    """Of the ID token, or of token and userinfo endpoint together, answers of an API among them under their names; at
    a provider without ID tokens also the bare answer that says who somebody is."""
    userinfo: Mapping[str, object] | None = None
    """What the userinfo endpoint said, where it is kept apart."""
    answers: Mapping[str, object] = field(default_factory=dict)
    """Answers of the API, by the names of the provider type's calls."""


def claims_in(evidence: Evidence, provider_type: ProviderType) -> dict[str, object]:
    """Return the claims that a sign-in at a provider of *provider_type* would have made of *evidence*.

    Raises:
        CallbackRejected: token and userinfo endpoint speak of different people.
    """
    names = [call.name for call in provider_type.calls]
    claims = dict(evidence.claims)
    if provider_type.flow == "oauth2" and names and not any(name in claims for name in names):
        # Nobody keeps the answer of a provider's API wrapped in a name of ours.
        claims = {names[0]: claims} if claims else {}
    if evidence.userinfo is not None:
        if evidence.userinfo.get("sub") != claims.get("sub"):
            raise CallbackRejected("the userinfo endpoint speaks of somebody else")
        claims = merge_userinfo(evidence.userinfo, claims)
    given = [call for call in provider_type.calls if call.name in evidence.answers]
    return {**claims, **{call.name: _entries(call, evidence.answers[call.name]) for call in given}}


def _entries(call: ApiCall, answer: object) -> object:
    """Return *answer* as a sign-in would hold it: of a list that stands in a member ``value``, the list."""
    return answer["value"] if call.is_odata and isinstance(answer, dict) and "value" in answer else answer


def gaps_in(claims: Mapping[str, object], evidence: Evidence, provider_type: ProviderType) -> Iterator[str]:
    """Yield sentences on what a sign-in would have known besides, and on what it would not have asked for."""
    names = [call.name for call in provider_type.calls]
    unknown = sorted(set(evidence.answers) - set(names))
    if unknown:
        known = f"it is asked for {', '.join(names)}" if names else "it has none that is asked"
        yield f"{', '.join(unknown)}: no answer of {provider_type.label}'s API is called so ({known})."
    missing = [call.name for call in provider_type.calls if call.name not in claims and call.wanted(claims)]
    if missing:
        yield f"nothing was given for {', '.join(missing)}, which a sign-in asks the API for; what it gives is missing."
