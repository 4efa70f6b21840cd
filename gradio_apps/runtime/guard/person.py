"""The person as an app finds them in its ASGI scope."""

from gradio_apps.runtime.guard.api import ScopedPortalApi
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Person

VISITOR = "portal.visitor"
API = "portal.api"


def session_of(person: Person, settings: GuardSettings) -> dict[str, object]:
    """Return a ``scope["session"]`` with the person in the two forms that apps look for.

    It is made for each request, so that anything an app writes there ends with it.
    """
    return {"oauth_info": oauth_info(person, settings), "user": user_claims(person)}


def user_claims(person: Person) -> dict[str, object]:
    """Return *person* as claims (OpenID Connect Core 1.0, section 5.1), and roles as Descope has them.

    Apps with their own sign-in keep these under ``user`` in the session, as Authlib's examples and the Descope
    tutorial do.  Unknown claims are left out; roles are those that the app's own rule names.
    """
    roles = sorted(person.roles)
    tenant = {} if person.tenant_name is None else {"name": person.tenant_name}
    claims: dict[str, object | None] = {
        "sub": person.subject,
        "name": person.name,
        "preferred_username": _username(person),
        "email": person.email,
        "email_verified": True if person.email else None,
        "picture": person.picture,
        "roles": roles,
        "tenants": {} if person.tenant is None else {person.tenant: {**tenant, "roles": list(roles)}},
    }
    return {name: value for name, value in claims.items() if value is not None}


def oauth_info(person: Person, settings: GuardSettings) -> dict[str, object]:
    """Return the ``oauth_info`` that Gradio builds ``gr.OAuthProfile`` and ``gr.OAuthToken`` from.

    The access token is empty: the portal gives no provider's token to an app, and the host makes Gradio skip it.
    """
    username = _username(person)
    return {
        "access_token": "",
        "token_type": "bearer",
        "scope": "openid profile email",
        "expires_at": person.signed_in_until,
        "userinfo": {
            "sub": person.subject,
            "name": person.name or username,
            "preferred_username": username,
            "profile": f"{settings.portal_url}/account",
            "picture": person.picture or "",
            "email": person.email,
        },
    }


def entries(person: Person, api: ScopedPortalApi, settings: GuardSettings) -> dict[str, object]:
    """Return the scope entries for *person*; only the guard sets them."""
    return {VISITOR: person, API: api, "session": session_of(person, settings)}


def _username(person: Person) -> str:
    return person.preferred_username or person.username
