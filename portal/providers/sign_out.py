"""Signing out at the provider: OpenID Connect RP-Initiated Logout 1.0, section 2.

Pure.  Providers that want other parameters get a function of their own beside this one.
"""

from typing import Final
from urllib.parse import urlencode

MAX_URL: Final = 6000
"""Longest URL a browser is sent to, in characters; web servers cut off at 8190."""


def sign_out_url(
    endpoint: str, *, client_id: str, id_token_hint: str | None, post_logout_redirect_uri: str, state: str
) -> str:
    """Return the URL that signs a browser out at *endpoint* and sends it back.

    The hint is left out where it would make the URL too long; the provider then asks the person.
    """
    params = {"client_id": client_id, "post_logout_redirect_uri": post_logout_redirect_uri, "state": state}
    separator = "&" if "?" in endpoint else "?"
    without_hint = f"{endpoint}{separator}{urlencode(params)}"
    if id_token_hint is None:
        return without_hint
    with_hint = f"{endpoint}{separator}{urlencode({'id_token_hint': id_token_hint, **params})}"
    return with_hint if len(with_hint) <= MAX_URL else without_hint
