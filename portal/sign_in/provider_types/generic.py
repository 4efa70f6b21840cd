"""Any plain OAuth 2.0 provider, as Chainlit's ``OAUTH_GENERIC_*`` describe one.

Chainlit identifies people by their address, or by the member that ``user_identifier`` names.  The portal needs a value
that is never reassigned: the member that ``user_identifier`` names, if it is not the address; else ``sub`` or ``id``.
"""

import re
from collections.abc import Mapping
from typing import Final

from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of, named_claims
from portal.sign_in.provider_types.base import (
    CLAIM_OPTIONS,
    REQUIRED,
    ApiCall,
    Option,
    ProviderLocation,
    ProviderType,
    at_userinfo,
)

_ADDRESS: Final = re.compile(r".*mail.*|upn|user_?principal_?name", re.IGNORECASE | re.DOTALL)
"""Names of members whose values are reassigned or chosen freely: never a key.  Matched by name and not by value, so
that it is the same member for all people of a provider."""


def read_generic(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the answer ``user``.

    Raises:
        CallbackRejected: it has no member that can be a key.
    """
    members = values.members(claims.get("user"))
    configured = spec.options.get("user_identifier")
    names = ("sub", "id") if configured is None or _ADDRESS.fullmatch(configured) else (configured,)
    subject = next((text for name in names if (text := _subject(members.get(name))) is not None), None)
    if subject is None:
        raise CallbackRejected(f"the user has no usable member {' or '.join(names)}")
    view = {**members, "sub": subject, "iss": spec.issuer}
    return identity_of(view, spec=spec, affiliations=[affiliation_in(NO_TENANT, named_claims(members, spec))])


def _subject(value: object) -> str | None:
    # A number or a text; 7 and "7" are the same person, and True is not one.
    return str(value) if type(value) is int else value if isinstance(value, str) and value else None


def is_generic(named: object, claims: Mapping[str, object], spec: ProviderSpec) -> bool:
    """Return whether *named* is the configured issuer; if none is configured, any is accepted.

    Each provider has a callback of its own, which keeps their answers apart (RFC 9700, 4.4.2.2).
    """
    del claims
    unknown = spec.endpoints is not None and spec.issuer == spec.endpoints.userinfo
    return unknown or named == spec.issuer


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    user = options["user_info_url"]
    return ProviderLocation(
        # The whole address and not only its host: one host may serve several companies.
        issuer=options.get("issuer", user),
        endpoints=Endpoints(authorize=options["auth_url"], token=options["token_url"], userinfo=user),
    )


GENERIC: Final = ProviderType(
    id="generic",
    label="OAuth 2.0",
    flow="oauth2",
    read=read_generic,
    locate=_locate,
    options=(
        Option(
            key="auth_url",
            variable="OAUTH_GENERIC_AUTH_URL",
            meaning="Authorization endpoint.",
            example="https://id.example.com/oauth/authorize",
            default=REQUIRED,
            form="endpoint",
        ),
        Option(
            key="token_url",
            variable="OAUTH_GENERIC_TOKEN_URL",
            meaning="Token endpoint.",
            example="https://id.example.com/oauth/token",
            default=REQUIRED,
            form="endpoint",
        ),
        Option(
            key="user_info_url",
            variable="OAUTH_GENERIC_USER_INFO_URL",
            meaning="Names the owner of an access token; accounts are stored under this address.",
            example="https://id.example.com/api/me",
            default=REQUIRED,
            form="endpoint",
        ),
        Option(
            key="user_identifier",
            variable="OAUTH_GENERIC_USER_IDENTIFIER",
            meaning="The member of that answer that identifies people; an address is never a key.",
            example="user_id",
            default="sub, else id",
        ),
        Option(
            key="issuer",
            meaning="The provider's issuer, as in iss of a callback (RFC 9207); accounts are then stored under it.",
            example="https://id.example.com",
            default="user_info_url",
            form="issuer",
        ),
        *CLAIM_OPTIONS,
    ),
    variables="OAUTH_GENERIC",
    name_variable="OAUTH_GENERIC_NAME",
    scopes=(),
    scopes_variable="OAUTH_GENERIC_SCOPES",
    scopes_required=True,
    is_issuer=is_generic,
    token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
    may_assume_email=True,
    calls=(ApiCall(name="user", url=at_userinfo("")),),
)
