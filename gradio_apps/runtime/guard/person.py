"""What an app finds in its scope about the person who is there."""

from gradio_apps.runtime.guard.api import PortalApi
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Person

VISITOR = "portal.visitor"
API = "portal.api"


def session_of(person: Person, settings: GuardSettings) -> dict[str, object]:
    """Return a ``scope["session"]`` that says who is there in the two ways that apps look for.

    It is made anew for each request, so that whatever an app writes there ends with it.
    """
    return {"oauth_info": oauth_info(person, settings), "user": user_claims(person)}


def user_claims(person: Person) -> dict[str, object]:
    """Return *person* as claims (OpenID Connect Core 1.0, section 5.1), and roles as Descope has them.

    Apps with a sign-in of their own keep these under ``user`` in the session, as Authlib's examples and the Descope
    tutorial do.  What is not known is left out; roles are those that the app's own rule names.
    """
    roles = sorted(person.roles)
    tenant = {} if person.tenant_name is None else {"name": person.tenant_name}
    claims: dict[str, object | None] = {
        "sub": person.subject,
        "name": person.name,
        "preferred_username": _called(person),
        "email": person.email,
        "email_verified": True if person.email else None,
        "picture": person.picture,
        "roles": roles,
        "tenants": {} if person.tenant is None else {person.tenant: {**tenant, "roles": list(roles)}},
    }
    return {name: value for name, value in claims.items() if value is not None}


def oauth_info(person: Person, settings: GuardSettings) -> dict[str, object]:
    """Return what Gradio makes ``gr.OAuthProfile`` and ``gr.OAuthToken`` of.

    The access token is empty: the portal hands no provider's token to an app, and the host has Gradio make none of it.
    """
    called = _called(person)
    return {
        "access_token": "",
        "token_type": "bearer",
        "scope": "openid profile email",
        "expires_at": person.signed_in_until,
        "userinfo": {
            "sub": person.subject,
            "name": person.name or called,
            "preferred_username": called,
            "profile": f"{settings.portal_url}/account",
            "picture": person.picture or "",
            "email": person.email,
        },
    }


def entries(person: Person, api: PortalApi, settings: GuardSettings) -> dict[str, object]:
    """Return the scope entries that speak of *person*; the guard sets them and nothing else does."""
    return {VISITOR: person, API: api, "session": session_of(person, settings)}


def _called(person: Person) -> str:
    return person.preferred_username or person.username
