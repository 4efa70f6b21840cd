"""Sign-in settings in the README of a Hugging Face Space: the keys ``hf_oauth…`` of its front matter.

On the hub they make an OAuth app for the Space.  Here the portal signs people in, so they only show what the app
expects: members of an organisation, or a token, which the portal gives to no app.
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
    """The sign-in settings of a Space."""

    organisations: tuple[str, ...] = ()
    """Names; on the hub only members of any of them get in.  Empty: anybody."""
    scopes: tuple[str, ...] = ()
    """What its ``gr.OAuthToken`` may do on the hub, besides ``openid profile``."""
    minutes: str | None = None
    """How long a sign-in lasts there, as it is written."""

    @property
    def minutes_problem(self) -> str | None:
        """What is wrong with :attr:`minutes`, which the hub accepts up to 30 days; ``None`` if nothing is."""
        if self.minutes is None or (_NUMBER.fullmatch(self.minutes) and 0 < int(self.minutes) <= MOST_MINUTES):
            return None
        return f"is not a number of minutes from 1 to {MOST_MINUTES}, which are 30 days"


def sign_in_of(source: str | None) -> SpaceSignIn | None:
    """Return the sign-in settings of the Space in the folder *source*; ``None`` without ``hf_oauth`` or a Space."""
    if source is None:
        return None
    try:
        return read_sign_in(read_front_matter(Path(source) / "README.md"))
    except (OSError, NotASpace):  # the app reports it when it starts
        return None


def read_sign_in(front_matter: Mapping[str, object]) -> SpaceSignIn | None:
    """Return the sign-in settings in *front_matter*; ``None`` if ``hf_oauth`` is not on.

    The hub documents texts and lists of texts.  Anything else counts as one name, which nobody has: it restricts.
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
