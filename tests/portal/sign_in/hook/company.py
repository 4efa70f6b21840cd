"""A company's module with a sign-in hook, where the portal looks for it: in the working folder."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

MODULE: Final = "company_rules"

EVERYBODY: Final = """\
from typing import Dict, Optional
import chainlit as cl


@cl.oauth_callback
def oauth_callback(
  provider_id: str,
  token: str,
  raw_user_data: Dict[str, str],
  default_user: cl.User,
) -> Optional[cl.User]:
  return default_user
"""
"""The first example of Chainlit's guide ("OAuth"), to the letter."""

ONE_GOOGLE_DOMAIN: Final = """\
from typing import Dict, Optional
import chainlit as cl


@cl.oauth_callback
def oauth_callback(
  provider_id: str,
  token: str,
  raw_user_data: Dict[str, str],
  default_user: cl.User,
) -> Optional[cl.User]:
  if provider_id == "google":
    if raw_user_data["hd"] == "example.org":
      return default_user
  return None
"""
"""The second, to the letter."""

CHAINLIT: Final[Mapping[str, str]] = {
    "chainlit/__init__.py": "from chainlit.user import User\n\nfrom .callbacks import oauth_callback, on_message\n",
    "chainlit/user.py": """\
from dataclasses import dataclass, field


@dataclass
class User:
    identifier: str
    display_name: str | None = None
    metadata: dict = field(default_factory=dict)
    made_by: str = "chainlit"
""",
    "chainlit/oauth_providers.py": """\
import os


def get_configured_oauth_providers():
    return ["google"] if os.environ.get("OAUTH_GOOGLE_CLIENT_ID") else []
""",
    "chainlit/callbacks.py": """\
from chainlit.oauth_providers import get_configured_oauth_providers


def oauth_callback(func):
    if len(get_configured_oauth_providers()) == 0:
        raise ValueError(
            "You must set the environment variable for at least one oauth provider to use oauth authentication."
        )
    return func


def on_message(func):
    return func
""",
}
"""As much of Chainlit 2.12.0 as a hook touches, in the files it has there: its decorator refuses to decorate where no
variable of the environment turns on a provider of Chainlit's.
"""


@contextmanager
def written(folder: Path, *, package: Mapping[str, str] | None = None, **sources: str) -> Iterator[None]:
    """Write modules, and the files of *package*, to *folder*, work there, and forget them all afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.chdir(folder)
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        for file, source in (package or {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        try:
            yield
        finally:
            for name in set(sys.modules) - before:
                if name.partition(".")[0] in {*sources, "chainlit"}:
                    del sys.modules[name]
