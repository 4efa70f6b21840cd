"""What the README of a Hugging Face Space says of signing in: the keys ``hf_oauth…`` of its front matter.

On the hub they make an OAuth app for the Space.  Here the portal signs people in, so they say only what the app
expects: that it is for members of an organisation, and that it gets a token, which the portal gives to no app.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal.contract.spaces import front_matter_lines, read_readme

_KEY: Final = re.compile(r"""(?P<quote>["']?)(?P<key>hf_oauth\w*)(?P=quote)\s*:(?P<value>.*)""")
_ENTRY: Final = re.compile(r"(?:\s*-\s+|\s+)(?P<value>.*)")
"""An entry of a list, or a text that stands on a line of its own."""
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
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
    """Return what the README of *source* says; ``None`` if that is no folder of a Space with ``hf_oauth`` on."""
    if source is None:
        return None
    try:
        return read_sign_in(read_readme(Path(source) / "README.md"))
    except OSError:  # the app will say so when it starts
        return None


def read_sign_in(readme: str) -> SpaceSignIn | None:
    """Return what the front matter of *readme* says; ``None`` where ``hf_oauth`` is not on.

    Only the shapes the hub documents are understood: texts, and lists in a block or in brackets.  What is none of
    them is taken for one name, which nobody has: it restricts, and is seen.
    """
    found: dict[str, list[str]] = {}
    entries: list[str] | None = None
    for line in front_matter_lines(readme):
        key, entry = _KEY.fullmatch(line), _ENTRY.fullmatch(line)
        if key is not None:
            entries = found[key["key"]] = _values(key["value"])
        elif entry is not None and entries is not None:
            entries += _values(entry["value"])
        elif line.strip() and not line.lstrip().startswith("#"):
            entries = None
    if all(value.lower() in _OFF for value in found.get("hf_oauth", [])):
        return None
    return SpaceSignIn(
        organisations=tuple(found.get("hf_oauth_authorized_org", [])),
        scopes=tuple(found.get("hf_oauth_scopes", [])),
        minutes=next(iter(found.get("hf_oauth_expiration_minutes", [])), None),
    )


def _values(written: str) -> list[str]:
    text = _COMMENT.sub("", written).strip()
    listed = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    return [value for one in listed if (value := one.strip().strip("\"'").strip())]
