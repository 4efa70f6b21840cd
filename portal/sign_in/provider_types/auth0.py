"""Auth0: the issuer ends in a slash, roles stand under a namespace, an organisation is a tenant.

An Action that adds roles for one application adds them to the tokens of all, unless it was written with care.  So a
namespace counts only where it is named: an admin of somebody else's application is nobody here.
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
from portal.sign_in.provider_types.base import REQUIRED, Option, ProviderLocation, ProviderType, Refresh, UnusableOption
from portal.sign_in.provider_types.hosts import origin_option
from portal.sign_in.provider_types.sign_out import SignOutRequest, standard_sign_out, with_query

_CLAIMS: Final = ("roles", "groups", "permissions", "tenant")
_ORGANISATION_ID: Final = "org_"
"""How every organisation's id begins, and no organisation's name."""
_ORGANISATION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_auth0(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in Auth0's claims, within the organisation it signed in to.

    Raises:
        CallbackRejected: it signed in to another organisation than the configured one, or to none.
    """
    organisation, name = _organisation(claims)
    wanted = spec.options.get("organization")
    # The parameter of the request is in the hands of whoever follows the link; the claim is not.
    if wanted is not None and not _is(wanted, organisation, name):
        raise CallbackRejected("the ID token is of another organisation, or of none")
    namespaced = _of_namespace(claims, spec.options.get("namespace"))
    tenant = organisation or values.identifier(namespaced.get("tenant")) or NO_TENANT
    affiliation = affiliation_in(tenant, namespaced, name=name if organisation is not None else None)
    return identity_of(claims, spec=spec, affiliations=[affiliation])


def organisations_of(identity: Identity) -> frozenset[str]:
    """Return the organisation somebody signed in to, by id and by name."""
    return frozenset(one for one in _organisation(identity.claims) if one is not None)


def auth0_sign_out(spec: ProviderSpec, leaving: SignOutRequest) -> str | None:
    """Return where to sign out: at the end-session endpoint where the tenant shows one, else the older way.

    The older way returns no state, but leaves a query where it was ("Redirect Users with Alternative Logout").
    """
    if leaving.end_session is not None:
        return standard_sign_out(spec, leaving)
    return_to = with_query(leaving.post_logout_redirect_uri, {"state": leaving.state})
    return with_query(f"{spec.issuer}v2/logout", {"client_id": spec.client_id, "returnTo": return_to})


def _organisation(claims: Mapping[str, object]) -> tuple[str | None, str | None]:
    """Return id and name of the organisation that *claims* are about."""
    organisation, name = values.identifier(claims.get("org_id")), values.identifier(claims.get("org_name"))
    return organisation, None if organisation is None or name is None or name.startswith(_ORGANISATION_ID) else name


def _is(wanted: str, organisation: str | None, name: str | None) -> bool:
    """Say whether the organisation is *wanted*: ids to the letter, names in whatever case."""
    if wanted.startswith(_ORGANISATION_ID):
        return wanted == organisation
    return name is not None and wanted.lower() == name.lower()


def _of_namespace(claims: Mapping[str, object], namespace: str | None) -> Mapping[str, object]:
    """Return what *claims* say under *namespace*, a name in front of others; without one, at the top, and no tenant."""
    if namespace is None:
        return {name: claims.get(name) for name in _CLAIMS if name != "tenant"}
    return {name: claims.get(f"{namespace.rstrip('/')}/{name}") for name in _CLAIMS}


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    origin = origin_option(options, "domain")
    original = origin_option(options, "original_domain") if "original_domain" in options else None
    namespace = options.get("namespace", "")
    if namespace.rstrip("/").rpartition("/")[2] in _CLAIMS:
        raise UnusableOption("namespace", "names one claim.", "Write what stands in front of /roles.")
    organisation = options.get("organization")
    if organisation is not None and not _ORGANISATION.fullmatch(organisation):
        raise UnusableOption("organization", "is no organisation's id or name.", "Write its id, like org_9ybsU1dN2d.")
    if original is None and (urlsplit(origin).hostname or "").endswith(".auth0.com"):
        original = origin
    return ProviderLocation(
        issuer=f"{origin}/",
        authorize_params=(
            # An access token for userinfo and nothing else, whatever API the tenant has as its default.
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
            meaning="What stands in front of /roles, /groups, /permissions and /tenant in claims that an Action adds.",
            example="https://portal.example.com",
            default="those at the top count",
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
)
