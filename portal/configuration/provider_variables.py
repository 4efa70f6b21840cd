"""Providers that the environment alone describes, by the names the field already uses.

``OPENID_PROVIDER_URL`` (Hugging Face Spaces, Open WebUI) turns on any OpenID Connect provider, of which some are known;
``OAUTH_AUTHORIZE_URL`` (the Descope tutorial) turns on Descope.  Both share ``OAUTH_CLIENT_ID``,
so both at once say nothing definite.
"""

import re
from collections.abc import Collection
from typing import Final

from portal.configuration.addresses import host_of, problem_of
from portal.configuration.documented import EXAMPLES
from portal.configuration.environment import Variables
from portal.configuration.prompts import prompt_params
from portal.configuration.provider_tables import SCOPES, fault_of_scopes
from portal.configuration.report import Report
from portal.settings import Endpoints, ProviderSpec, Secret
from portal.sign_in.provider_types import PROVIDER_TYPES, provider_type_at
from portal.sign_in.provider_types.base import ProviderLocation, ProviderType, is_document, location_of_document

GENERIC: Final = "OPENID_PROVIDER_URL"
TUTORIAL: Final = "OAUTH_AUTHORIZE_URL"
NAME: Final = "OAUTH_CLIENT_NAME"
_JWKS: Final = "/.well-known/jwks.json"
_SHARED: Final = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")
_BESIDE: Final = {
    NAME: "label",
    "OAUTH_REDIRECT_URI": "redirect_uri",
    SCOPES: "scopes",
}
"""What says more of the client, and the key that says it in the file."""
_TUTORIAL_NEEDS: Final = (TUTORIAL, "OAUTH_ACCESS_TOKEN_URL", "OAUTH_JWKS_URI")
_TUTORIAL_ALL: Final = (*_TUTORIAL_NEEDS, "OAUTH_USERINFO_ENDPOINT")
_DESCOPE_AUTHORIZE: Final = "/oauth2/v1/authorize"
_DESCOPE_LOGOUT: Final = "/oauth2/v1/logout"


def read_provider_of_environment(
    variables: Variables, *, used_by_file: Collection[str], report: Report
) -> ProviderSpec | None:
    """Return the provider that the environment describes, if it does; *used_by_file* are variables with another use."""
    # A Space sets it, wanted or not: where the file names the secret beside it, the file has the last word.
    generic = variables.get(GENERIC) is not None and "OAUTH_CLIENT_SECRET" not in used_by_file
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
    left_over = sorted(name for name in _SHARED if variables.mentions(name) and name not in used_by_file)
    if left_over and variables.get(GENERIC) is None:
        report.environment(
            left_over[0],
            f"is set, but neither {GENERIC} nor {TUTORIAL} says of which provider.",
            f"Set {GENERIC} to the provider's issuer, or the tutorial's variables for Descope.",
        )
    else:
        _check_beside(variables, used_by_file=used_by_file, report=report)
    return None


def _check_beside(variables: Variables, *, used_by_file: Collection[str], report: Report) -> None:
    """Note what says more of a client that no provider has; a section that takes up the client takes its scopes too."""
    in_use = any(name in used_by_file for name in _SHARED)
    for name, key in _BESIDE.items():
        # A Space sets its scopes, wanted or not.
        if (
            variables.get(name) is None
            or name in used_by_file
            or (name == SCOPES and (in_use or variables.get(GENERIC) is not None))
        ):
            continue
        report.environment(
            name,
            "is set, but says nothing of any provider that is turned on.",
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
        redirect_uri=variables.get("OAUTH_REDIRECT_URI"),
        token_endpoint_auth_method=provider_type.token_endpoint_auth_method,
        authorize_params=(
            *provider_type.authorize_params,
            *prompt_params(provider_id, provider_type, written=None, variables=variables),
        ),
        variables=(GENERIC, *_SHARED),
    )


def _tutorial(variables: Variables, report: Report) -> ProviderSpec | None:
    for name in _TUTORIAL_NEEDS:
        if variables.get(name) is None:
            report.environment(
                name, "is not set, and Descope needs it.", f"Add the line {name}={EXAMPLES[name]}, with your project's."
            )
    addresses = {name: _address(variables, name, report) for name in _TUTORIAL_ALL}
    name = variables.get(NAME) or "descope"
    client_id, secret = _client(variables, report)
    jwks, authorize = addresses["OAUTH_JWKS_URI"], addresses[TUTORIAL]
    if jwks and not jwks.endswith(_JWKS):
        report.environment(
            "OAUTH_JWKS_URI",
            f"does not end in {_JWKS}, so the issuer cannot be told from it.",
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
            token=addresses["OAUTH_ACCESS_TOKEN_URL"],
            jwks=jwks,
            userinfo=addresses["OAUTH_USERINFO_ENDPOINT"] or None,
            end_session=logout if authorize.endswith(_DESCOPE_AUTHORIZE) else None,
        ),
        redirect_uri=variables.get("OAUTH_REDIRECT_URI"),
        authorize_params=prompt_params(provider_id, provider_type, written=None, variables=variables),
        variables=(TUTORIAL, *_SHARED),
    )


def _address(variables: Variables, name: str, report: Report) -> str:
    url = variables.get(name) or ""
    fault = problem_of(url, path="any", query=name != GENERIC or is_document(url)) if url else None
    if fault is not None:
        report.environment(name, *fault)
    return url


def _client(variables: Variables, report: Report) -> tuple[str | None, Secret | None]:
    client_id, secret = variables.get("OAUTH_CLIENT_ID"), variables.secret("OAUTH_CLIENT_SECRET")
    if client_id is None:
        report.environment("OAUTH_CLIENT_ID", "is not set.", "Add the line OAUTH_CLIENT_ID=…, as the provider gave it.")
    if not variables.mentions("OAUTH_CLIENT_SECRET"):
        report.environment(
            "OAUTH_CLIENT_SECRET", "is not set.", "Add the line OAUTH_CLIENT_SECRET=…, as the provider gave it."
        )
    return client_id, None if secret is None else Secret(secret)


def _scopes(variables: Variables, *, provider_type: ProviderType, report: Report) -> tuple[str, ...]:
    written = variables.get("OAUTH_SCOPES")
    scopes = provider_type.scopes if written is None else tuple(dict.fromkeys(re.split(r"[,\s]+", written)))
    fault = fault_of_scopes(scopes, flow=provider_type.flow)
    if fault is not None:
        report.environment("OAUTH_SCOPES", *fault)
    return scopes
