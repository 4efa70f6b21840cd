"""Amazon Cognito: people sign in at the hosted domain; the issuer is the user pool, at another address.

Groups are only in the ID token.  Claims that start with ``custom:`` are attributes that people can often write
themselves, so they are not read.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from portal.contract import is_loopback_url
from portal.errors import CallbackRejected
from portal.rules.identity import NO_TENANT, Identity, VerifiedClaims
from portal.settings import Endpoints, ProviderSpec
from portal.sign_in.claims import values
from portal.sign_in.claims.reading import affiliation_in, identity_of
from portal.sign_in.provider_types.base import (
    REQUIRED,
    Option,
    ProviderLocation,
    ProviderType,
    UnusableOption,
    origin_option,
)
from portal.sign_in.provider_types.sign_out import SignOutRequest, with_query

_KEYS: Final = "/.well-known/jwks.json"
_POOL: Final = re.compile(r"(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+)_[A-Za-z0-9]{1,40}")
_ISSUER: Final = re.compile(
    r"https://cognito-idp\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com(?:\.cn)?/(?P=region)_[A-Za-z0-9]{1,40}"
)
"""The issuers for which only AWS publishes keys ("Verifying JSON web tokens")."""
_OF_EMULATOR: Final = re.compile(r"/[A-Za-z0-9_-]{1,80}")
_HOSTED: Final = re.compile(r".+\.auth(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazoncognito\.com")


def read_cognito(claims: VerifiedClaims, spec: ProviderSpec) -> Identity:
    """Return the identity in the claims of ID token and userinfo.

    Raises:
        CallbackRejected: the token is not an ID token.
    """
    if claims.get("token_use", "id") != "id":
        raise CallbackRejected("the token is an access token, not an ID token")
    # Userinfo writes booleans as texts.
    view = {**claims, "email_verified": True} if claims.get("email_verified") == "true" else claims
    affiliation, group_names = affiliation_in(NO_TENANT, claims), claims.get("cognito:groups")
    affiliation = replace(
        affiliation,
        groups=affiliation.groups | _assigned_groups(group_names, issuer=str(claims.get("iss", spec.issuer))),
        groups_left_out=affiliation.groups_left_out + values.unread(group_names),
    )
    return identity_of(view, spec=spec, affiliations=[affiliation])


def _assigned_groups(groups: object, *, issuer: str) -> frozenset[str]:
    """Return the names in *groups* without those that Cognito adds for people of another provider."""
    automatic = f"{issuer.rpartition('/')[2]}_"
    return frozenset(one for one in values.names(groups) if not one.startswith(automatic))


def cognito_sign_out(spec: ProviderSpec, request: SignOutRequest) -> str | None:
    """Return where to sign out: an endpoint with its own parameters, which returns no state ("Logout endpoint")."""
    if request.end_session is None:
        return None
    params = {"client_id": spec.client_id, "logout_uri": request.post_logout_redirect_uri}
    return with_query(request.end_session, params)


def pool_of_token(spec: ProviderSpec, issuer: object) -> ProviderSpec | None:
    """Return *spec* with the user pool *issuer* if that can be the pool of its domain, else ``None``.

    The token came from the domain's token endpoint, and must be signed by keys that AWS publishes for the pool.
    """
    if not isinstance(issuer, str) or spec.endpoints is None:
        return None
    at_aws, hosted = _ISSUER.fullmatch(issuer), _HOSTED.fullmatch(urlsplit(spec.issuer).hostname or "")
    is_pool = at_aws is not None and (hosted is None or hosted["region"] == at_aws["region"])
    # An emulator on this machine has domain and pool at the same address.
    is_emulated = is_loopback_url(spec.issuer) and _OF_EMULATOR.fullmatch(issuer.removeprefix(spec.issuer)) is not None
    if not is_pool and not is_emulated:
        return None
    ends = replace(spec.endpoints, jwks=f"{issuer}{_KEYS}")
    return replace(spec, issuer=issuer, issuer_of_token=False, endpoints=ends)


def caution_on_pool(spec: ProviderSpec) -> tuple[str, str] | None:
    """Return what is not proved while the configuration does not name the user pool, and how to fix it."""
    if not spec.issuer_of_token:
        return None
    key = "OAUTH_COGNITO_USER_POOL_ID" if spec.variables else "user_pool_id"
    what = (
        "its user pool is not written, so the portal accepts the pool that its domain's ID tokens name. Their "
        "signature is checked against the keys that AWS publishes for that pool, and they must be made for this "
        "client. But anyone who takes over the domain can let people of another pool in, with any address and group."
    )
    return what, f"Write {key}, like eu-west-2_Ab12Cd34E: the User pool ID in the console's overview of the pool."


def _locate(options: Mapping[str, str]) -> ProviderLocation:
    origin, issuer = origin_option(options, "domain"), _issuer(options)
    return ProviderLocation(
        issuer=issuer or origin,
        issuer_of_token=issuer is None,
        # Configured and not discovered: a pool may have two domains, and its metadata names one of them.
        endpoints=Endpoints(
            authorize=f"{origin}/oauth2/authorize",
            token=f"{origin}/oauth2/token",
            jwks=None if issuer is None else f"{issuer}{_KEYS}",
            userinfo=f"{origin}/oauth2/userInfo",
            end_session=f"{origin}/logout",
        ),
    )


def _issuer(options: Mapping[str, str]) -> str | None:
    pool, issuer = options.get("user_pool_id"), options.get("issuer")
    if pool is not None and issuer is not None:
        raise UnusableOption("issuer", "is set beside user_pool_id, which means the same.", "Write one of the two.")
    if issuer is not None:
        return issuer
    if pool is None:
        return None
    parts = _POOL.fullmatch(pool)
    if parts is None:
        raise UnusableOption(
            "user_pool_id", "is not a user pool's id.", "Write it with its region: eu-west-2_Ab12Cd34E."
        )
    hosted = _HOSTED.fullmatch(urlsplit(options["domain"]).hostname or "")
    if hosted is not None and hosted["region"] != parts["region"]:
        raise UnusableOption(
            "user_pool_id",
            f"is of a pool in {parts['region']}, and the domain of one in {hosted['region']}.",
            "Take both from the same user pool.",
        )
    of_china = ".cn" if parts["region"].startswith("cn-") else ""
    return f"https://cognito-idp.{parts['region']}.amazonaws.com{of_china}/{pool}"


COGNITO: Final = ProviderType(
    id="aws-cognito",
    label="Amazon Cognito",
    flow="openid",
    read=read_cognito,
    locate=_locate,
    options=(
        Option(
            key="domain",
            variable="OAUTH_COGNITO_DOMAIN",
            meaning="The user pool's domain, where people sign in; a custom one as well.",
            example="company.auth.eu-west-2.amazoncognito.com",
            default=REQUIRED,
            form="base",
        ),
        Option(
            key="user_pool_id",
            variable="OAUTH_COGNITO_USER_POOL_ID",
            meaning="The user pool's id: ID tokens of this pool alone are accepted.",
            example="eu-west-2_Ab12Cd34E",
            default="the pool that the domain's ID tokens name",
        ),
        Option(
            key="issuer",
            meaning="The issuer, if it is not at amazonaws.com.",
            example="https://cognito-idp.eu-west-2.amazonaws.com/eu-west-2_Ab12Cd34E",
            default="as user_pool_id says",
            form="issuer",
        ),
    ),
    variables="OAUTH_COGNITO",
    source_claims={"groups": ("cognito:groups", "groups")},
    claim_scopes={"cognito:groups": (), "groups": ()},
    scopes_variable="OAUTH_COGNITO_SCOPE",
    of_token=pool_of_token,
    caution=caution_on_pool,
    may_assume_email=True,
    sign_out=cognito_sign_out,
)
