"""What an app finds in its scope about the person who is there."""

from gradio_apps.runtime.guard.api import PortalApi
from gradio_apps.runtime.guard.settings import GuardSettings
from portal.contract import Person

VISITOR = "portal.visitor"
API = "portal.api"


def oauth_session(person: Person, settings: GuardSettings) -> dict[str, object]:
    """Return a ``scope["session"]`` in which Gradio finds its ``gr.OAuthProfile`` and ``gr.OAuthToken``.

    The access token is empty: the portal hands no provider's token to an app.
    """
    return {
        "oauth_info": {
            "access_token": "",
            "token_type": "bearer",
            "scope": "openid profile email",
            "expires_at": person.signed_in_until,
            "userinfo": {
                "sub": person.subject,
                "name": person.name or person.username,
                "preferred_username": person.username,
                "profile": f"{settings.portal_url}/account",
                "picture": person.picture or "",
                "email": person.email,
            },
        }
    }


def entries(person: Person, api: PortalApi, settings: GuardSettings) -> dict[str, object]:
    """Return the scope entries that speak of *person*; the guard sets them and nothing else does."""
    return {VISITOR: person, API: api, "session": oauth_session(person, settings)}
