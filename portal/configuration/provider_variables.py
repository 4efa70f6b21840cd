"""Providers that the environment alone describes, by names that other programs use too.

``OPENID_PROVIDER_URL`` (Hugging Face Spaces, Open WebUI) turns on any OpenID Connect provider, of which some are known;
``OAUTH_AUTHORIZE_URL`` (the Descope tutorial) turns on Descope.  Both share ``OAUTH_CLIENT_ID``,
so both at once are ambiguous.
"""

from collections.abc import Collection
from typing import Final

from portal.configuration.addresses import host_of, problem_of
from portal.configuration.declaration import REQUIRED, Variable
from portal.configuration.environment import Variables
from portal.configuration.portal_table import CALLBACK
from portal.configuration.prompts import prompt_params
from portal.configuration.provider_tables import SCOPES, problem_of_scopes
from portal.configuration.report import Report
from portal.settings import Endpoints, ProviderSpec, Secret
from portal.sign_in.provider_types import PROVIDER_TYPES, provider_type_at
from portal.sign_in.provider_types.base import ProviderLocation, ProviderType, is_document, location_of_document

_PROVIDER_URL: Final = Variable("OPENID_PROVIDER_URL", "none", "https://id.example.com")
"""Turns on any OpenID Connect provider, by its issuer or the address of its discovery document.
https://huggingface.co turns on Hugging Face, https://accounts.google.com Google."""
_CLIENT_NAME: Final = Variable("OAUTH_CLIENT_NAME", "descope, huggingface or openid", "descope")
"""Label of that provider; in lower case also its id."""
_CLIENT_ID: Final = Variable("OAUTH_CLIENT_ID", REQUIRED, "P2aBcDeFgHiJkLmNoPqRsTuVwXyZ")
"""The portal's client id there; at Descope the project id."""
_CLIENT_SECRET: Final = Variable("OAUTH_CLIENT_SECRET", REQUIRED, "(secret)")
"""The client secret; at Descope an access key."""
_SCOPES: Final = Variable(SCOPES, "as providers.scopes", "openid profile email descope.claims")
"""Scopes to ask for, separated by spaces. Also for a section that names this client and no scopes."""
_REDIRECT_URI: Final = Variable(
    CALLBACK, "<portal.url>/auth/oauth/<id>/callback", "https://portal.example.com/auth/callback"
)
"""The callback that is registered at the provider."""
_AUTHORIZE_URL: Final = Variable("OAUTH_AUTHORIZE_URL", "none", "https://api.descope.com/oauth2/v1/authorize")
"""Turns on Descope by the tutorial's names. Not together with OPENID_PROVIDER_URL."""
_TOKEN_URL: Final = Variable(
    "OAUTH_ACCESS_TOKEN_URL", f"required with {_AUTHORIZE_URL.name}", "https://api.descope.com/oauth2/v1/token"
)
"""Descope's token endpoint."""
_JWKS_URI: Final = Variable(
    "OAUTH_JWKS_URI",
    f"required with {_AUTHORIZE_URL.name}",
    "https://api.descope.com/P2aBcDeFgHiJkLmNoPqRsTuVwXyZ/.well-known/jwks.json",
)
"""Descope's signing keys; the issuer is this address without /.well-known/jwks.json."""
_USERINFO: Final = Variable("OAUTH_USERINFO_ENDPOINT", "none", "https://api.descope.com/oauth2/v1/userinfo")
"""Descope's userinfo endpoint."""
ADMIN_ROLE: Final = Variable("ADMIN_ROLE", "Tenant Admin", "Tenant Admin")
"""The Descope role that gives the role admin, in its own tenant, if there is no [roles.admin]."""
SHARED: Final = (
    _PROVIDER_URL,
    _CLIENT_NAME,
    _CLIENT_ID,
    _CLIENT_SECRET,
    _SCOPES,
    _REDIRECT_URI,
    _AUTHORIZE_URL,
    _TOKEN_URL,
    _JWKS_URI,
    _USERINFO,
    ADMIN_ROLE,
)
"""Variables of the providers whose variables do not name their type."""

GENERIC: Final = _PROVIDER_URL.name
TUTORIAL: Final = _AUTHORIZE_URL.name
NAME: Final = _CLIENT_NAME.name
_JWKS: Final = "/.well-known/jwks.json"
_CLIENT: Final = (_CLIENT_ID.name, _CLIENT_SECRET.name)
_BESIDE: Final = {
    NAME: "label",
    CALLBACK: "redirect_uri",
    SCOPES: "scopes",
}
"""Variables that belong to the client, and their keys in the file."""
_TUTORIAL_NEEDS: Final = (_AUTHORIZE_URL, _TOKEN_URL, _JWKS_URI)
_TUTORIAL_ALL: Final = tuple(one.name for one in (*_TUTORIAL_NEEDS, _USERINFO))
_DESCOPE_AUTHORIZE: Final = "/oauth2/v1/authorize"
_DESCOPE_LOGOUT: Final = "/oauth2/v1/logout"


def read_provider_of_environment(
    variables: Variables, *, used_by_file: Collection[str], report: Report
) -> ProviderSpec | None:
    """Return the provider that the environment describes, if any; *used_by_file* are variables with another use."""
    # Every Space sets it: if the file uses the secret that belongs to it, the file wins.
    generic = variables.get(GENERIC) is not None and _CLIENT_SECRET.name not in used_by_file
    tutorial = [name for name in _TUTORIAL_ALL if variables.get(name) is not None and name not in used_by_file]
    if generic and tutorial:
        report.environment(
            GENERIC,
            f"and {tutorial[0]} are both set, and each makes OAUTH_CLIENT_ID mean another provider.",
            "Unset one; configure the second provider as [[providers]] in portal.toml.",
        )
        return None
    if generic:
        return _generic(variables, report)
    if tutorial:
        return _tutorial(variables, report)
    left_over = sorted(name for name in _CLIENT if variables.mentions(name) and name not in used_by_file)
    if left_over and variables.get(GENERIC) is None:
        report.environment(
            left_over[0],
            f"is set, but not {GENERIC} or {TUTORIAL}, which name its provider.",
            f"Set {GENERIC} to the provider's issuer, or the tutorial's variables for Descope.",
        )
    else:
        _check_beside(variables, used_by_file=used_by_file, report=report)
    return None


