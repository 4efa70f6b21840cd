"""Reads single claims: the right type, a bounded size, no control or direction characters; or nothing.

What people type about themselves appears in pages, headers and logs of others.  The checks are ``type(x) is str`` and
not ``isinstance``, because the values come from JSON.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from portal.errors import CallbackRejected
from portal.rules.identity import IDENTITY_ID

MAX_SUBJECT: Final = 1024
"""Characters of ``sub``: OpenID Connect Core, section 2, allows 255, and some providers exceed it."""
MAX_LISTED: Final = 1024
"""Characters of the name of a role, group or permission: room for the longest names of a directory."""
MAX_IDENTIFIER: Final = 512
"""Characters of the id of a tenant or organisation: as much as a ticket and a database column hold."""
MAX_NAME: Final = 200
"""Characters shown of a person's name; a longer one ends in an ellipsis."""
MAX_EMAIL: Final = 320
"""Characters of an address: 64, the at sign and 255 (RFC 5321, section 4.5.3.1)."""
MAX_PICTURE: Final = 1024
"""Characters of the picture's address, as in a ticket."""

# Controls, surrogates, private characters, line separators; and, of the format characters, those that
# turn the direction of text: a name must not rewrite the page around it.
_UNWANTED: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_REFUSED_IN_NAMES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Not allowed even in names that are only compared.  Direction marks are: directories copy them into names."""
_DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def is_plain(value: str) -> bool:
    """Return whether *value* has no character that is unfit for display."""
    return all(unicodedata.category(char) not in _UNWANTED and char not in _DIRECTIONS for char in value)


def subject(claims: Mapping[str, object]) -> str:
    """Return ``sub``.

    Raises:
        CallbackRejected: it is absent, not a string, blank, longer than :data:`MAX_SUBJECT`, or not plain.
    """
    value = claims.get("sub")
    if type(value) is not str or not value.strip() or not is_plain(value):
        raise CallbackRejected("the claim sub is missing or unusable")
    if len(value) > MAX_SUBJECT:
        raise CallbackRejected(f"the claim sub has {len(value)} characters, more than the {MAX_SUBJECT} that are read")
    return value


def issuer(claims: Mapping[str, object], *, configured: str) -> str:
    """Return ``iss``, which the verifier has compared with the provider's; *configured* if there is none.

    Raises:
        CallbackRejected: it is not a string, or empty.
    """
    value = claims.get("iss", configured)
    if type(value) is not str or not value or not is_plain(value):
        raise CallbackRejected("the claim iss is unusable")
    return value


def identifier(value: object) -> str | None:
    """Return *value*, unchanged, if it is a plain, non-blank text."""
    if type(value) is not str or not value.strip() or len(value) > MAX_IDENTIFIER or not is_plain(value):
        return None
    return value


def compared(name: str) -> str:
    """Return *name* normalised for comparison (UAX #15, form NFC)."""
    return unicodedata.normalize("NFC", name)


def names(value: object) -> frozenset[str]:
    """Return the names in *value*, a list of strings or one string, normalised for comparison.

    A single string is one name and is not split: "AI Analysts" is not the group "AI".  :func:`unread` counts the
    entries that are omitted.
    """
    return frozenset(name for entry in _entries(value) if (name := _name(entry)) is not None)


def unread(value: object) -> int:
    """Return how many entries of *value* are not blank and not names for :func:`names`, such as objects."""
    return sum(_name(entry) is None and not _is_blank(entry) for entry in _entries(value))


def members(value: object) -> Mapping[str, object]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if type(value) is dict else {}


def _entries(value: object) -> list[object]:
    return value if type(value) is list else [value]


def _name(entry: object) -> str | None:
    if type(entry) is not str or _is_blank(entry) or len(entry) > MAX_LISTED:
        return None
    return compared(entry) if all(unicodedata.category(char) not in _REFUSED_IN_NAMES for char in entry) else None


def _is_blank(entry: object) -> bool:
    return entry is None or (type(entry) is str and not entry.strip())


def shown_name(claims: Mapping[str, object]) -> str | None:
    """Return the person's name for display: ``name``, else given and family name, else the handle they chose."""
    both = " ".join(part for key in ("given_name", "family_name") if (part := _line(claims.get(key))) is not None)
    candidates = (
        _line(claims.get("name")),
        both,
        _line(claims.get("preferred_username")),
        _line(claims.get("nickname")),
    )
    return next((one for one in candidates if one), None)


def _line(value: object) -> str | None:
    if type(value) is not str:
        return None
    # Four times as much, since blanks and marks are removed before the text is cut.
    beginning = value[: 4 * MAX_NAME]
    cleaned = " ".join("".join(char if is_plain(char) else " " for char in beginning).split())
    if len(cleaned) > MAX_NAME or (cleaned and len(value) > len(beginning)):
        return f"{cleaned[: MAX_NAME - 1].rstrip()}…"
    return cleaned or None


def handle(claims: Mapping[str, object]) -> str | None:
    """Return the account's name at the provider: ``preferred_username``, else ``login``.

    Most people choose it themselves, so it is for display only.  A handle that could pass for an address or an id of
    the portal is not returned: an app that takes the name for a person must not confuse two people.
    """
    candidates = (_line(claims.get(name)) for name in ("preferred_username", "login"))
    name = next((one for one in candidates if one), None)
    if name is None or "@" in unicodedata.normalize("NFKC", name) or IDENTITY_ID.fullmatch(name):
        return None
    return name


def email(claims: Mapping[str, object]) -> str | None:
    """Return ``email`` if it looks like one address."""
    value = claims.get("email")
    if type(value) is not str or len(value) > MAX_EMAIL or not is_plain(value) or any(map(str.isspace, value)):
        return None
    local, _, domain = value.rpartition("@")
    return value if local and domain and "@" not in local else None


def email_verified(claims: Mapping[str, object], *, assumed: bool = False) -> bool:
    """Return whether the provider vouches for :func:`email`: the JSON value ``true``, never a string or a number.

    If verification is *assumed*, an absent claim or the text ``true`` is enough; any other value means no.

    Addresses outside ASCII never count as verified: case-folding turns the Kelvin sign into "k", and two people must
    not become one.
    """
    address = email(claims)
    claim = claims.get("email_verified")
    vouches = claim is True or (assumed and (claim is None or claim == "true"))
    return vouches and address is not None and address.isascii()


def picture(claims: Mapping[str, object]) -> str | None:
    """Return ``picture`` if it is a short https URL."""
    value = claims.get("picture")
    if type(value) is not str or len(value) > MAX_PICTURE or not value.isascii() or not value.isprintable():
        return None
    if not set(" \\\"'<>`").isdisjoint(value):
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return None
    return value if usable else None
