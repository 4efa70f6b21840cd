"""What an operator has in files about a person, turned into the claims of a sign-in.

Pure.  The shape is that of ``portal.sign_in.providers``: claims, with each answer of an API under its call's name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from portal.sign_in.claims.merging import merge_userinfo
from portal.sign_in.provider_types.base import ApiCall, ProviderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about a person; all of it is taken as verified."""

    claims: Mapping[str, object]
    """Claims of the ID token, perhaps with those of userinfo and with answers of an API under their names.  At a
    provider without ID tokens also the plain answer about the user."""
    userinfo: Mapping[str, object] | None = None
    """The answer of the userinfo endpoint, if it is separate."""
    answers: Mapping[str, object] = field(default_factory=dict)
    """Answers of the API, by the names of the provider type's calls."""


def claims_in(evidence: Evidence, provider_type: ProviderType) -> dict[str, object]:
    """Return the claims that a sign-in at a provider of *provider_type* would get from *evidence*.

    Raises:
        CallbackRejected: ID token and userinfo are about different people.
    """
    names = [call.name for call in provider_type.calls]
    claims = dict(evidence.claims)
    if provider_type.flow == "oauth2" and names and not any(name in claims for name in names):
        # An operator has the plain answer of the provider's API.
        claims = {names[0]: claims} if claims else {}
    if evidence.userinfo is not None:
        claims = merge_userinfo(evidence.userinfo, claims)
    answered = [call for call in provider_type.calls if call.name in evidence.answers]
    return {**claims, **{call.name: _entries(call, evidence.answers[call.name]) for call in answered}}


def _entries(call: ApiCall, answer: object) -> object:
    """Return *answer* as in a sign-in: of an OData object, the list in its member ``value``."""
    return answer["value"] if call.is_odata and isinstance(answer, dict) and "value" in answer else answer


def gaps_in(claims: Mapping[str, object], evidence: Evidence, provider_type: ProviderType) -> Iterator[str]:
    """Yield sentences on what is missing in *evidence*, and on what a sign-in would not ask for."""
    names = [call.name for call in provider_type.calls]
    unknown = sorted(set(evidence.answers) - set(names))
    if unknown:
        known = f"the portal asks it for {', '.join(names)}" if names else "the portal asks it for nothing"
        yield f"{', '.join(unknown)}: not an answer of {provider_type.label}'s API ({known})."
    missing = [call.name for call in provider_type.calls if call.name not in claims and call.needed(claims)]
    if missing:
        yield f"missing: {', '.join(missing)}, which a sign-in would ask the API for."
