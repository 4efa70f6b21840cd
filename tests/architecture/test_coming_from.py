"""The page for those who come from elsewhere, variable by variable, held against what the portal reads."""

import re

import pytest

from portal.configuration.all_settings import NAMES
from portal.sign_in.provider_types import PROVIDER_TYPES
from tests.architecture.pages import page

PAGE = page("docs/coming-from.md")
READ = (
    NAMES
    | {name for provider_type in PROVIDER_TYPES.values() for name in provider_type.own_variables()}
    | {"OAUTH_<ID>_PROMPT"}
)

CHAINLIT = """
CHAINLIT_AUTH_COOKIE_NAME CHAINLIT_AUTH_COOKIE_PATH CHAINLIT_AUTH_SECRET CHAINLIT_COOKIE_SAMESITE CHAINLIT_CUSTOM_AUTH
CHAINLIT_ROOT_PATH CHAINLIT_STATE_COOKIE_LIFETIME CHAINLIT_URL
OAUTH_PROMPT OAUTH_<ID>_PROMPT
OAUTH_GITHUB_CLIENT_ID OAUTH_GITHUB_CLIENT_SECRET
OAUTH_GITHUB_AUTH_URL OAUTH_GITHUB_TOKEN_URL OAUTH_GITHUB_USER_INFO_URL
OAUTH_GITLAB_CLIENT_ID OAUTH_GITLAB_CLIENT_SECRET OAUTH_GITLAB_DOMAIN
OAUTH_GOOGLE_CLIENT_ID OAUTH_GOOGLE_CLIENT_SECRET
OAUTH_AZURE_AD_CLIENT_ID OAUTH_AZURE_AD_CLIENT_SECRET OAUTH_AZURE_AD_TENANT_ID
OAUTH_AZURE_AD_ENABLE_SINGLE_TENANT OAUTH_AZURE_AD_SCOPES
OAUTH_AZURE_AD_HYBRID_CLIENT_ID OAUTH_AZURE_AD_HYBRID_CLIENT_SECRET OAUTH_AZURE_AD_HYBRID_TENANT_ID
OAUTH_AZURE_AD_HYBRID_ENABLE_SINGLE_TENANT OAUTH_AZURE_AD_HYBRID_SCOPES
OAUTH_OKTA_CLIENT_ID OAUTH_OKTA_CLIENT_SECRET OAUTH_OKTA_DOMAIN OAUTH_OKTA_AUTHORIZATION_SERVER_ID
OAUTH_AUTH0_CLIENT_ID OAUTH_AUTH0_CLIENT_SECRET OAUTH_AUTH0_DOMAIN OAUTH_AUTH0_ORIGINAL_DOMAIN
OAUTH_DESCOPE_CLIENT_ID OAUTH_DESCOPE_CLIENT_SECRET
OAUTH_COGNITO_CLIENT_ID OAUTH_COGNITO_CLIENT_SECRET OAUTH_COGNITO_DOMAIN OAUTH_COGNITO_SCOPE
OAUTH_KEYCLOAK_CLIENT_ID OAUTH_KEYCLOAK_CLIENT_SECRET OAUTH_KEYCLOAK_REALM OAUTH_KEYCLOAK_BASE_URL OAUTH_KEYCLOAK_NAME
OAUTH_GENERIC_CLIENT_ID OAUTH_GENERIC_CLIENT_SECRET OAUTH_GENERIC_AUTH_URL OAUTH_GENERIC_TOKEN_URL
OAUTH_GENERIC_USER_INFO_URL OAUTH_GENERIC_SCOPES OAUTH_GENERIC_NAME OAUTH_GENERIC_USER_IDENTIFIER
"""
"""Of Chainlit 2.12.0: its providers' and its own about signing in."""
TUTORIAL = """
OAUTH_CLIENT_NAME OAUTH_CLIENT_ID OAUTH_CLIENT_SECRET OAUTH_AUTHORIZE_URL OAUTH_ACCESS_TOKEN_URL OAUTH_REDIRECT_URI
OAUTH_JWKS_URI OAUTH_USERINFO_ENDPOINT OAUTH_SCOPES SESSION_SECRET_KEY
ADMIN_ROLE SESSION_MAX_AGE ADMIN_DASHBOARD_PATH USER_DASHBOARD_PATH LOGIN_PAGE_PATH
"""
"""Of the starter repository of Descope's Gradio tutorial."""
SPACE = "OPENID_PROVIDER_URL OAUTH_CLIENT_ID OAUTH_CLIENT_SECRET OAUTH_SCOPES SPACE_HOST"
"""What a Hugging Face Space sets where its README has ``hf_oauth: true``, and its host."""

SECTIONS = {
    "From the Descope tutorial": TUTORIAL,
    "From Chainlit": CHAINLIT,
    "From a Hugging Face Space": SPACE,
}

pytestmark = pytest.mark.parametrize(("heading", "names"), SECTIONS.items(), ids=SECTIONS)


def test_every_variable_has_its_row(heading: str, names: str) -> None:
    assert sorted(PAGE.codes(heading)) == sorted(names.split())


def test_what_is_said_to_be_read_is_read_and_nothing_else(heading: str, names: str) -> None:
    del names
    said = {row[0].strip("`"): row[1] for row in PAGE.rows(heading)}

    assert set(said.values()) <= {"yes", "no"}
    assert {name for name, read in said.items() if read == "yes"} == READ.intersection(said)


def test_every_other_name_in_capitals_is_read_too(heading: str, names: str) -> None:
    """Where the page says what to set instead, that must be something the portal reads."""
    del names
    spans = re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`", " ".join(row[2] for row in PAGE.rows(heading)))

    assert {name for name in spans if name not in READ and not name.endswith("_PROMPT")} == set()
