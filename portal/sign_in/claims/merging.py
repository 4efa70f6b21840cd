"""Merges the claims of an ID token with those of the userinfo endpoint.  Pure."""

from collections.abc import Mapping

from portal.errors import CallbackRejected


def merge_userinfo(userinfo: Mapping[str, object], claims: Mapping[str, object]) -> dict[str, object]:
    """Return *claims* over *userinfo*; ``email_verified`` counts only for the address it was sent with.

    The two may name different addresses.  Then the address counts as not verified, even if the configuration assumes
    that every address is.

    Raises:
        CallbackRejected: the two are about different people.
    """
    # OpenID Connect Core, section 5.3.4: else another person's access token could be slipped in.
    if userinfo.get("sub") != claims.get("sub"):
        raise CallbackRejected("userinfo is about another person")
    merged = {**userinfo, **claims}
    source = claims if "email_verified" in claims else userinfo
    if "email_verified" in merged and source.get("email") != merged.get("email"):
        merged["email_verified"] = False
    return merged
