"""Browser features that a page can withhold from its frames, by their Permissions Policy names.

``browser`` of an app may name features of :data:`GRANTABLE`.  The header of every page turns off :data:`OFF`, except
what is granted.  A test compares the lists with the installed Chromium.
"""

from typing import Final

GRANTABLE: Final = frozenset(
    {
        "accelerometer",
        "ambient-light-sensor",
        "autoplay",
        "bluetooth",
        "camera",
        "captured-surface-control",
        "clipboard-read",
        "clipboard-write",
        "compute-pressure",
        "display-capture",
        "encrypted-media",
        "fullscreen",
        "gamepad",
        "geolocation",
        "gyroscope",
        "hid",
        "idle-detection",
        "keyboard-map",
        "language-detector",
        "language-model",
        "local-fonts",
        "local-network",
        "local-network-access",
        "loopback-network",
        "magnetometer",
        "microphone",
        "midi",
        "on-device-speech-recognition",
        "payment",
        "picture-in-picture",
        "screen-wake-lock",
        "serial",
        "speaker-selection",
        "storage-access",
        "summarizer",
        "translator",
        "usb",
        "web-share",
        "window-management",
        "xr-spatial-tracking",
    }
)
"""Features that an app's frame may get."""
NEVER: Final = frozenset(
    {
        "browsing-topics",
        "digital-credentials-create",
        "digital-credentials-get",
        "identity-credentials-get",
        "interest-cohort",
        "otp-credentials",
        "private-state-token-issuance",
        "private-state-token-redemption",
        "publickey-credentials-create",
        "publickey-credentials-get",
    }
)
"""Features that no frame gets: credentials of other sites, which only the portal asks for, and advertising."""
OFF: Final = GRANTABLE | NEVER
"""Features that a frame has only if they are granted."""
UNRESTRICTED: Final = frozenset(
    {
        "aria-notify",  # what screen readers say
        "cross-origin-isolated",  # keeps the frame apart; the app's own headers ask for it
        "deferred-fetch",
        "deferred-fetch-minimal",
        "media-playback-while-not-visible",  # sound in a tab behind others
        "sync-xhr",  # Python in the browser needs it
        "unload",
    }
)
"""Features left at the browser's default: they tell a frame nothing, and pages break without them."""
UNRESTRICTED_PREFIX: Final = "ch-"
"""Prefix of Client Hints, which are left at the default too."""
