"""Two answers about one person made one: the ID token's claims and those of the userinfo endpoint."""

from collections.abc import Mapping


def merge_userinfo(userinfo: Mapping[str, object], claims: Mapping[str, object]) -> dict[str, object]:
    """Return *claims* over *userinfo*, with ``email_verified`` as it is said of the address that stays.

    The two may name different addresses: what is said of one must not vouch for the other.  That one then counts as
    not verified, even where the configuration assumes that every address is.
    """
    united = {**userinfo, **claims}
    said_by = claims if "email_verified" in claims else userinfo
    if "email_verified" in united and said_by.get("email") != united.get("email"):
        united["email_verified"] = False
    return united