def _check_beside(variables: Variables, *, used_by_file: Collection[str], report: Report) -> None:
    """Note variables of a client that no provider has; a section that uses the client uses its scopes too."""
    in_use = any(name in used_by_file for name in _CLIENT)
    for name, key in _BESIDE.items():
        # Every Space sets its scopes.
        if (
            variables.get(name) is None
            or name in used_by_file
            or (name == SCOPES and (in_use or variables.get(GENERIC) is not None))
        ):
            continue
        report.environment(
            name,
            "is set, but belongs to no configured provider.",
            f"Unset it; for a provider of the file, write {key} in its [[providers]].",
        )


def _generic(variables: Variables, report: Report) -> ProviderSpec | None:
    written = _address(variables, GENERIC, report)
    place = location_of_document(written) if is_document(written) else ProviderLocation(issuer=written)
    issuer = place.issuer
    name = variables.get(NAME)
    client_id, secret = _client(variables, report)
    known = provider_type_at(issuer)
    provider_type = known or PROVIDER_TYPES["oidc"]
    issuer = issuer if known is None else issuer.rstrip("/").lower()
    provider_id = variables.slug(NAME, default="openid" if known is None else known.id)
    scopes = _scopes(variables, provider_type=provider_type, report=report)
    if client_id is None:
        return None
    return ProviderSpec(
        id=provider_id,
        label=name or (host_of(issuer) if known is None else known.label),
        provider_type=provider_type.id,
        issuer=issuer,
        issuer_of_document=place.issuer_of_document and known is None,
        discovery=place.discovery if known is None else None,
        client_id=client_id,
        client_secret=secret,
        scopes=scopes,
        redirect_uri=variables.get(CALLBACK),
        token_endpoint_auth_method=provider_type.token_endpoint_auth_method,
        authorize_params=(
            *provider_type.authorize_params,
            *prompt_params(provider_id, provider_type, written=None, variables=variables),
        ),
        variables=(GENERIC, *_CLIENT),
    )


def _tutorial(variables: Variables, report: Report) -> ProviderSpec | None:
    for one in _TUTORIAL_NEEDS:
        if variables.get(one.name) is None:
            fix = f"Add the line {one.name}={one.example}, with your project's."
            report.environment(one.name, "is not set, and Descope needs it.", fix)
    addresses = {name: _address(variables, name, report) for name in _TUTORIAL_ALL}
    name = variables.get(NAME) or "descope"
    client_id, secret = _client(variables, report)
    jwks, authorize = addresses[_JWKS_URI.name], addresses[TUTORIAL]
    if jwks and not jwks.endswith(_JWKS):
        report.environment(
            _JWKS_URI.name,
            f"does not end in {_JWKS}, so the issuer cannot be derived from it.",
            "Configure this provider as [[providers]] in portal.toml, with its issuer.",
        )
    if client_id is None:
        return None
    provider_type = PROVIDER_TYPES["descope"]
    provider_id = variables.slug(NAME, default="descope")
    logout = authorize.removesuffix(_DESCOPE_AUTHORIZE) + _DESCOPE_LOGOUT
    return ProviderSpec(
        id=provider_id,
        label=name.capitalize() if name.islower() else name,
        provider_type=provider_type.id,
        issuer=jwks.removesuffix(_JWKS),
        client_id=client_id,
        client_secret=secret,
        scopes=_scopes(variables, provider_type=provider_type, report=report),
        endpoints=Endpoints(
            authorize=authorize,
            token=addresses[_TOKEN_URL.name],
            jwks=jwks,
            userinfo=addresses[_USERINFO.name] or None,
            end_session=logout if authorize.endswith(_DESCOPE_AUTHORIZE) else None,
        ),
        redirect_uri=variables.get(CALLBACK),
        authorize_params=prompt_params(provider_id, provider_type, written=None, variables=variables),
        variables=(TUTORIAL, *_CLIENT),
    )


def _address(variables: Variables, name: str, report: Report) -> str:
    url = variables.get(name) or ""
    problem = problem_of(url, path="any", query=name != GENERIC or is_document(url)) if url else None
    if problem is not None:
        report.environment(name, *problem)
    return url


def _client(variables: Variables, report: Report) -> tuple[str | None, Secret | None]:
    client_id, secret = variables.get(_CLIENT_ID.name), variables.secret(_CLIENT_SECRET.name)
    if client_id is None:
        report.environment(_CLIENT_ID.name, "is not set.", "Add the line OAUTH_CLIENT_ID=…, as the provider gave it.")
    if not variables.mentions(_CLIENT_SECRET.name):
        report.environment(
            _CLIENT_SECRET.name, "is not set.", "Add the line OAUTH_CLIENT_SECRET=…, as the provider gave it."
        )
    return client_id, None if secret is None else Secret(secret)


def _scopes(variables: Variables, *, provider_type: ProviderType, report: Report) -> tuple[str, ...]:
    scopes = variables.words(SCOPES) or provider_type.scopes
    problem = problem_of_scopes(scopes, flow=provider_type.flow)
    if problem is not None:
        report.environment(SCOPES, *problem)
    return scopes
