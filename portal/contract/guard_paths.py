"""Paths below an app's address that its guard answers for the portal, the supervisor and the app itself."""

from typing import Final

PREFIX: Final = "/.portal/"
"""Of all of them."""
HEALTH_PATH: Final = f"{PREFIX}health"
LOGOUT_PATH: Final = f"{PREFIX}backchannel-logout"
"""Takes the portal's logout notifications."""
RENEWED_PATH: Final = f"{PREFIX}renewed"
"""Lets the app's open pages go on in a session that began after theirs had ended."""
SESSION_PATH: Final = f"{PREFIX}session"
"""Takes a ticket."""
SIGN_OUT_PATH: Final = f"{PREFIX}sign-out"
"""Redirects to the portal's sign-out page."""
