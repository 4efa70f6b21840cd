"""What the README of a Hugging Face Space says of signing in: the keys ``hf_oauth…`` of its front matter.

On the hub they make an OAuth app for the Space.  Here the portal signs people in, so they say only what the app
expects: that it is for members of an organisation, and that it gets a token, which the portal gives to no app.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.spaces import NotASpace, read_front_matter

_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
MOST_MINUTES: Final = 43_200
"""Longest sign-in that the hub gives a Space, in minutes."""
_OFF: Final = frozenset({"", "false", "no", "off", "null", "~"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSignIn:
    """What a Space asks of whoever signs people in."""

    organisations: tuple[str, ...] = ()
    """Names; on the hub only members of any of them get in.  Empty: anybody."""
    scopes: tuple[str, ...] = ()
    """What its ``gr.OAuthToken`` may do on the hub, besides ``openid profile``."""
    minutes: str | None = None
    """How long a sign-in lasts there, as it is written."""

    @property
    def minutes_problem(self) -> str | None:
        """What is wrong with :attr:`minutes`, which the hub takes from 1 to 30 days; ``None`` where nothing is."""
        if self.minutes is None or (_NUMBER.fullmatch(self.minutes) and 0 < int(self.minutes) <= MOST_MINUTES):
            return None
        return f"is not a number of minutes from 1 to {MOST_MINUTES}, which are 30 days"


def sign_in_of(source: str | None) -> SpaceSignIn | None:
    """Return what the README of *source* asks; ``None`` if that is not the folder of a Space with ``hf_oauth`` on."""
    if source is None:
        return None
    try:
        return read_sign_in(read_front_matter(Path(source) / "README.md"))
    except (OSError, NotASpace):  # the app does not start either, and says why
        return None


def read_sign_in(front_matter: Mapping[str, object]) -> SpaceSignIn | None:
    """Return what *front_matter* asks; ``None`` where ``hf_oauth`` is not on.

    The hub documents texts and lists of texts.  Anything else counts as one name that nobody has: it restricts.
    """
    if all(value.lower() in _OFF for value in _texts(front_matter.get("hf_oauth"))):
        return None
    return SpaceSignIn(
        organisations=_texts(front_matter.get("hf_oauth_authorized_org")),
        scopes=_texts(front_matter.get("hf_oauth_scopes")),
        minutes=next(iter(_texts(front_matter.get("hf_oauth_expiration_minutes"))), None),
    )


def _texts(value: object) -> tuple[str, ...]:
    listed = value if type(value) is list else [value]
    return tuple(text for one in listed if one is not None and (text := str(one).strip()))
