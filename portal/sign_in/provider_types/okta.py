"""Okta: the org itself, its authorization server ``default``, or a custom one; each is an issuer of its own.

In the code flow, names and groups are in userinfo and not in the ID token.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims.reading import affiliation_in, identity_of, named_claims
from portal.sign_in.provider_types.base import (
    CLAIM_OPTIONS,
    DISCOVERY,
    REQUIRED,
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
    origin_option,
)
from portal.sign_in.provider_types.sign_out import MAX_URL, SignOutRequest, with_query

EVERYONE: Final = frozenset({"Everyone"})
"""The group of all people in the org; not read."""
_DEFAULT: Final = "default"
_NONE: Final = "false"
"""In Chainlit: no authorization server, but the org itself."""
_SERVER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADMIN: Final = re.compile(r"[a-z0-9-]+-admin\.(?:okta|oktapreview|okta-emea|okta-gov)\.[a-z]+")


def read_okta(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the claims of ID token and userinfo, without the group of all people."""
    affiliation = affiliation_in(NO_TENANT, named_claims(claims, spec))
    return identity_of(claims, spec=spec, affiliations=[replace(affiliation, groups=affiliation.groups - EVERYONE)])


def okta_sign_out(spec: ProviderSpec, request: SignOutRequest) -> str | None:
    """Return where to sign out; ``None`` without the ID token, without which Okta shows an error page."""
    del spec
    if request.end_session is None or request.id_token_hint is None:
        return None
    url = with_query(
        request.end_session,
        {
            "id_token_hint": request.id_token_hint,
            "post_logout_redirect_uri": request.post_logout_redirect_uri,
            "state": request.state,
        },
    )
    return url if len(url) <= MAX_URL else None


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    origin = origin_option(options, "domain")
    if _ADMIN.fullmatch(urlsplit(origin).hostname or ""):
        raise UnusableOption(
            "domain", "is where Okta is administered.", "Write the org's own host, without -admin: company.okta.com."
        )
    server = options.get("authorization_server_id", _DEFAULT)
    if not _SERVER.fullmatch(server):
        raise UnusableOption(
            "authorization_server_id",
            "is not the id of an authorization server.",
            "Write default, an id like aus1a2b3c4d5e6f7g8h9, or false for the org itself.",
        )
    of_the_org = server.lower() == _NONE
    base = origin if of_the_org else f"{origin}/oauth2/{server}"
    issuer = options.get("issuer")
    return ProviderLocation(
        issuer=issuer or base,
        discovery=None if issuer is None else f"{base}{DISCOVERY}",
        # Every org has this scope; other servers refuse it until it is added there.
        scopes=("groups",) if of_the_org else (),
    )


OKTA: Final = ProviderType(
    id="okta",
    label="Okta",
    flow="openid",
    read=read_okta,
    locate=_locate,
    options=(
        Option(
            key="domain",
            variable="OAUTH_OKTA_DOMAIN",
            meaning="The org's host, or its custom domain, with https:// or without.",
            example="company.okta.com",
            default=REQUIRED,
            form="base",
        ),
        Option(
            key="authorization_server_id",
            variable="OAUTH_OKTA_AUTHORIZATION_SERVER_ID",
            meaning="The authorization server there; false for the org itself.",
            example="aus1a2b3c4d5e6f7g8h9",
            default="default",
        ),
        Option(
            key="issuer",
            meaning="The issuer, if that server uses another host than domain.",
            example="https://company.okta.com/oauth2/default",
            default="as domain and server say",
            form="issuer",
        ),
        *CLAIM_OPTIONS,
    ),
    variables="OAUTH_OKTA",
    prompts=frozenset({"none", "login", "consent"}),
    sign_out=okta_sign_out,
    refresh=Refresh(scopes=("offline_access",)),
    logout=Logout(front_channel=True),
)
