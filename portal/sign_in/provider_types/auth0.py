"""Auth0: the issuer ends in a slash, roles are under a namespace, an organisation is a tenant.

An Action that adds roles for one application often adds them to the tokens of all.  So a namespace is read only if it
is configured: an admin of another application is not an admin here.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of
from portal.sign_in.provider_types.base import (
    REQUIRED,
    Logout,
    Option,
    ProviderLocation,
    ProviderType,
    Refresh,
    UnusableOption,
    origin_option,
)
from portal.sign_in.provider_types.sign_out import SignOutRequest, standard_sign_out, with_query

_CLAIMS: Final = ("roles", "groups", "permissions", "tenant")
_ORGANISATION_ID: Final = "org_"
"""The beginning of every organisation's id, and of no organisation's name."""
_ORGANISATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_auth0(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Auth0's claims, within the organisation of the sign-in.

    Raises:
        CallbackRejected: the sign-in was at another organisation than the configured one, or at none.
    """
    organisation, name = _organisation(claims)
    required = spec.options.get("organization")
    # People can change the parameter of the request, but not the claim.
    if required is not None and not _is(required, organisation, name):
        raise CallbackRejected("the ID token is of another organisation, or of none")
    namespaced = _of_namespace(claims, spec.options.get("namespace"))
    tenant = organisation or values.identifier(namespaced.get("tenant")) or NO_TENANT
    affiliation = affiliation_in(tenant, namespaced, name=name if organisation is not None else None)
    return identity_of(claims, spec=spec, affiliations=[affiliation])


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the organisation of the sign-in, by id and by name."""
    return frozenset(one for one in _organisation(identity.claims) if one is not None)


def auth0_sign_out(spec: ProviderSpec, request: SignOutRequest) -> str | None:
    """Return where to sign out: at the end-session endpoint if the tenant has one, else at the older address.

    The older one returns no state, but keeps a query in the return address ("Redirect Users with Alternative Logout").
    """
    if request.end_session is not None:
        return standard_sign_out(spec, request)
    return_to = with_query(request.post_logout_redirect_uri, {"state": request.state})
    return with_query(f"{spec.issuer}v2/logout", {"client_id": spec.client_id, "returnTo": return_to})


def _organisation(claims: Mapping[str, object]) -> tuple[str | None, str | None]:
    """Return id and name of the organisation in *claims*."""
    organisation, name = values.identifier(claims.get("org_id")), values.identifier(claims.get("org_name"))
    return organisation, None if organisation is None or name is None or name.startswith(_ORGANISATION_ID) else name


def _is(required: str, organisation: str | None, name: str | None) -> bool:
    """Return whether the organisation is the *required* one: ids exactly, names in any case."""
    if required.startswith(_ORGANISATION_ID):
        return required == organisation
    return name is not None and required.lower() == name.lower()


def _of_namespace(claims: Mapping[str, object], namespace: str | None) -> Mapping[str, object]:
    """Return the claims under the prefix *namespace*; without one, those at the top, and no tenant."""
    if namespace is None:
        return {name: claims.get(name) for name in _CLAIMS if name != "tenant"}
    return {name: claims.get(f"{namespace.rstrip('/')}/{name}") for name in _CLAIMS}


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    origin = origin_option(options, "domain")
    original = origin_option(options, "original_domain") if "original_domain" in options else None
    namespace = options.get("namespace", "")
    if namespace.rstrip("/").rpartition("/")[2] in _CLAIMS:
        raise UnusableOption("namespace", "names one claim.", "Write what is before /roles.")
    organisation = options.get("organization")
    if organisation is not None and not _ORGANISATION.fullmatch(organisation):
        raise UnusableOption(
            "organization", "is not an organisation's id or name.", "Write its id, like org_9ybsU1dN2d."
        )
    if original is None and (urlsplit(origin).hostname or "").endswith(".auth0.com"):
        original = origin
    return ProviderLocation(
        issuer=f"{origin}/",
        authorize_params=(
            # An access token for userinfo only, whatever the tenant's default API is.
            *((("audience", f"{original}/userinfo"),) if original is not None else ()),
            *((("organization", organisation),) if organisation is not None else ()),
        ),
    )


AUTH0: Final = ProviderType(
    id="auth0",
    label="Auth0",
    flow="openid",
    read=read_auth0,
    locate=_locate,
    options=(
        Option(
            key="domain",
            variable="OAUTH_AUTH0_DOMAIN",
            meaning="Where people sign in: the tenant's host, or its custom domain.",
            example="company.eu.auth0.com",
            default=REQUIRED,
            form="base",
        ),
        Option(
            key="original_domain",
            variable="OAUTH_AUTH0_ORIGINAL_DOMAIN",
            meaning="The tenant's own host, where domain is a custom one; names the audience of the access token.",
            example="company.eu.auth0.com",
            default="domain, if it is at auth0.com",
            form="base",
        ),
        Option(
            key="namespace",
            meaning="The prefix of /roles, /groups, /permissions and /tenant in claims that an Action adds.",
            example="https://portal.example.com",
            default="claims at the top",
        ),
        Option(
            key="organization",
            meaning="The one organisation to sign in to, by id or name; tokens of others are refused.",
            example="org_9ybsU1dN2dKfDkBi",
            default="any, or none",
        ),
    ),
    variables="OAUTH_AUTH0",
    token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
    organisations=organisations_of,
    tenants=True,
    sign_out=auth0_sign_out,
    refresh=Refresh(scopes=("offline_access",)),
    logout=Logout(back_channel=True, confirms=True),
)
