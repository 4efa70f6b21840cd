"""Answers of authorization endpoints without a sign-in, as provider types are known to give them."""

import pytest

from portal.sign_in.providers.authorization_probe import NOT_REGISTERED, Kind, read_page, read_redirect

CALLBACK = "https://portal.example.com/auth/oauth/company/callback"

REDIRECTS: dict[str, tuple[str, Kind]] = {
    "a page to sign in at": ("https://id.example.com/login?state=x", "passed"),
    "a page at another host": ("https://auth.example.com/flows/sign-in?client_id=portal", "passed"),
    "Auth0's page": ("https://x.auth0.com/u/login?state=hKFo2SA", "passed"),
    "Cognito's page": ("https://x.auth.eu-west-2.amazoncognito.com/login?client_id=7abc&redirect_uri=x", "passed"),
    "nobody is signed in, with prompt none": (f"{CALLBACK}?error=login_required&state=x", "passed"),
    "there is more to ask": (f"{CALLBACK}?error=interaction_required&state=x", "passed"),
    "a code at once": (f"{CALLBACK}?code=x&state=x", "passed"),
    "a scope it does not know": (f"{CALLBACK}?error=invalid_scope&state=x", "refused"),
    "a client that may not": (f"{CALLBACK}?error=unauthorized_client&error_description=no", "refused"),
    "an error in the fragment": (f"{CALLBACK}#error=unsupported_response_type", "refused"),
    "Cognito's error": ("https://x.auth.eu-west-2.amazoncognito.com/error?error=redirect_mismatch", "refused"),
    "Google's error": ("https://accounts.google.com/signin/oauth/error?authError=ChVyZWRpcmVjdF91cmk", "refused"),
    "Hydra's error": ("https://id.example.com/oauth2/fallbacks/error?error=invalid_request", "refused"),
    "Salesforce's error": (
        "https://login.salesforce.com/setup/secur/RemoteAccessErrorPage.apexp?error=redirect_uri_mismatch",
        "refused",
    ),
    "an error page of any": ("https://id.example.com/error?id=7", "refused"),
    "a page whose name only begins so": ("https://id.example.com/errors-explained/login", "passed"),
}


@pytest.mark.parametrize(("target", "kind"), REDIRECTS.values(), ids=REDIRECTS)
def test_where_it_leads_shows_what_it_knows(target: str, kind: Kind) -> None:
    seen = read_redirect(target, redirect_uri=CALLBACK)

    assert seen.kind == kind
    assert bool(seen.clue) is (kind == "refused")
    assert seen.clue.isprintable()


PAGES: dict[str, tuple[int, str, Kind]] = {
    "a page to sign in at": (200, "<form action='/login'>Name Password redirect_uri</form>", "passed"),
    "Keycloak": (400, "<p>Invalid parameter: redirect_uri</p>", "refused"),
    "Keycloak, another client": (400, "<p>Client not found.</p>", "refused"),
    "Entra": (
        200,
        '"strServiceExceptionMessage":"AADSTS50011: The redirect URI \'https://x\' does not match"',
        "refused",
    ),
    "Entra, another client": (200, "AADSTS700016: Application with identifier 'x' was not found", "refused"),
    "Auth0": (403, "<h1>Oops</h1> Callback URL mismatch. The provided redirect_uri is not in the list", "refused"),
    "Okta": (400, "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings", "refused"),
    "oidc-provider": (400, '{"error": "invalid_redirect_uri", "error_description": "did not match"}', "refused"),
    "Zitadel": (400, '{"error": "invalid_request", "error_description": "The requested redirect_uri"}', "refused"),
    "authentik": (400, "<h1>Redirect URI Error</h1>", "refused"),
    "Dex": (400, "Unregistered redirect_uri", "refused"),
    "GitHub, another client": (404, "<html>Page not found</html>", "refused"),
    "AD FS": (200, "Error details: MSIS9224: Received invalid OAuth authorization request", "refused"),
    "a wall in front of it": (403, "<html>Are you human?</html>", "unclear"),
    "asked too often": (429, "slow down", "unclear"),
    "down": (503, "", "unclear"),
    "no text": (400, "\x00\x1b[31m", "refused"),
}


@pytest.mark.parametrize(("status", "body", "kind"), PAGES.values(), ids=PAGES)
def test_what_the_page_says_shows_what_it_knows(status: int, body: str, kind: Kind) -> None:
    seen = read_page(status, body.encode())

    assert seen.kind == kind
    assert seen.clue.isprintable()
    assert len(seen.clue) < 500


def test_a_long_page_is_read_at_once() -> None:
    assert read_page(200, b"redirect_uri " * 70_000).kind == "passed"
    assert read_page(200, b"client" * 160_000).kind == "passed"


def test_the_other_callback_belongs_to_no_provider() -> None:
    assert NOT_REGISTERED.split("/")[2].endswith(".invalid")
