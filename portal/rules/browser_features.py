"""The browser's features that a page can keep from its frames, by the names of Permissions Policy.

One declaration: ``browser`` of an app may name what is in :data:`GRANTABLE`, and the header of every page turns off
:data:`OFF` but for what is granted.  A test holds the three lists together against the Chromium that is installed.
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
"""What an app's frame may be given."""
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
"""What none is given: credentials of other sites, which the portal asks for and no app, and what advertising uses."""
OFF: Final = GRANTABLE | NEVER
"""What no frame has by itself."""
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
"""What stays as browsers have it: it tells a frame nothing, and pages break without it."""
UNRESTRICTED_PREFIX: Final = "ch-"
"""The same holds for what requests say of the browser (Client Hints)."""
