"""Options that name a host: with scheme or without, and nothing after it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from portal.sign_in.provider_types.base import UnusableOption


def origin_option(options: Mapping[str, str], key: str) -> str:
    """Return the option *key*, read as a ``base``, which must be scheme and host only.

    Raises:
        UnusableOption: a path follows the host.
    """
    origin = options[key]
    if urlsplit(origin).path:
        raise UnusableOption(key, "has a path.", "Write the host alone, like login.example.com.")
    return origin
